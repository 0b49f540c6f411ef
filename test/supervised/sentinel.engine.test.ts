/**
 * A real Redis group with three real Sentinels: found and shown by two commands, moved without losing a write that was
 * acknowledged, and what is left when the one who moves it is killed half-way.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openSupervisor } from '../../packages/holdfast/src/engines/open-supervisor.ts'
import { supervisorConformance } from '../../packages/holdfast/src/engines/supervisor-conformance.ts'
import { systemClock } from '../../packages/holdfast/src/io/clock.ts'
import { readDocSteps } from '../../scripts/doc-commands.ts'
import { PATIENCE_MS, PROGRAM, until } from '../platform.ts'
import { holdfast } from './command-line.ts'
import { askPort, GROUP, HOST, type SentinelGroup, startSentinels, Writer, whyNoRedis } from './redis-processes.ts'

/** Longer than the writers are held, also on a busy machine; a crash is not part of this. */
const DOWN_AFTER_MS = 10_000
const ONE_MINUTE_MS = 60_000
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

describe('a Redis group led by Sentinels', { skip: whyNoRedis() }, () => {
  let group: SentinelGroup
  before(async () => {
    group = await startSentinels(DOWN_AFTER_MS)
    const found = await holdfast(folder(), ['discover', '--sentinel', endpoints()[0] ?? ''])
    writeFileSync(join(folder(), 'holdfast.yaml'), found.out)
  })
  after(async () => {
    await Promise.all(writers.map((writer) => writer.stop()))
    await group?.close()
  })

  const writers: Writer[] = []
  const writing = (): Writer => {
    const writer = new Writer(group.sentinels)
    writers.push(writer)
    return writer
  }

  const folder = (): string => group.processes.folder
  const endpoints = (): readonly string[] => group.sentinels.map((port) => `${HOST}:${port}`)

  it('stands in status within a minute of pointing Holdfast at one Sentinel, by the commands of the how-to', () => {
    const startMs = performance.now()
    const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}` }
    const said = readDocSteps(readFileSync(join(ROOT, 'docs/operate/supervise.md'), 'utf8')).map((step) => {
      assert.equal(step.kind, 'commands')
      const script = `set -e\n${step.text}`
      const given = { ...env, SENTINEL: endpoints()[0] }
      const ran = spawnSync('bash', ['-c', script], { cwd: folder(), env: given, encoding: 'utf8' })
      assert.equal(ran.status, 0, `${step.text}${ran.stdout}${ran.stderr}`)
      if (/status/.test(step.text)) assert.ok(performance.now() - startMs < ONE_MINUTE_MS)
      return ran.stdout
    })
    const [status = '', explained = '', asked = ''] = said
    assert.match(status, /supervised by sentinel/)
    assert.match(status, /3 of 3 answer/)
    assert.equal(status.match(/ primary +up/g)?.length, 1, status)
    assert.equal(status.match(/ replica +streaming/g)?.length, 2, status)
    assert.match(status, /safe now: yes/)
    assert.match(explained, /what the engines say/)
    assert.match(asked, /sentinel would be asked to move stock from .* Nothing was changed/)
  })

  supervisorConformance({
    options: () => ({
      ...{ by: 'sentinel', endpoints: endpoints(), name: GROUP },
      ...{ login: null, observer: null, tls: null, clock: systemClock },
    }),
    open: openSupervisor,
    // Sentinel takes no name: the one it would choose by itself.
    target: (picture) => {
      const replicas = picture.members.filter(({ role }) => role === 'replica')
      return replicas.sort((a, b) => (a.tieBreak < b.tieBreak ? -1 : 1))[0]?.member ?? ''
    },
    members: 3,
  })

  it('moves once under writers when two operators ask at once, and loses nothing acknowledged', async () => {
    const writer = writing()
    const from = await group.primaryPort()
    await until('writes before the move', async () => writer.acknowledged.length > 100)
    const words = ['switchover', GROUP, '--yes', '--output', 'json']
    const both = await Promise.all([holdfast(folder(), words), holdfast(folder(), words)])
    const done = both.find(({ code }) => code === 0)
    assert.ok(done !== undefined, JSON.stringify(both))
    const told = JSON.parse(done.out) as { newPrimary: string; lostBytes: number; outageMs: number }
    assert.equal(told.lostBytes, 0)
    const count = writer.acknowledged.length
    await until('writes after the move', async () => writer.acknowledged.length > count + 100)
    await writer.stop()
    const to = await group.primaryPort()
    await assertKept(writer, to)
    assert.notEqual(to, from, JSON.stringify(both))
    for (const port of group.servers) {
      assert.deepEqual(await askPort(port, 'CONFIG', 'GET', 'min-replicas-to-write'), ['min-replicas-to-write', '0'])
    }
  })

  for (const [moment, words] of [
    ['while writers wait', /writers of .* wait/],
    ['when the old primary is closed', /refuses writes until/],
  ] as const) {
    it(`killed ${moment}, it leaves a group that is written to, and status tells what is left`, async () => {
      await whole()
      const writer = writing()
      await until('writes before the move', async () => writer.acknowledged.length > 50)
      const from = await group.primaryPort()
      const child = spawn(process.execPath, [PROGRAM, 'switchover', GROUP, '--yes'], { cwd: folder(), stdio: 'pipe' })
      const gone = new Promise((resolve) => child.once('close', resolve))
      child.stderr.on('data', (chunk: Buffer) => {
        if (words.test(chunk.toString())) child.kill('SIGKILL')
      })
      await gone
      const count = writer.acknowledged.length
      await until('writes after it died', async () => writer.acknowledged.length > count + 100, PATIENCE_MS)
      await writer.stop()
      // Between the question and the closing it is Sentinel's own move, with its loss; only what was closed is kept.
      if (/closed/.test(moment)) await assertKept(writer, await group.primaryPort())
      const { out } = await holdfast(folder(), ['status'])
      const left = await askPort(from, 'CONFIG', 'GET', 'min-replicas-to-write')
      const isLeft = Array.isArray(left) && left[1] !== '0'
      assert.equal(/note: min replicas to write differs/.test(out), isLeft, out)
      if (isLeft) await askPort(from, 'CONFIG', 'SET', 'min-replicas-to-write', '0')
    })
  }

  it('tells a Sentinel that is gone and one that is frozen, and a replica that is down', async () => {
    const [, second = 0, third = 0] = group.sentinels
    await whole()
    await group.processes.kill(second)
    group.processes.signal(third, 'SIGSTOP')
    const status = await holdfast(folder(), ['status'])
    group.processes.signal(third, 'SIGCONT')
    assert.match(status.out, /1 of 3 answer/)
    assert.match(status.out, /safe now: no, too-few-voices: heard 1, asked 3, needed 2/)
    assert.match(status.out, /ECONNREFUSED/)
    const refused = await holdfast(folder(), ['switchover', GROUP, '--yes', '--to', `${HOST}:1`])
    assert.equal(refused.code, 1, refused.out)
  })

  async function whole(): Promise<void> {
    await until('the group to be whole', async () => {
      const { out } = await holdfast(folder(), ['status'])
      return /safe now: yes/.test(out) && out.match(/ replica +streaming/g)?.length === 2
    })
  }

  async function assertKept(writer: Writer, port: number): Promise<void> {
    const list = await askPort(port, 'LRANGE', 'numbers', '0', '-1')
    const rows = new Set(Array.isArray(list) ? list.map(String) : [])
    const lost = writer.acknowledged.filter((n) => !rows.has(String(n)))
    assert.ok(writer.acknowledged.length > 100)
    assert.deepEqual(lost, [], `${lost.length} of ${writer.acknowledged.length} acknowledged writes are gone`)
    await askPort(port, 'DEL', 'numbers')
  }
})
