import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineCommand } from '../core/protocol.ts'
import type { CallOptions, Done, EngineAdapter } from '../engines/contract.ts'
import { systemClock } from '../io/clock.ts'
import { EngineLane, GRACE_MS } from './engine-lane.ts'

const DONE: Done = { ok: true, position: null, lsn: 0 }
const FOLLOW: EngineCommand = { do: 'follow', upstream: null, epoch: 1, timeline: 1 }

/** Records which calls began and ended; each takes as long as given and heeds its signal only if it is told to. */
function laneOver(ms: Partial<Record<'follow' | 'stop' | 'fence' | 'checkpoint', number>>, heeds = true) {
  const diary: string[] = []
  const call =
    (name: 'follow' | 'stop' | 'fence' | 'checkpoint') =>
    async (options: CallOptions): Promise<Done> => {
      diary.push(`${name} begins`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms[name] ?? 1)
        if (!heeds) return
        options.signal.addEventListener('abort', () => {
          clearTimeout(timer)
          resolve()
        })
      })
      diary.push(`${name} ends`)
      return DONE
    }
  const follow = call('follow')
  const adapter = {
    follow: (_upstream: unknown, _at: unknown, options: CallOptions) => follow(options),
    stop: call('stop'),
    fence: call('fence'),
    checkpoint: async () => {
      throw new Error('bug in the adapter')
    },
  } as unknown as EngineAdapter
  const lane = new EngineLane({
    adapter,
    endpointOf: () => null,
    systemId: () => null,
    onFinished: () => undefined,
    nowMs: () => systemClock.nowMs(),
  })
  return { lane, diary }
}

test('a new command supersedes the one that runs, and starts only when that has ended', async () => {
  const { lane, diary } = laneOver({ follow: 5_000 })
  const first = lane.run(FOLLOW, 5_000)
  const second = lane.run({ do: 'stop' }, 1_000)
  assert.deepEqual(await first, { ok: false, because: 'superseded', retryable: true })
  assert.equal((await second).ok, true)
  assert.deepEqual(diary, ['follow begins', 'follow ends', 'stop begins', 'stop ends'])
})

test('a fence starts at once and looks again when what it pre-empted ends later', async () => {
  const { lane, diary } = laneOver({ follow: 800 }, false)
  const first = lane.run(FOLLOW, 5_000)
  assert.equal((await lane.run({ do: 'fence' }, 1_000)).ok, true)
  assert.equal((await first).ok, false)
  const order = ['follow begins', 'fence begins', 'fence ends', 'follow ends', 'fence begins', 'fence ends']
  assert.deepEqual(diary, order)
})

test('a fence is not done while what it pre-empted may still start a process', async () => {
  const { lane } = laneOver({ follow: 400 }, false)
  void lane.run(FOLLOW, 5_000)
  const outcome = await lane.run({ do: 'fence' }, 100)
  assert.deepEqual(outcome, { ok: false, because: 'follow does not end', retryable: true })
})

test('a command after a fence waits for the fence', async () => {
  const { lane, diary } = laneOver({ fence: 30 })
  const fence = lane.run({ do: 'fence' }, 1_000)
  const stop = lane.run({ do: 'stop' }, 1_000)
  await Promise.all([fence, stop])
  assert.deepEqual(diary, ['fence begins', 'fence ends', 'stop begins', 'stop ends'])
})

test('an adapter that keeps no deadline is cut off by the shell', async () => {
  const { lane } = laneOver({ stop: 5_000 })
  const startedMs = systemClock.nowMs()
  const outcome = await lane.run({ do: 'stop' }, 50)
  assert.equal(outcome.ok, false)
  assert.ok(systemClock.nowMs() - startedMs < 50 + GRACE_MS + 200)
})

test('an adapter that throws is a failed command, not the end of the agent', async () => {
  const { lane } = laneOver({})
  assert.match(JSON.stringify(await lane.run({ do: 'checkpoint' }, 100)), /defect: bug in the adapter/)
})
