/** The parts of the canary that need no engine: what a record says, what a second counted. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { keyedHash } from '../io/signing.ts'
import type { Found, Wrote } from './engine-lines.ts'
import { GroupCanary } from './group-canary.ts'
import { type CanaryRecord, readRecord, recordText, serverRuns } from './record.ts'
import { Seconds } from './seconds.ts'
import type { CanaryOptions } from './settings.ts'
import { Writers } from './writers.ts'

const KEY = keyedHash('a token', 'holdfast canary 1')
const RECORD: CanaryRecord = {
  v: 1,
  platform: 'shop',
  group: 'orders',
  run: 'server-1',
  n: 7,
  wallMs: 1_700_000_000_000,
}
const PLACE = { platform: 'shop', group: 'orders', run: 'server-1', n: 7, sentMax: 10, key: KEY }

describe('a record', () => {
  it('is taken where it was put, and nowhere else', () => {
    const text = recordText(RECORD, KEY)
    assert.deepEqual(readRecord(text, PLACE), { ok: true, n: 7 })
    assert.deepEqual(readRecord(text, { ...PLACE, n: null }), { ok: true, n: 7 })
    const elsewhere = [
      ...[{ group: 'carts' }, { platform: 'other' }, { run: 'server-2' }, { n: 8 }, { sentMax: 6 }, { key: 'other' }],
    ]
    for (const change of elsewhere)
      assert.equal(readRecord(text, { ...PLACE, ...change }).ok, false, JSON.stringify(change))
  })

  it('is seen to be edited, wherever a byte of it differs, and nonsense is no error', () => {
    const text = recordText(RECORD, KEY)
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 0x7e }), (at, by) => {
        const other = String.fromCharCode(text.charCodeAt(at) ^ by)
        const edited = text.slice(0, at) + other + text.slice(at + 1)
        return !readRecord(edited, PLACE).ok
      }),
    )
    fc.assert(fc.property(fc.string(), (nonsense) => !readRecord(nonsense, PLACE).ok))
  })
})

it('a forged row is told, and makes no replica look fresh', () => {
  const told: string[] = []
  const options = {
    ...{ platform: { name: 'shop', routers: [] }, group: { name: 'orders', members: [] }, run: 'server-1', key: KEY },
    ...{ perSecond: 2, clock: { nowMs: () => 0, wallMs: () => 0 }, primary: () => null },
    onFinding: ({ kind }: { readonly kind: string }) => told.push(kind),
  }
  const engine = { open: () => assert.fail('nothing is asked') }
  const writers = new Writers(options as unknown as CanaryOptions, engine, 0)
  assert.deepEqual(writers.verify([{ n: 999_999, text: 'not ours' }], 'orders-b'), [])
  assert.deepEqual(told, ['bad-record'])
})

it('the runs of a platform are never those of another whose name begins alike', () => {
  for (const other of ['shop-2', 'shop-2-a', 'shopping']) {
    assert.ok(!`${serverRuns(other)}0a1b`.startsWith(serverRuns('shop')), other)
  }
})

/** A group whose engine answers as told, at once; the clock is the test's. */
function canaryOf(answer: (n: number) => Wrote) {
  let nowMs = 1_000
  const told: string[] = []
  const spans: { readonly kind: string; readonly ms: number }[] = []
  const looked: number[] = []
  const platform = { name: 'shop', routers: [] }
  const member = { name: 'a', site: 'north', listen: { host: '127.0.0.1', port: 1 } }
  const options = {
    ...{ platform, group: { name: 'orders', members: [member] }, run: 'server-1', key: KEY, perSecond: 2 },
    ...{ clock: { nowMs: () => nowMs, wallMs: () => nowMs }, primary: () => 'a', founded: () => true },
    onFinding: ({ kind }: { readonly kind: string }) => told.push(kind),
    onSpan: (of: string, { kind, fromMs, toMs }: { kind: string; fromMs: number; toMs: number }) => {
      if (of === 'write') spans.push({ kind, ms: toMs - fromMs })
    },
    onAttempt: () => {},
  }
  const line = {
    write: async (n: number) => answer(n),
    read: async (_: string, upTo: number): Promise<Found> => {
      looked.push(upTo)
      return { ok: false, because: 'not now', refused: false }
    },
    clean: async () => {},
    close: () => {},
  }
  const canary = new GroupCanary(options as unknown as CanaryOptions, 0, { open: () => line })
  const run = async (ms: number): Promise<void> => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 100) {
      canary.tick()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const sum = (kind: string) => spans.reduce((all, one) => all + (one.kind === kind ? one.ms : 0), 0)
  return { canary, run, told, sum, looked, stand: (ms: number) => (nowMs += ms) }
}

describe('what nobody measured', () => {
  it('is no outage of an incident that is opened just after it', async () => {
    const { canary, run, stand } = canaryOf(() => ({ kind: 'ok' }))
    await run(2_000)
    stand(3_600_000)
    await run(3_000)
    canary.openIncident('i')
    const { worst = null } = canary.view().meter ?? {}
    assert.ok(worst !== null && worst.toMs - worst.fromMs - worst.unmeasuredMs < 1_500, JSON.stringify(worst))
  })

  it('is no outage of one that is open, when the group refuses us either', async () => {
    let refused = false
    const { canary, run } = canaryOf(() => (refused ? { kind: 'refused', because: 'no such role' } : { kind: 'ok' }))
    await run(2_000)
    canary.openIncident('i')
    refused = true
    await run(100_000)
    refused = false
    await run(40_000)
    const { worst = null } = canary.view().meter ?? {}
    assert.ok(worst !== null && worst.toMs - worst.fromMs - worst.unmeasuredMs < 1_500, JSON.stringify(worst))
  })
})

describe('records that somebody else put ahead of ours', () => {
  it('are told, skipped, and make neither a failed write nor an outage', async () => {
    const { canary, run, told, sum } = canaryOf((n) => ({ kind: n >= 10 && n < 400 ? 'taken' : 'ok' }))
    await run(20_000)
    const { failed, unknown, writes, bad, acked } = canary.view()
    assert.deepEqual([failed, unknown, writes.condition, bad], [0, 0, 'up', 1])
    assert.ok(acked > 20, `${acked}`)
    assert.deepEqual([sum('down'), told.includes('outage-began')], [0, false])
    assert.equal(told.filter((kind) => kind === 'bad-record').length, 1)
  })

  it('are not looked at, so they hide none of ours', async () => {
    const { canary, run, looked } = canaryOf(() => ({ kind: 'ok' }))
    await run(5_000)
    assert.ok(looked.length > 0 && looked.every((upTo) => upTo > 0 && upTo <= canary.view().acked + 1))
  })
})

describe('the last half hour by seconds', () => {
  it('counts what was counted, whatever the order of the ring', () => {
    const attempts = fc.array(
      fc.record({ kind: fc.constantFrom('ok' as const, 'fail' as const, 'info' as const), afterMs: fc.nat(30_000) }),
    )
    fc.assert(
      fc.property(attempts, (all) => {
        const seconds = new Seconds()
        let nowMs = 5_000_000
        const times: { readonly kind: string; readonly ms: number }[] = []
        for (const { kind, afterMs } of all) {
          nowMs += afterMs
          seconds.add(kind, nowMs)
          times.push({ kind, ms: nowMs })
        }
        const fromMs = nowMs - 200_000
        const series = seconds.series(fromMs, nowMs)
        const inside = (kind: string) => times.filter((one) => one.kind === kind && one.ms >= series.fromMs).length
        const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0)
        assert.deepEqual(
          [sum(series.acked), sum(series.failed), sum(series.unknown)],
          [inside('ok'), inside('fail'), inside('info')],
        )
      }),
    )
  })

  it('forgets what is older, and joins seconds where there are too many', () => {
    const seconds = new Seconds()
    seconds.add('ok', 1_000)
    seconds.add('fail', 3_600_000)
    const { acked, failed, stepMs, fromMs } = seconds.series(0, 3_600_000)
    assert.ok(acked.length <= 240)
    assert.equal(stepMs, 8_000)
    assert.ok(fromMs > 1_000_000)
    assert.deepEqual([acked.reduce((a, b) => a + b, 0), failed.reduce((a, b) => a + b, 0)], [0, 1])
  })
})
