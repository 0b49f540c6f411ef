import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, type LogLevel } from './log.ts'

function written(level: LogLevel, speak: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] {
  const lines: string[] = []
  speak(createLog({ level, name: 'test', destination: { write: (line) => lines.push(line) } }))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('a line carries its fields, its message and who spoke', () => {
  const [line] = written('info', (log) => log.info({ group: 'orders', epoch: 3 }, 'lease won'))
  assert.equal(line?.group, 'orders')
  assert.equal(line?.epoch, 3)
  assert.equal(line?.msg, 'lease won')
  assert.equal(line?.name, 'test')
})

test('tokens, passwords and secrets are not written, at any depth and in any spelling', () => {
  const fields = { apiToken: 'aaa', store: { PASSWORD: 'bbb', list: [{ clientSecret: 'ccc' }] }, tokenMissing: true }
  const lines = written('info', (log) => log.warn(fields, 'x'))
  const text = JSON.stringify(lines)
  assert.doesNotMatch(text, /aaa|bbb|ccc/)
  assert.equal(lines[0]?.tokenMissing, true)
})

test('lines below the level are not written', () => {
  const lines = written('warn', (log) => {
    log.debug({}, 'a')
    log.info({}, 'b')
    log.warn({}, 'c')
    log.error({}, 'd')
  })
  assert.deepEqual(
    lines.map((line) => line.msg),
    ['c', 'd'],
  )
})

test('an error keeps its message, code and cause; a ring of objects and a bigint do not break the line', () => {
  const ring: Record<string, unknown> = { lsn: 5n }
  ring.self = ring
  const error = Object.assign(new Error('full', { cause: new Error('ENOSPC') }), {
    code: 'HF_DISK_FULL',
    password: 'zzz',
  })
  const [line] = written('info', (log) => log.error({ error, ring }, 'x'))
  const text = JSON.stringify(line)
  assert.match(text, /HF_DISK_FULL/)
  assert.match(text, /ENOSPC/)
  assert.match(text, /"lsn":"5"/)
  assert.doesNotMatch(text, /zzz/)
})
