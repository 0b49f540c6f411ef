/** Over the embedded store itself: one drill a group, whoever comes first; abort, approval and undo by others. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import type { AgentClient } from '@holdfast/client'
import type { AgentSpec } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import type { DrillReport } from '../evidence/report.ts'
import type { Store } from '../store/contract.ts'
import { startEmbeddedStore } from '../store/embedded/server.ts'
import { openStore } from '../store/open.ts'
import { type ActiveDrill, DrillLedger, type EndedDrill, SILENT_MS } from './ledger.ts'
import type { ReportHead } from './report-head.ts'
import { abortDrill } from './undo.ts'

const reports: DrillReport[] = []
const folder = mkdtempSync(join(tmpdir(), 'holdfast-ledger-'))
let served: Awaited<ReturnType<typeof startEmbeddedStore>>
let store: Store
let ledger: DrillLedger
before(async () => {
  served = await startEmbeddedStore({ file: join(folder, 'store.db'), host: '127.0.0.1', port: 0, token: null })
  store = openStore({ kind: 'embedded', urls: [served.url], token: null, requestMs: 2_000 })
  ledger = new DrillLedger(store)
})
after(async () => {
  await store.close()
  await served.close()
  rmSync(folder, { recursive: true, force: true })
})

function active(id: string, change: Partial<ActiveDrill> = {}): ActiveDrill {
  const fixed = { drill: 'd', by: 'ann@desk', startedWallMs: 0, phase: 'checking' as const, beat: 0 }
  return { id, ...fixed, members: [], waiting: null, approvals: [], abort: null, ...change }
}

const HEAD: ReportHead = {
  run: {
    ...{ id: 'x', drill: 'd', platform: 'shop', group: 'gone', engine: 'postgres', practice: false, by: 'ann@desk' },
    ...{ tool: 't', configSha256: 'c', drillSha256: 'd' },
  },
  description: '',
  statement: '',
  scope: { fault: 'a fault', blastRadius: { members: 1, sites: 1, groups: 1 }, abortConditions: '' },
  approvals: [],
  objective: { rtoMs: 1, rpoMs: 0 },
}

function ended(n: number): EndedDrill {
  const times = { startedWallMs: n, endedWallMs: n, rtoMs: 1, rpoMs: 0, seq: n, sha256: null }
  return { id: `run-${n}`, drill: 'd', outcome: 'passed', because: '', practice: false, ...times }
}

it('of many who begin at once one gets the group', async () => {
  const begun = await Promise.all(
    Array.from({ length: 6 }, (_, n) =>
      ledger.change('raced', (now) => (now.active === null ? { ...now, active: active(`r${n}`) } : null)),
    ),
  )
  assert.equal(new Set(begun.map((record) => record.active?.id)).size, 1)
})

it('keeps the last fifty and nothing else of what ended', async () => {
  for (let n = 1; n <= 53; n += 1) await ledger.change('past', (now) => ({ ...now, past: [...now.past, ended(n)] }))
  const { past } = await ledger.read('past')
  assert.deepEqual([past.length, past[0]?.seq, past.at(-1)?.seq], [50, 4, 53])
})

it('the chain of reports moves from one end to the next, and a lost answer is found again', async () => {
  const one = { format: 1 as const, seq: 1, sha256: 'a' }
  const two = { format: 1 as const, seq: 2, sha256: 'b' }
  assert.equal(await ledger.extendChain(null, one), true)
  assert.equal(await ledger.extendChain(null, one), true)
  assert.equal(await ledger.extendChain(null, two), false)
  assert.equal(await ledger.extendChain(one, two), true)
  assert.deepEqual(await ledger.chain(), two)
})

it('a record of somebody else is met with an error, not written over', async () => {
  await store.compareAndSet('drills/strange', '{"n":1}', 0, 2_000)
  const nonsense = (error: unknown) => error instanceof HoldfastError && error.code === 'HF_STORE_NONSENSE'
  await assert.rejects(ledger.read('strange'), nonsense)
})

const AGENT = { name: 'agent-1' } as AgentSpec

function undo(group: string, state: 'on' | 'off' | 'silent', lifted: string[]) {
  let nowMs = 0
  const fault = { id: 'x', kind: 'freeze', members: ['m1'], by: 'ann', state, proof: 'seen', leftMs: 0, deadman: null }
  const silent = { ok: false, kind: 'unreachable', tried: [] }
  const client = {
    liftFault: async ({ id }: { id: string }) => {
      lifted.push(id)
      return silent
    },
    faults: async () => (state === 'silent' ? silent : { ok: true, url: '', value: { faults: [fault] } }),
  } as unknown as AgentClient
  return abortDrill({
    group,
    by: 'bob@desk',
    because: 'enough',
    ledger,
    agents: [AGENT],
    clientOf: () => client,
    // Each look at the clock is a second later.
    clock: { nowMs: () => (nowMs += 1_000), wallMs: () => 7 },
    say: () => undefined,
    timeoutMs: 10 * SILENT_MS,
    interrupted: new AbortController().signal,
    write: async (make) => {
      const report = make({ seq: 9, previousSha256: 'b' })
      reports.push(report)
      return { json: '', html: '', seq: 9, sha256: 'c' }
    },
  })
}

it('a drill whose runner is silent is ended by whoever asks, once its fault is seen gone', async () => {
  await ledger.change('gone', (now) => ({ ...now, active: active('x', { head: HEAD, members: ['m1'] }) }))
  const lifted: string[] = []
  const stuck = await undo('gone', 'on', lifted)
  assert.equal(stuck.kind, 'not-yet')
  assert.equal((await undo('gone', 'silent', lifted)).kind, 'not-yet')
  assert.equal((await ledger.read('gone')).active?.abort?.by, 'bob@desk')
  assert.equal((await undo('gone', 'off', lifted)).kind, 'undone')
  const [report, ...more] = reports
  assert.deepEqual(
    [report?.outcome, report?.measured, report?.scope.members, more.length],
    ['aborted', null, ['m1'], 0],
  )
  assert.match(report?.because ?? '', /its runner was gone; ended by bob@desk/)
  assert.deepEqual(lifted, ['x', 'x', 'x'])
  const { active: none, past } = await ledger.read('gone')
  assert.equal(none, null)
  assert.deepEqual([past[0]?.outcome, past[0]?.seq], ['aborted', 9])
  assert.equal((await undo('gone', 'off', lifted)).kind, 'none')
})

it('a runner that lives is left to end its drill itself', async () => {
  await ledger.change('lives', (now) => ({ ...now, active: active('x') }))
  const watch = ledger.watch('lives', (record) => {
    if (record.active?.abort) void ledger.change('lives', (now) => ({ ...now, active: null }))
  })
  const lifted: string[] = []
  assert.equal((await undo('lives', 'on', lifted)).kind, 'aborted')
  assert.deepEqual(lifted, [])
  watch.close()
})
