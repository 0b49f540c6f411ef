/**
 * What the server that leads does about drills: takes what the schedule says is due, runs what is ready one after the
 * other, takes over what a server that is gone left behind, and writes down what begins and ends. Every step is in the
 * database, in one transaction with the leader's beat, before anything is done; so it is done once.
 */
import type { Platform } from '../../config/platform.ts'
import type { Desk } from '../../drills/desk.ts'
import { agentsBeside } from '../../drills/desk.ts'
import { type ActiveDrill, type EndedDrill, SILENT_MS } from '../../drills/ledger.ts'
import { storeChain } from '../../drills/store-chain.ts'
import { abortDrill } from '../../drills/undo.ts'
import { writeReport } from '../../evidence/folder.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { freshId } from '../../io/random.ts'
import { appendAudit } from '../audit/audit-log.ts'
import type { Database, Writing } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { writeEvents } from '../events.ts'
import type { Draft } from '../follow/changes.ts'
import { type DrillCatalogue, SCHEDULE_FACT } from './catalogue.ts'
import { type ChildEnd, type DrillChild, startChild } from './child.ts'
import { orderOf } from './order-draft.ts'
import { addOrder, beatOrder, editOrder, forgetOldOrders, type Kept, type Order, openOrders } from './orders.ts'
import type { DrillRecords } from './records.ts'
import { type DrillReports, evidenceFolder } from './reports.ts'
import { LATE_MS_MAX, type Looked, slotsOf } from './schedule.ts'
import { begunDraft, endedDraft, lineDraft, missedDraft } from './tell.ts'

export interface ConductorOptions {
  readonly platform: Platform
  readonly database: Database
  readonly leader: Leader
  readonly clock: Clock
  readonly log: Log
  readonly name: string
  readonly desk: Desk | null
  readonly records: DrillRecords
  readonly catalogue: DrillCatalogue
  readonly reports: DrillReports
  /** Something was written down. */
  readonly onWritten: () => void
  /** Another one in tests. */
  readonly start?: typeof startChild
}

/** The runner of an order beats every `LOOK_MS`, on a crowded machine later; after this it is gone. */
const ADOPT_MS = 60_000
/** The same, when its drill has ended and only that was not written down. */
const ENDED_MS = 20_000
const UNDO_MS = 60_000
/** Its drill was told to stop through the store; if it hears nothing, its pipe is closed. */
const CLOSE_MS = 3_000
/** Whoever ends a server waits a little longer than this. */
const END_MS = 15_000
/** The schedule, and the folder of reports. */
const LOOK_MS = 5_000
const SEEN_FACT = 'drill-seen/'

export class DrillConductor {
  readonly #options: ConductorOptions
  /** This life of this server. */
  readonly #life: string
  readonly #seen = new Map<string, string>()
  /** Orders that others run: the beat that was seen, and since when it is that one. */
  readonly #orphans = new Map<string, { readonly beat: number; readonly sinceMs: number }>()
  readonly #undoing = new Set<string>()
  #running: { readonly order: string; child: DrillChild | null; run: string; group: string; stopAtMs: number } | null =
    null
  #work: Promise<void> = Promise.resolve()
  #closed = false
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #beatAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ConductorOptions) {
    this.#options = options
    this.#life = `${options.name} ${freshId()}`
  }

  async turn(): Promise<void> {
    const { leader, catalogue, database, reports, records, platform, clock, log } = this.#options
    // Of our own: who looks at the drills reads the catalogue, too, and must not take our turn at the schedule.
    const fresh = clock.nowMs() - this.#lookedAtMs >= LOOK_MS
    await catalogue.refresh(database.read)
    if (fresh) {
      this.#lookedAtMs = clock.nowMs()
      // One report that cannot be taken in keeps no drill from its time.
      await reports.takeIn().catch((error: unknown) => log.warn({ error }, 'reports-not-taken'))
      await records.look(platform.groups[0]?.name ?? '').catch(() => undefined)
    }
    await this.#lookAfterOwn()
    if (!leader.state.leading) {
      this.#seen.clear()
      return
    }
    await this.#tellChanges()
    if (fresh) await this.#schedule()
    const open = await openOrders(database.read)
    await this.#expire(open)
    await this.#adopt(open)
    await this.#next(open)
  }

  /** Its drill is stopped, with its report; one that takes longer ends without us. */
  async close(): Promise<void> {
    this.#closed = true
    this.#running?.child?.close()
    await Promise.race([this.#work, new Promise((resolve) => setTimeout(resolve, END_MS).unref())])
  }

  /** Null: this server does not lead any more, and nothing was written. */
  async #write<T>(change: (writing: Writing) => Promise<T>): Promise<{ readonly value: T } | null> {
    const done = await this.#options.leader.write(change)
    if (done !== null) this.#options.onWritten()
    return done
  }

  async #note(writing: Writing, draft: Draft, outcome: 'done' | 'refused' | 'failed' = 'done'): Promise<void> {
    const { clock, name } = this.#options
    const { code, group, detail } = draft
    const note = {
      actor: `server ${name}`,
      action: code,
      subject: `group ${group ?? ''}`,
      outcome,
      address: '',
      detail,
    }
    await appendAudit(writing, note, clock.wallMs())
    await writeEvents(writing, [draft], clock.wallMs())
  }

  /** What begins and ends in the store, whoever runs it. */
  async #tellChanges(): Promise<void> {
    const { platform, records, database, clock } = this.#options
    for (const { name: group } of platform.groups) {
      const { active, past } = records.of(group)
      const gist = JSON.stringify([active?.id ?? null, past.at(-1)?.id ?? null])
      if (this.#seen.get(group) === gist) continue
      const key = `${SEEN_FACT}${group}`
      const row = await database.read.selectFrom('facts').select('body').where('key', '=', key).executeTakeFirst()
      // The store has not answered yet: what was told of stays so, or all of it would be told anew.
      if (row !== undefined && row.body !== gist && active === null && past.length === 0) continue
      const drafts = row === undefined || row.body === gist ? [] : changesOf(group, row.body, active, past)
      const written = await this.#write(async (writing) => {
        await setFact(writing, key, gist)
        await writeEvents(writing, drafts, clock.wallMs())
      })
      if (written !== null) this.#seen.set(group, gist)
    }
  }

  async #schedule(): Promise<void> {
    const { catalogue, clock } = this.#options
    const nowMs = Math.round(clock.wallMs())
    await this.#write(async (writing) => {
      for (const drill of catalogue.drills) {
        if (drill.schedule === null) continue
        const key = `${SCHEDULE_FACT}${drill.settings.drill}`
        const row = await writing.selectFrom('facts').select('body').where('key', '=', key).executeTakeFirst()
        const before = row === undefined ? null : (JSON.parse(row.body) as Looked)
        const { looked, slots } = slotsOf(drill.schedule, before, nowMs)
        for (const slot of slots) {
          const about = { drill: drill.settings.drill, group: drill.settings.group, wallMs: nowMs }
          const missed = slot.kind === 'missed' ? slot.because : ''
          const order = orderOf({
            ...{ id: freshId(), title: about.drill, by: 'schedule', askedMs: nowMs, scheduledMs: slot.atMs },
            drills: [{ drill, where: 'file' }],
            platform: this.#options.platform,
            state: slot.kind === 'run' ? 'ready' : 'missed',
            because: missed,
            expiresMs: slot.atMs + LATE_MS_MAX,
          })
          const added = await addOrder(writing, order, `${about.drill}@${slot.atMs}`)
          if (added && missed !== '') await this.#note(writing, missedDraft(about, missed), 'failed')
        }
        if (row === undefined || slots.length > 0 || looked.untilMs - (before?.untilMs ?? 0) !== 0) {
          await setFact(writing, key, JSON.stringify(looked))
        }
      }
      await forgetOldOrders(writing)
    })
  }

  async #expire(open: readonly Kept[]): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    for (const { order } of open) {
      if (order.state === 'running' || order.expiresMs === null || nowMs < order.expiresMs) continue
      await this.#write((writing) =>
        editOrder(writing, order.id, ({ order: now }) => {
          if (now.state === 'waiting') return { ...now, state: 'expired', because: 'nobody approved it in time' }
          if (now.state !== 'ready') return null
          return { ...now, state: 'missed', because: 'another drill ran, or no server led, until it was too late' }
        }).then(async (done) => {
          const [first] = order.drills
          if (done?.state !== 'missed' || first === undefined) return
          const about = { drill: first.drill, group: first.group, wallMs: nowMs }
          await this.#note(writing, missedDraft(about, done.because), 'failed')
        }),
      )
    }
  }

  /** What nobody here runs. Its drill may go on elsewhere, may have ended, or has to be ended from here. */
  async #adopt(open: readonly Kept[]): Promise<void> {
    const { records } = this.#options
    for (const id of this.#orphans.keys()) {
      if (!open.some(({ order }) => order.id === id)) this.#orphans.delete(id)
    }
    for (const { order, runner, beat } of open) {
      if (order.state !== 'running' || this.#runsHere(order.id, runner)) continue
      const stillMs = this.#stillMs(order.id, beat)
      const now = order.drills.findLast(({ run }) => run !== null)
      const { active, past } = now === undefined ? { active: null, past: [] } : records.of(now.group)
      if (now !== undefined && active?.id === now.run) {
        if (records.silentMs(now.group) > SILENT_MS) void this.#undo(now.group)
        continue
      }
      const ended = past.find(({ id }) => id === now?.run)
      if (stillMs < (ended === undefined ? ADOPT_MS : ENDED_MS)) continue
      if (ended === undefined && records.because !== '') continue
      const gone =
        runner === this.#life
          ? 'what became of it could not be written down'
          : 'the server that ran it was gone before it was in the store'
      const because = ended?.because ?? gone
      await this.#write((writing) => this.#end(writing, order.id, ended?.outcome ?? 'aborted', because))
      this.#orphans.delete(order.id)
    }
    // A person asked for an end, and the runner is not there to hear it.
    for (const { name } of this.#options.platform.groups) {
      if (records.of(name).active?.abort != null && records.silentMs(name) > SILENT_MS) void this.#undo(name)
    }
  }

  /** Of a runner that lives the beat moves: also on a copy, of which no store tells, and between two drills. */
  #stillMs(id: string, beat: number): number {
    const nowMs = this.#options.clock.nowMs()
    const before = this.#orphans.get(id)
    const seen = before?.beat === beat ? before : { beat, sinceMs: nowMs }
    this.#orphans.set(id, seen)
    return nowMs - seen.sinceMs
  }

  /** One of ours whose end could not be written down is nobody's any more. */
  #runsHere(id: string, runner: string | null): boolean {
    return runner === this.#life && this.#running?.order === id
  }

  async #undo(name: string): Promise<void> {
    const { platform, desk, clock, log, reports } = this.#options
    const group = platform.groups.find((one) => one.name === name)
    if (desk === null || group === undefined || this.#undoing.has(name)) return
    this.#undoing.add(name)
    try {
      const key = await reports.key()
      const done = await abortDrill({
        group: name,
        by: `server ${this.#options.name}`,
        because: 'its runner is gone',
        ledger: desk.ledger,
        agents: agentsBeside(platform, group),
        clientOf: desk.clientOf,
        clock,
        say: (line) => log.warn({ group: name, line }, 'drill-undo'),
        timeoutMs: UNDO_MS,
        interrupted: new AbortController().signal,
        write: (make) => writeReport(evidenceFolder(platform), key, storeChain(desk), make),
      })
      log.warn({ group: name, ...done }, 'drill-undone')
      await reports.takeIn()
    } catch (error) {
      log.warn({ error, group: name }, 'drill-not-undone')
    } finally {
      this.#undoing.delete(name)
    }
  }

  async #next(open: readonly Kept[]): Promise<void> {
    if (this.#running !== null || this.#closed) return
    // One at a time on the whole platform: two faults at once are another experiment.
    if (open.some(({ order }) => order.state === 'running')) return
    const ready = open.find(({ order }) => order.state === 'ready')
    if (ready === undefined) return
    const { id } = ready.order
    const begun = await this.#write((writing) =>
      editOrder(
        writing,
        id,
        ({ order }) => (order.state === 'ready' ? { ...order, state: 'running', because: '' } : null),
        { runner: this.#life },
      ),
    )
    if (begun === null || begun.value === null) return
    this.#running = { order: id, child: null, run: '', group: '', stopAtMs: 0 }
    this.#work = this.#run(begun.value)
      .catch((error: unknown) => this.#options.log.error({ error }, 'drill-order-broken'))
      .finally(() => {
        this.#running = null
      })
  }

  async #run(order: Order): Promise<void> {
    for (const [index, wanted] of order.drills.entries()) {
      const run = freshId()
      const place = await this.#write((writing) =>
        editOrder(writing, order.id, ({ order: now, runner }) => {
          if (runner !== this.#life || now.because !== '' || this.#closed) return null
          return { ...now, drills: now.drills.map((one, at) => (at === index ? { ...one, run } : one)) }
        }),
      )
      if (place === null || place.value === null) break
      const end = await this.#runOne(order, wanted, run)
      await this.#options.database.write((writing) => this.#outcome(writing, order.id, index, end))
      this.#options.onWritten()
      if (end.outcome !== 'passed') break
    }
    await this.#options.database.write((writing) =>
      editOrder(writing, order.id, ({ order: now, runner }) => {
        if (runner !== this.#life || now.state !== 'running') return null
        return endedOrder(now, this.#options.clock.wallMs())
      }),
    )
    this.#options.onWritten()
  }

  async #runOne(order: Order, wanted: Order['drills'][number], run: string): Promise<ChildEnd> {
    const { catalogue, platform, log, reports, name } = this.#options
    catalogue.reread()
    const drill = catalogue.find(wanted.drill)
    if (drill === null || drill.sha256 !== wanted.sha256) {
      const because = drill === null ? 'its file is gone or has mistakes' : 'its file is not the one that was asked for'
      return { outcome: 'refused', because }
    }
    let before = ''
    const child = (this.#options.start ?? startChild)({
      file: drill.file,
      platformFile: platform.file,
      practice: wanted.practice,
      order: {
        id: run,
        by: `${order.by}@server ${name}`,
        sha256: wanted.sha256,
        configSha256: order.configSha256,
        approvedBy: order.decidedBy,
      },
      log,
      onEntry: (entry) => {
        // What begins and ends in the store is told from there; a copy has a store of its own.
        if (!wanted.practice && (entry.code === 'drill-begun' || entry.code === 'ended')) return
        // What is tried again every second is told once.
        const gist = JSON.stringify([entry.code, entry.detail])
        if (gist === before) return
        before = gist
        void this.#write((writing) => writeEvents(writing, [lineDraft(wanted, run, entry)], entry.wallMs)).catch(
          (error: unknown) => log.warn({ error }, 'drill-line-not-written'),
        )
      },
    })
    this.#running = { order: order.id, child, run, group: wanted.group, stopAtMs: 0 }
    const end = await child.ended
    this.#running = { order: order.id, child: null, run: '', group: '', stopAtMs: 0 }
    await reports.takeIn().catch((error: unknown) => log.warn({ error }, 'reports-not-taken'))
    return end
  }

  async #outcome(writing: Writing, id: string, index: number, { outcome, because }: ChildEnd): Promise<void> {
    await editOrder(writing, id, ({ order, runner }) => {
      // What somebody else ended in the meantime has its outcome.
      if (runner !== this.#life || order.state !== 'running') return null
      const told = { outcome: outcome ?? ('aborted' as const), because }
      return { ...order, drills: order.drills.map((one, at) => (at === index ? { ...one, ...told } : one)) }
    })
  }

  async #end(writing: Writing, id: string, outcome: EndedDrill['outcome'], because: string): Promise<void> {
    await editOrder(writing, id, ({ order, runner }) => {
      if (this.#runsHere(id, runner) || order.state !== 'running') return null
      const at = order.drills.findLastIndex(({ run }) => run !== null)
      const drills = order.drills.map((one, index) => (index === at ? { ...one, outcome, because } : one))
      return endedOrder({ ...order, drills }, this.#options.clock.wallMs())
    })
  }

  /** An order that somebody stopped: its drill hears it by the store; one that is not there yet by its pipe. */
  async #lookAfterOwn(): Promise<void> {
    const own = this.#running
    if (own === null) return
    const { database, clock, records } = this.#options
    if (clock.nowMs() - this.#beatAtMs >= LOOK_MS) {
      this.#beatAtMs = clock.nowMs()
      await database.write((writing) => beatOrder(writing, own.order, this.#life))
    }
    if (own.child === null) return
    const row = await database.read
      .selectFrom('drill_orders')
      .select('body')
      .where('id', '=', own.order)
      .executeTakeFirst()
    if (row === undefined || (JSON.parse(row.body) as Order).because === '') return
    const nowMs = clock.nowMs()
    if (own.stopAtMs === 0) own.stopAtMs = nowMs + CLOSE_MS
    const claimed = records.of(own.group).active?.id === own.run
    if (!claimed || nowMs > own.stopAtMs) own.child.close()
  }
}

function endedOrder(order: Order, wallMs: number): Order {
  const passed = order.drills.every(({ outcome }) => outcome === 'passed')
  const bad = order.drills.find(({ outcome }) => outcome !== null && outcome !== 'passed')
  const because = passed ? 'every drill passed' : (bad?.because ?? (order.because || 'it was not run to its end'))
  return { ...order, state: 'ended', because, endedMs: Math.round(wallMs) }
}

function changesOf(
  group: string,
  before: string,
  active: ActiveDrill | null,
  past: readonly EndedDrill[],
): readonly Draft[] {
  const [wasActive, last] = JSON.parse(before) as [string | null, string | null]
  const at = past.findIndex(({ id }) => id === last)
  const ended = last === null ? past : at === -1 ? past.slice(-1) : past.slice(at + 1)
  const begun =
    active !== null && active.id !== wasActive
      ? [begunDraft({ drill: active.drill, group, wallMs: active.startedWallMs }, active.id, active.by)]
      : []
  return [...ended.map((one) => endedDraft(group, one)), ...begun]
}

async function setFact(writing: Writing, key: string, body: string): Promise<void> {
  await writing
    .insertInto('facts')
    .values({ key, body })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ body }))
    .execute()
}
