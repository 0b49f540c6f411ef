import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { FaultOrder } from '@holdfast/client'
import { HoldfastError } from '../errors.ts'
import { blockade } from '../io/blockade.ts'
import { createLog } from '../io/log.ts'
import { identify, isAlive, isStopped } from '../io/process-tree.ts'
import { type DrillFaultOptions, DrillFaults } from './drill-faults.ts'
import { behindCut, drillRoutes } from './drill-routes.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-faults-'))
const sleeper = spawn('sleep', ['600'], { stdio: 'ignore', cwd: folder })
after(() => {
  sleeper.kill('SIGKILL')
  blockade.lift()
  rmSync(folder, { recursive: true, force: true })
})

const STORE = 'http://127.0.0.1:9'
const PEER = 'http://127.0.0.1:10'

function faults(change: Partial<DrillFaultOptions> = {}): DrillFaults {
  return new DrillFaults({
    allowed: true,
    agent: 'agent-1',
    noteFile: join(folder, 'agent', 'note.json'),
    targets: new Map([['m1', () => ({ member: 'm1', dataDir: folder, mainPid: sleeper.pid ?? null })]]),
    guardPid: () => null,
    storeOrigins: [STORE],
    peerOrigins: [PEER],
    door: { host: '127.0.0.1', scheme: 'http' },
    tls: null,
    log: createLog({ level: 'silent', name: 'agent' }),
    ...change,
  })
}

function order(change: Partial<FaultOrder> = {}): FaultOrder {
  return { id: 'one', kind: 'block-store', members: ['m1'], forMs: 60_000, by: 'ann', ...change }
}

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof HoldfastError && error.code === 'HF_DRILL_REFUSED' && pattern.test(error.message)

describe('faults of a drill', () => {
  it('are refused where the description does not allow them, and for members that stand elsewhere', async () => {
    await assert.rejects(faults({ allowed: false }).begin(order()), refused(/allows no drills/))
    await assert.rejects(faults().begin(order({ members: ['m2'] })), refused(/m2 is no member beside agent-1/))
    await assert.rejects(faults().begin(order({ members: [] })), refused(/nobody/))
    await assert.rejects(faults().begin(order({ forMs: 600_001 })), refused(/600001 ms/))
    assert.equal(blockade.covers(STORE), false)
  })

  it('block the store until they are lifted; asked twice is done once; one at a time', async () => {
    const one = faults()
    const status = await one.begin(order())
    assert.equal(status.state, 'on')
    assert.equal(blockade.covers(STORE), true)
    assert.equal(blockade.covers(PEER), false)
    assert.equal((await one.begin(order())).id, 'one')
    await assert.rejects(one.begin(order({ id: 'two' })), refused(/another fault is on/))
    assert.equal(one.lift('two', 'bob')[0]?.state, 'on')
    assert.equal(one.lift('one', 'bob')[0]?.state, 'off')
    assert.equal(blockade.covers(STORE), false)
  })

  it('an order that comes after its own end is not carried out', async () => {
    const one = faults()
    one.lift('late', 'ann')
    await assert.rejects(one.begin(order({ id: 'late' })), refused(/ended already/))
    assert.equal(blockade.covers(STORE), false)
  })

  it('cut links keep peers waiting, and only them', async () => {
    const one = faults()
    const answer = () => ({ status: 200, body: 'well' })
    const [peer, other] = behindCut(
      [
        { method: 'GET', path: '/v1/peer/reports', open: false, handle: answer },
        { method: 'GET', path: '/v1/status', open: false, handle: answer },
      ],
      one,
    )
    const request = { params: {}, query: new URLSearchParams(), body: null }
    await one.begin(order({ id: 'link', kind: 'block-link' }))
    assert.equal(blockade.covers(PEER), true)
    assert.equal(one.linksCut, true)
    assert.deepEqual(await other?.handle(request), answer())
    const waits = Symbol('waits')
    const first = await Promise.race([peer?.handle(request), new Promise((resolve) => setTimeout(resolve, 50, waits))])
    assert.equal(first, waits)
    one.lift('*', 'ann')
    assert.deepEqual(await peer?.handle(request), answer())
  })

  it('what an earlier life left stopped runs again at the start, and nothing else is touched', async () => {
    const id = identify(sleeper.pid ?? 0)
    assert.ok(id !== null)
    const noteFile = join(folder, 'note.json')
    writeFileSync(noteFile, JSON.stringify([id, { pid: process.pid, started: 'another' }, { pid: 1 }, 'nonsense']))
    process.kill(id.pid, 'SIGSTOP')
    while (!isStopped(id.pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    await faults({ noteFile }).continueLeftovers()
    while (isStopped(id.pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(existsSync(noteFile), false)
    // An engine is found by its folder, whichever of its processes stands.
    process.kill(id.pid, 'SIGSTOP')
    while (!isStopped(id.pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    writeFileSync(noteFile, JSON.stringify([{ dataDir: folder, mainPid: null }]))
    await faults({ noteFile }).continueLeftovers()
    while (isStopped(id.pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    writeFileSync(noteFile, 'no json')
    await faults({ noteFile }).continueLeftovers()
  })

  it('a word to end everything is not forgotten while an order is prepared', async () => {
    const one = faults({ noteFile: join(folder, 'busy', 'note.json') })
    const begun = one.begin(order({ kind: 'freeze', what: 'engine' }))
    one.lift('*', 'ann')
    await begun
    const id = identify(sleeper.pid ?? 0)
    assert.ok(id !== null)
    while (one.list()[0]?.state !== 'off') await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(isStopped(id.pid), false)
  })

  it('a kill does not meet another program that has the number by now', async () => {
    const elsewhere = () => ({ member: 'm1', dataDir: join(folder, 'elsewhere'), mainPid: sleeper.pid ?? null })
    const one = faults({ targets: new Map([['m1', elsewhere]]) })
    await assert.rejects(one.begin(order({ kind: 'kill', forMs: 0 })), refused(/does not run/))
    assert.notEqual(identify(sleeper.pid ?? 0), null)
  })

  it('a kill is proved by the process that is gone', async () => {
    const id = identify(sleeper.pid ?? 0)
    assert.ok(id !== null)
    const one = faults()
    await one.begin(order({ kind: 'kill', forMs: 0 }))
    while (isAlive(id)) await new Promise((resolve) => setTimeout(resolve, 5))
    const [status] = one.list()
    assert.equal(status?.state, 'off')
    assert.match(status?.proof ?? '', /is gone/)
    await assert.rejects(faults().begin(order({ kind: 'kill' })), refused(/does not run/))
  })
})

it('orders from outside are read strictly', async () => {
  const [, begin] = drillRoutes(faults())
  const ask = (body: unknown) => Promise.resolve(begin?.handle({ params: {}, query: new URLSearchParams(), body }))
  const invalid = (error: unknown) => error instanceof HoldfastError && error.code === 'HF_BODY_INVALID'
  const well = { ...order() }
  const bad: unknown[] = [
    null,
    [],
    { ...well, kind: 'reboot' },
    { ...well, kind: 'freeze' },
    { ...well, what: 'host' },
    { ...well, members: 'm1' },
    { ...well, members: [1] },
    { ...well, forMs: '5' },
    { ...well, forMs: Number.NaN },
    { ...well, forMs: -1 },
    { ...well, id: '' },
    { ...well, by: 'a\u0000b' },
  ]
  for (const body of bad) await assert.rejects(async () => ask(body), invalid, JSON.stringify(body))
})
