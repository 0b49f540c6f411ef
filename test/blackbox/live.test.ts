import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LiveHistory } from './live.ts'

const line = (time: number, type: string, f = 'insert'): string =>
  `${JSON.stringify({ index: 0, time: time * 1e6, type, process: 0, f, value: null })}\n`

test('the outage around a fault is the longest time without an acknowledgement, also from half lines', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-live-'))
  const path = join(folder, 'history.jsonl')
  const live = new LiveHistory(path)
  try {
    live.look()
    const text = [
      line(100, 'ok'),
      line(110, 'ok'),
      line(120, 'fail'),
      line(900, 'ok', 'probe'),
      line(1_010, 'ok'),
    ].join('')
    appendFileSync(path, text.slice(0, -20))
    live.look()
    assert.equal(live.acknowledged, 2)
    appendFileSync(path, text.slice(-20) + line(1_020, 'ok'))
    live.look()
    assert.equal(live.acknowledged, 4)
    assert.equal(live.outageMs(115e6, 1_015e6), 900)
    assert.equal(live.outageMs(1_012e6, 1_015e6), 10)
    assert.equal(live.outageMs(1_030e6, 1_500e6), 480, 'still standing')
  } finally {
    live.close()
    rmSync(folder, { recursive: true })
  }
})
