/** Drills are run once, whoever leads; never another file than was asked for; never "passed" without a word. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { loadPlatform } from '../../config/load.ts'
import { createLog } from '../../io/log.ts'
import { openDatabase } from '../database/database.ts'
import { Leader } from '../database/leader.ts'
import { eventsAfter } from '../events.ts'
import { description, TOKEN, until } from '../server.fixture.ts'
import { DrillCatalogue } from './catalogue.ts'
import { type ChildEnd, type ChildOptions, endOf } from './child.ts'
import { DrillConductor } from './conductor.ts'
import { isRiskyLive, orderOf } from './order-draft.ts'
import { addOrder, findOrder, newestOrders } from './orders.ts'
import { DrillRecords } from './records.ts'
import { DrillReports } from './reports.ts'
import { LATE_MS_MAX } from './schedule.ts'

const log = createLog({ level: 'silent', name: 'test' })
const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const HOUR = 3_600_000
const TEN = Date.parse('2027-03-09T10:00:00Z')

interface Child {
  readonly options: ChildOptions
  readonly end: (end: ChildEnd) => void
}

async function scene(schedule = '{ cron: "0 * * * *", overdueAfter: 30d }') {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-conductor-'))
  folders.push(folder)
  mkdirSync(join(folder, 'drills'))
  const file = join(folder, 'drills', 'move.yaml')
  const text = `version: 1\ndrill: move\ngroup: orders\nfault: { kind: switchover }\nobjectives: { rto: 9s, rpo: 0s }\n`
  writeFileSync(file, `${text}schedule: ${schedule}\n`)
  writeFileSync(join(folder, 'holdfast.yaml'), description([11, 12, 13], { more: 'drills: [drills]\n' }))
  const loaded = loadPlatform(join(folder, 'holdfast.yaml'), { env: { HOLDFAST_TOKEN: TOKEN } })
  assert.ok(loaded.ok, JSON.stringify(loaded))
  const { platform } = loaded
  const clock = { ms: TEN - 60_000, nowMs: () => clock.ms, wallMs: () => clock.ms }
  const children: Child[] = []
  const start = (options: ChildOptions) => {
    let end: Child['end'] = () => undefined
    const ended = new Promise<ChildEnd>((resolve) => {
      end = resolve
    })
    children.push({ options, end })
    return { ended, close: () => end({ outcome: 'aborted', because: 'closed' }) }
  }
  const server = async (name: string) => {
    const database = await openDatabase({ dir: join(folder, 'db'), url: null, clock, log })
    const leader = new Leader({ database, name, clock })
    const catalogue = new DrillCatalogue(platform, clock)
    const reports = new DrillReports({ platform, database, dir: folder, log })
    const conductor = new DrillConductor({
      ...{ platform, database, leader, clock, log, name, start, desk: null, onWritten: () => undefined },
      records: new DrillRecords({ desk: null, because: '', clock }),
      catalogue,
      reports,
    })
    const turn = async (): Promise<void> => {
      await leader.turn()
      await conductor.turn()
    }
    return { database, leader, conductor, catalogue, reports, turn }
  }
  return { folder, file, platform, clock, children, server }
}

it('a time of the schedule is taken once, also when the leader changes right after it', async () => {
  const { folder, clock, children, server } = await scene()
  const [a, b] = [await server('a'), await server('b')]
  await a.turn()
  clock.ms = TEN + 1_000
  await a.turn()
  await b.turn()
  await until('it runs', () => children.length > 0)
  await b.turn()
  assert.deepEqual(
    children.map(({ options }) => options.order.by),
    ['schedule@server a'],
  )
  // What was decided with: its own process runs it with no other.
  const description = createHash('sha256')
    .update(readFileSync(join(folder, 'holdfast.yaml')))
    .digest('hex')
  assert.equal(children[0]?.options.order.configSha256, description)
  // The leader stands still, the other takes over: what runs is not run again.
  clock.ms += 6_000
  await b.turn()
  assert.equal(b.leader.state.leading, true)
  await b.turn()
  assert.equal(children.length, 1)
  clock.ms = TEN + HOUR + 1_000
  children[0]?.end({ outcome: 'passed', because: 'all well' })
  await a.conductor.close()
  await b.turn()
  await b.turn()
  await until('the next one runs', () => children.length > 1)
  assert.equal(children.length, 2)
  const [second, first] = await newestOrders(b.database.read)
  assert.deepEqual([first?.state, first?.drills[0]?.outcome, second?.state], ['ended', 'passed', 'running'])
  await b.conductor.close()
  for (const one of [a, b]) await one.database.close()
})

it('a time that nobody was there for is told and not run', async () => {
  const { clock, children, server } = await scene()
  const a = await server('a')
  await a.turn()
  clock.ms = TEN + LATE_MS_MAX + 60_000
  await a.turn()
  assert.equal(children.length, 0)
  const [order] = await newestOrders(a.database.read)
  assert.equal(order?.state, 'missed')
  const events = await eventsAfter(a.database.read, 0, 100)
  assert.match(events.find(({ code }) => code === 'drill-missed')?.summary ?? '', /move was not run at its time/)
  await a.database.close()
})

it('a server that comes back ends what it began as aborted, never as passed', async () => {
  const { clock, children, server } = await scene()
  const first = await server('a')
  await first.turn()
  clock.ms = TEN + 1_000
  await first.turn()
  await until('it runs', () => children.length > 0)
  await first.database.close()
  // Killed; nothing in the store tells of its drill.
  const again = await server('a')
  for (let turn = 0; turn < 4; turn++) {
    clock.ms += 40_000
    await again.turn()
  }
  const [order] = await newestOrders(again.database.read)
  assert.deepEqual([order?.state, order?.drills[0]?.outcome], ['ended', 'aborted'])
  assert.match(order?.because ?? '', /the server that ran it was gone/)
  assert.equal(children.length, 1)
  await again.database.close()
})

it('a drill on a copy goes on while its server beats, whoever leads; its end is told once', async () => {
  const { platform, clock, children, server } = await scene('{ cron: "0 0 1 1 *" }')
  const [a, b] = [await server('a'), await server('b')]
  const catalogue = new DrillCatalogue(platform, clock)
  catalogue.reread()
  const drills = [{ drill: catalogue.find('move') ?? assert.fail('no drill'), where: 'practice' }] as const
  const asked = {
    by: 'otto',
    askedMs: clock.ms,
    scheduledMs: null,
    expiresMs: clock.ms + HOUR,
    state: 'ready',
  } as const
  const order = orderOf({ ...asked, id: 'copy', title: 'copy', drills, platform })
  await a.turn()
  await a.database.write((writing) => addOrder(writing, order, null))
  await a.turn()
  await until('it runs', () => children.length > 0)
  const now = async () => (await findOrder(b.database.read, 'copy'))?.order
  for (let turn = 0; turn < 3; turn++) {
    await b.turn()
    clock.ms += 6_000
  }
  for (let turn = 0; turn < 5; turn++) {
    clock.ms += 4_000
    await b.turn()
    await a.turn()
    clock.ms += 36_000
    await b.turn()
    await a.turn()
  }
  assert.equal(b.leader.state.leading, true)
  assert.equal((await now())?.state, 'running')
  for (let turn = 0; turn < 3; turn++) {
    clock.ms += 40_000
    await b.turn()
  }
  assert.deepEqual([(await now())?.state, (await now())?.drills[0]?.outcome], ['ended', 'aborted'])
  children[0]?.end({ outcome: 'passed', because: 'all well' })
  await a.conductor.close()
  assert.deepEqual([(await now())?.state, (await now())?.drills[0]?.outcome], ['ended', 'aborted'])
  for (const one of [a, b]) await one.database.close()
})

it('an end that could not be written down keeps no later drill from its time', async () => {
  const { clock, children, server } = await scene()
  const a = await server('a')
  await a.turn()
  clock.ms = TEN + 1_000
  await a.turn()
  await until('it runs', () => children.length > 0)
  const write = a.database.write.bind(a.database)
  let failed = false
  const fails = (): Promise<never> => {
    failed = true
    return Promise.reject(new Error('the database is away'))
  }
  Object.assign(a.database, { write: fails })
  children[0]?.end({ outcome: 'passed', because: 'all well' })
  await until('its end is not written', () => failed)
  Object.assign(a.database, { write })
  for (let turn = 0; turn < 4; turn++) {
    clock.ms += 40_000
    await a.turn()
  }
  const [order] = await newestOrders(a.database.read)
  assert.deepEqual([order?.state, order?.drills[0]?.outcome], ['ended', 'aborted'])
  assert.match(order?.because ?? '', /could not be written down/)
  clock.ms = TEN + HOUR + 1_000
  await a.turn()
  await until('the next one runs', () => children.length > 1)
  await a.conductor.close()
  await a.database.close()
})

it('neither somebody who looks all the time nor a report that is not taken keeps a drill from its time', async () => {
  const { clock, children, server } = await scene()
  const a = await server('a')
  await a.turn()
  Object.assign(a.reports, { takeIn: () => Promise.reject(new Error('a byte that no database takes')) })
  clock.ms = TEN + 1_000
  await a.catalogue.refresh(a.database.read)
  await a.turn()
  await until('it runs', () => children.length > 0)
  await a.conductor.close()
  await a.database.close()
})

it('what was told of stays told while the store has not answered', async () => {
  const { server } = await scene()
  const a = await server('a')
  const fact = { key: 'drill-seen/orders', body: '[null,"told"]' }
  await a.database.write((writing) => writing.insertInto('facts').values(fact).execute())
  await a.turn()
  const row = await a.database.read.selectFrom('facts').selectAll().where('key', '=', fact.key).executeTakeFirst()
  assert.equal(row?.body, fact.body)
  await a.conductor.close()
  await a.database.close()
})

it('a file that says "never on a copy" is live where data could be lost, and the schedule has room', async () => {
  const { platform, clock, server } = await scene()
  const a = await server('a')
  const catalogue = new DrillCatalogue(platform, clock)
  catalogue.reread()
  const drill = catalogue.find('move') ?? assert.fail('no drill')
  const unknown = { ...platform, groups: [] }
  assert.equal(isRiskyLive({ ...drill, practice: 'never' }, 'file', unknown), true)
  assert.equal(isRiskyLive({ ...drill, practice: 'auto' }, 'file', unknown), false)
  assert.equal(isRiskyLive(drill, 'practice', unknown), false)
  const times = { askedMs: clock.ms, scheduledMs: null, expiresMs: clock.ms + HOUR }
  const draft = {
    ...times,
    platform,
    title: 't',
    by: 'otto',
    state: 'ready',
    drills: [{ drill, where: 'file' }],
  } as const
  const add = (id: string, slot: string | null) =>
    a.database.write((writing) => addOrder(writing, orderOf({ ...draft, id }), slot))
  for (let at = 0; at < 50; at++) await add(`o${at}`, null)
  await assert.rejects(add('more', null), /open already/)
  assert.equal(await add('scheduled', 'move@1'), true)
  await a.database.close()
})

it('who is not heard because the store is not heard is not silent', () => {
  const clock = { ms: 0, nowMs: () => clock.ms, wallMs: () => clock.ms }
  const ears: { hear: (record: unknown) => void; gap: (because: string) => void }[] = []
  const ledger = {
    watchAll: (hear: (record: unknown) => void, gap: (because: string) => void) => ears.push({ hear, gap }),
  }
  const records = new DrillRecords({ desk: { ledger } as never, because: '', clock })
  records.start()
  const [ear] = ears
  ear?.hear({ group: 'orders', active: { id: 'one', beat: 1 }, past: [] })
  clock.ms = 20_000
  assert.equal(records.silentMs('orders'), 20_000)
  ear?.gap('the store is away')
  clock.ms = 60_000
  assert.equal(records.silentMs('orders'), 0)
  ear?.hear({ group: 'carts', active: null, past: [] })
  clock.ms = 61_000
  assert.equal(records.silentMs('orders'), 1_000)
})

it('a game day ends at the first drill that does not pass; another file than was asked for is not run', async () => {
  const { file, platform, clock, children, server } = await scene('{ cron: "0 0 1 1 *" }')
  const a = await server('a')
  await a.turn()
  const catalogue = new DrillCatalogue(platform, clock)
  catalogue.reread()
  const drill = catalogue.find('move') ?? assert.fail('no drill')
  const draft = {
    platform,
    by: 'otto',
    askedMs: clock.ms,
    scheduledMs: null,
    state: 'ready',
    expiresMs: clock.ms + HOUR,
  } as const
  const both = [drill, drill].map((one) => ({ drill: one, where: 'file' as const }))
  await a.database.write((writing) =>
    addOrder(writing, orderOf({ ...draft, id: 'day', title: 'day', drills: both }), null),
  )
  await a.turn()
  await until('it runs', () => children.length > 0)
  children[0]?.end({ outcome: 'failed', because: 'too slow' })
  await a.conductor.close()
  const day = (await findOrder(a.database.read, 'day'))?.order
  assert.deepEqual([day?.state, day?.because, day?.drills[1]?.outcome], ['ended', 'too slow', null])
  const b = await server('a')
  writeFileSync(
    file,
    'version: 1\ndrill: move\ngroup: orders\nfault: { kind: kill }\nobjectives: { rto: 9s, rpo: 0s }\n',
  )
  await b.database.write((writing) =>
    addOrder(writing, orderOf({ ...draft, id: 'late', title: 'late', drills: both.slice(0, 1) }), null),
  )
  for (let turn = 0; turn < 3; turn++) {
    clock.ms += 6_000
    await b.turn()
  }
  await b.conductor.close()
  const late = (await findOrder(b.database.read, 'late'))?.order
  assert.deepEqual([late?.state, late?.drills[0]?.outcome, children.length], ['ended', 'refused', 1])
  assert.match(late?.because ?? '', /not the one that was asked for/)
  for (const one of [a, b]) await one.database.close()
})

it('what a process says last is its outcome; one that says nothing has none', () => {
  const passed = JSON.stringify({ ok: true, drills: [{ outcome: 'passed', because: 'well' }] })
  assert.deepEqual(endOf(passed, 0, null), { outcome: 'passed', because: 'well' })
  const refused = JSON.stringify({ ok: false, error: { code: 'X', message: 'no', next: 'wait' } })
  assert.deepEqual(endOf(refused, 1, null), { outcome: 'refused', because: 'no; wait' })
  assert.equal(endOf('', null, 'SIGKILL').outcome, null)
})
