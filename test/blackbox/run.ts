/**
 * One run from start to verdict: makes the world, starts the subject and the workloads, does one fault after the other,
 * heals, reads every member, checks. Bounded in every step, and whatever happens it takes down what it made. What the
 * pieces are made of stands in `pieces.ts`.
 */
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ArtefactFolder, makeArtefacts } from './artefacts.ts'
import { serviceVerdicts } from './checkers/site-moves.ts'
import type { FaultPlan, Promotion, Subject, Verdict, World } from './contract.ts'
import { HistoryWriter, nowNs } from './history.ts'
import { judgeLane, type RunningLane, startLane, tagOf } from './lanes.ts'
import { FAULTS } from './nemesis/faults.ts'
import { type StruckFault, strike } from './nemesis/nemesis.ts'
import { makePlan, type PlannedFault } from './nemesis/plan.ts'
import { type Field, restart } from './nemesis/ways.ts'
import { type StagedSubject, stageSubject, stageWorld } from './pieces.ts'
import { gather, type PlacedFault, placesOf, serviceInput } from './places.ts'
import { MEMBER_HOSTS, type RunSettings, STORE_HOSTS, subjectText } from './settings.ts'
import type { MadeWorld } from './world/make-world.ts'

export interface FaultRow {
  readonly number: number
  readonly fault: string
  readonly at: readonly string[]
  readonly lastsMs: number
  /** What was asked for in its midst, and what the answer was; null when nothing was. */
  readonly asks: NonNullable<FaultPlan['asks']>
  readonly switchover: string | null
  /** From the way back until the group was whole; null when that never came. */
  readonly wholeAfterMs: number | null
  /** The longest time without an acknowledged write, of the group that waited longest, that reaches into the fault. */
  readonly outageMs: number
  readonly promotions: readonly Promotion[]
}

export interface RunReport {
  readonly ok: boolean
  readonly settings: RunSettings
  readonly world: World['kind']
  readonly faultMs: number
  readonly acknowledged: number
  readonly rows: readonly FaultRow[]
  readonly promotions: readonly Promotion[]
  readonly verdicts: readonly Verdict[]
  /** Kept; null when it was removed. */
  readonly folder: string | null
}

export interface RunOptions {
  readonly settings: RunSettings
  readonly say: (line: string) => void
  readonly signal: AbortSignal
  /** Removes the folder also when a checker is not content. */
  readonly discard?: boolean
}

/** Everything takes a second or two alone; other work on the same cores may stretch that. */
const START_BOUND_MS = 180_000
/** B9: a group that is not whole so long after the last way back did not heal. */
export const WHOLE_BOUND_MS = 90_000
/** Waiting processes a core, from which on everything takes its time; and how much more time is given at most. */
const BUSY_PER_CORE = 3
const BUSY_MAX = 5
/** Longer than most faults need, so that a run says little when all goes well. */
const WHOLE_TURN_MS = 5_000
/** Writes before the first fault and after the last heal, so that each has a before and an after. */
const SETTLE_MS = 2_000
/** Beside the minutes of faults: start, last heal, final read, checks. Beyond it the run is hung. */
const BESIDES_MS = 960_000
const STOP_BOUND_MS = 60_000
/** Never planned more: at least a second a fault. */
const PLAN_MAX = 10_000

/** Everything of one run that later steps need. */
interface Course {
  readonly options: RunOptions
  readonly folder: ArtefactFolder
  readonly world: World
  readonly subject: Subject
  /** Its lane is that of the fault under way. */
  readonly field: Field
  readonly history: HistoryWriter
  readonly lanes: readonly RunningLane[]
  readonly startNs: number
  readonly signal: AbortSignal
  readonly rows: FaultRow[]
  /** Where a service was around each fault. */
  readonly placed: PlacedFault[]
  readonly healing: string[]
}

export async function run(options: RunOptions): Promise<RunReport> {
  const { settings, say } = options
  const folder = makeArtefacts()
  const bound = AbortSignal.timeout(settings.minutes * 60_000 + BESIDES_MS)
  const signal = AbortSignal.any([options.signal, bound])
  const undo: (() => Promise<void> | void)[] = []
  let ok = false
  try {
    const hosts = [...MEMBER_HOSTS[settings.scenario], ...STORE_HOSTS[settings.store], 'edge']
    const world = await unless(signal, stageWorld(hosts, folder.path, settings))
    undo.push(() => world.close())
    say(`seed ${settings.seed}, ${subjectText(settings)}, ${world.kind}, ${folder.path}`)
    const staged = await unless(signal, stageSubject(world, folder.path, settings))
    undo.push(() => staged.subject.stop())
    const course = await begin({ options, folder, world, staged, signal, undo })
    await faults(course)
    const report = await end(course)
    ok = report.ok
    return { ...report, folder: keeps(options, ok) ? folder.path : null }
  } finally {
    for (const step of undo.reverse()) {
      const stopping = Promise.resolve(step()).catch((error) => say(`taking down: ${messageOf(error)}`))
      await Promise.race([stopping, sleep(STOP_BOUND_MS, undefined, { ref: false })])
    }
    folder.close({ keep: keeps(options, ok), say })
  }
}

/** Who interrupts a run does not want to look at it. */
function keeps({ settings, signal, discard = false }: RunOptions, ok: boolean): boolean {
  return settings.keep || (!ok && !discard && !signal.aborted)
}

interface Beginning extends Pick<Course, 'options' | 'folder' | 'signal'> {
  readonly staged: StagedSubject
  readonly world: MadeWorld
  readonly undo: (() => Promise<void> | void)[]
}

async function begin({ options, folder, world, staged, signal, undo }: Beginning): Promise<Course> {
  const { subject, disks, clocks } = staged
  const { say, settings } = options
  await unless(signal, bounded(subject.start(), START_BOUND_MS, 'the subject did not start'))
  const primary = await unless(signal, subject.whole(START_BOUND_MS))
  say(`whole, primary ${primary}`)
  const history = new HistoryWriter(folder.file('nemesis.jsonl'))
  undo.push(() => history.close())
  const lanes: RunningLane[] = []
  for (const lane of subject.lanes) {
    const tag = tagOf(subject.lanes, lane)
    const stage = { world, lane, edge: subject.edge, folder: folder.path, tag, settings }
    lanes.push(await unless(signal, startLane(stage, undo)))
  }
  const field = fieldOf(subject, { world, disks, clocks })
  const healing: string[] = []
  // Whoever is there first founds its group, so a service may begin at both its sites.
  if ((await unless(signal, gather(subject, say, healing))) === true)
    await unless(signal, subject.whole(START_BOUND_MS))
  await sleep(SETTLE_MS, undefined, { signal })
  const course = { options, folder, world, subject, field, history, lanes, signal }
  return { ...course, startNs: nowNs(), rows: [], placed: [], healing }
}

function fieldOf(subject: Subject, means: Pick<Field, 'world' | 'disks' | 'clocks'>): Field {
  const [lane] = subject.lanes
  if (lane === undefined) throw new Error('a subject has a group at least')
  return { ...means, subject, lane, memberHosts: hostsOf(subject) }
}

function hostsOf({ lanes }: Subject): readonly string[] {
  return [...new Set(lanes.flatMap(({ members }) => members.map(({ host }) => host)))]
}

async function faults(course: Course): Promise<void> {
  const { options, folder, subject, signal, startNs } = course
  const { settings } = options
  const plan = planOf(settings, subject)
  folder.write('plan.json', `${JSON.stringify({ settings, plan: plan.slice(0, 500) }, null, 1)}\n`)
  const endsNs = startNs + settings.minutes * 60e9
  let before: PlannedFault | null = null
  for (const fault of plan) {
    const quietMs = fault.afterMs - (before === null ? 0 : before.afterMs + before.lastsMs)
    before = fault
    if (settings.without.includes(fault.number)) continue
    if (nowNs() + quietMs * 1e6 > endsNs || course.healing.length > 0) return
    await sleep(quietMs, undefined, { signal })
    await oneFault(course, fault)
  }
}

/** As many faults as may fit; the run ends by its time. */
export function planOf(settings: RunSettings, subject: Subject): readonly PlannedFault[] {
  return makePlan({
    seed: settings.seed,
    faults: settings.faults,
    count: settings.count ?? Math.min(PLAN_MAX, Math.ceil(settings.minutes * 60)),
    profile: settings.profile,
    lanes: subject.lanes.length,
    memberHosts: hostsOf(subject),
    storeHosts: subject.storeHosts,
    edge: subject.edge,
    striking: settings.striking,
    stretch: settings.stretch,
  })
}

async function oneFault(course: Course, plan: PlannedFault): Promise<void> {
  const { options, history, subject, signal, lanes } = course
  const { say, settings } = options
  const losesSites = FAULTS[plan.fault]?.losesSites ?? 0
  // A service that other faults left at both sites is brought together first, or no site could be lost with all of it.
  if (losesSites > 0 && !(await together(course))) return
  const lane = subject.lanes[plan.lane ?? 0] ?? course.field.lane
  const before = await placesOf(subject)
  const fromNs = nowNs()
  let healedNs = fromNs
  const note = (f: 'fault' | 'heal' | 'whole', struck: StruckFault): void => {
    const { number, fault, lastsMs } = struck.plan
    const value = { fault, at: struck.at, number, lastsMs, excuses: struck.excuses }
    history.write({ type: 'info', process: 'nemesis', f, value })
  }
  const struck = await strike({
    field: { ...course.field, lane },
    seed: settings.seed,
    plan,
    signal,
    onFault: (begun) => {
      note('fault', begun)
      say(`${clock(course)}  ${faultLine(begun, lanes.length === 1 ? '' : ` (${lane.group})`)}`)
    },
    onHeal: (healed) => {
      healedNs = nowNs()
      note('heal', healed)
    },
  })
  const wholeAfterMs = await wholeAgain(course, healedNs, plan)
  if (wholeAfterMs !== null) note('whole', struck)
  const row = { ...(await rowOf(course, struck, fromNs)), wholeAfterMs }
  course.rows.push(row)
  const { number, fault } = plan
  const after = await placesOf(subject)
  course.placed.push({ number, fault, losesSite: losesSites === 1, fromNs, toNs: nowNs(), before, after })
  say(`${clock(course)}    ${rowText(row)}`)
  signal.throwIfAborted()
}

function faultLine({ plan, at }: StruckFault, group: string): string {
  const { number, fault, lastsMs, switchoverAfterMs, asks = 'switchover' } = plan
  const move = switchoverAfterMs === null ? '' : `, ${asks} after ${switchoverAfterMs} ms`
  return `${number} ${fault}${group} at ${at.join(' ') || '-'} for ${lastsMs} ms${move}`
}

async function together(course: Course): Promise<boolean> {
  const { subject, options, healing } = course
  const moved = await gather(subject, (line) => options.say(`${clock(course)}  ${line}`), healing)
  return moved === null || (moved && (await wholeAgain(course, nowNs(), null)) !== null)
}

async function rowOf({ lanes }: Course, { plan, at, switchover }: StruckFault, fromNs: number) {
  const { number, fault, lastsMs, asks = 'switchover' } = plan
  for (const { live } of lanes) live.look()
  const outageMs = Math.max(...lanes.map(({ live }) => Math.round(live.outageMs(fromNs, nowNs()))))
  const all = (await Promise.all(lanes.map(({ lane }) => lane.promotions()))).flat()
  const promotions = all.filter(({ time }) => time >= fromNs)
  return { number, fault, at, lastsMs, asks, switchover, outageMs, promotions }
}

function rowText({ wholeAfterMs, outageMs, promotions, asks, switchover }: FaultRow): string {
  const who = promotions.map(({ member, epoch, reason }) => `${member} epoch ${epoch} (${reason})`).join(', ')
  const healed = wholeAfterMs === null ? 'NOT WHOLE' : `whole ${wholeAfterMs} ms after the way back`
  const asked = switchover === null ? '' : `; ${asks} ${switchover.split('\n').at(-1)}`
  return `writes stood still ${outageMs} ms; ${who === '' ? 'no promotion' : `promoted ${who}`}; ${healed}${asked}`
}

/** Asked in short turns, so that somebody who waits learns what is missing. */
async function wholeAgain(course: Course, healedNs: number, plan: PlannedFault | null): Promise<number | null> {
  const { subject, signal, healing, options } = course
  const fromNs = nowNs()
  const boundMs = (): number => WHOLE_BOUND_MS * busyness()
  let lack = ''
  while (nowNs() < fromNs + boundMs() * 1e6) {
    mend(course)
    try {
      await unless(signal, subject.whole(WHOLE_TURN_MS))
      return Math.round((nowNs() - healedNs) / 1e6)
    } catch (error) {
      signal.throwIfAborted()
      if (messageOf(error) === lack) continue
      lack = messageOf(error)
      options.say(`${clock(course)}      ${lack}`)
    }
  }
  const after = plan === null ? 'without a fault' : `after fault ${plan.number} ${plan.fault}`
  healing.push(`not whole within ${Math.round((nowNs() - fromNs) / 1e9)} s ${after}: ${lack}`)
  return null
}

/** 1 on a machine that can do its work; a copy that takes a second there may take a minute where forty others work. */
function busyness(): number {
  return Math.min(BUSY_MAX, Math.max(1, (loadavg()[0] ?? 0) / (BUSY_PER_CORE * availableParallelism())))
}

/** A plan whose runner died is a person's business: this one goes on with it, or takes it back. */
function mend({ subject, rows, options }: Course): void {
  const way = (options.settings.seed + rows.length) % 2 === 0 ? 'resume' : 'cancel'
  subject.service?.mend(way).catch((error) => options.say(`${way}: ${messageOf(error)}`))
}

async function end(course: Course): Promise<RunReport> {
  const { options, folder, world, subject, field, lanes, signal, healing, rows } = course
  const { settings, say } = options
  const faultMs = Math.round((nowNs() - course.startNs) / 1e6)
  await world.heal()
  restart(field, allPlaces(subject))
  await sleep(SETTLE_MS, undefined, { signal })
  if (healing.length === 0) await wholeAgain(course, nowNs(), null)
  say(`${clock(course)}  ends: stops the workloads, reads every member, checks`)
  await Promise.all(lanes.map((one) => one.stop()))
  for (const { live } of lanes) live.close()
  course.history.close()
  if (healing.length === 0) await wholeAgain(course, nowNs(), null)
  const judged = []
  for (const one of lanes) judged.push(await judgeLane(one, folder, tagOf(subject.lanes, one.lane)))
  healing.push(...judged.flatMap(({ unread }) => unread))
  const verdicts = [...judged.flatMap((one) => one.verdicts), healedVerdict(course)]
  if (subject.service !== null) {
    folder.write(
      'plans.jsonl',
      subject.service
        .plans()
        .map((plan) => `${JSON.stringify(plan)}\n`)
        .join(''),
    )
    verdicts.push(...serviceVerdicts(serviceInput(subject, judged, course.placed)))
  }
  const ok = verdicts.every((verdict) => verdict.ok)
  const acknowledged = lanes.reduce((sum, { live }) => sum + live.acknowledged, 0)
  const promotions = judged.flatMap((one) => one.promotions)
  const report = { ok, settings, world: world.kind, faultMs, acknowledged, rows, promotions, verdicts }
  folder.write('report.json', `${JSON.stringify(report, null, 1)}\n`)
  return { ...report, folder: null }
}

function allPlaces(subject: Subject) {
  const members = hostsOf(subject).map((host) => ({ host, part: 'agent' as const }))
  const stores = subject.storeHosts.map((host) => ({ host, part: 'store' as const }))
  return [...stores, ...members, { host: subject.edge, part: 'router' as const }]
}

function healedVerdict({ rows, healing }: Course): Verdict {
  const times = rows.flatMap(({ wholeAfterMs }) => (wholeAfterMs === null ? [] : [wholeAfterMs])).sort((a, b) => a - b)
  const figures = { faults: rows.length, wholeMsMedian: times[times.length >> 1] ?? 0, wholeMsMax: times.at(-1) ?? 0 }
  return { checker: 'healed', ok: healing.length === 0, figures, findings: healing }
}

function clock({ startNs }: Course): string {
  return `${((nowNs() - startNs) / 1e9).toFixed(1).padStart(7)} s`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What is under way is not waited for once the run is to end; taking down ends it. */
function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

function bounded<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  return unless(AbortSignal.timeout(ms), work).catch((error) => {
    throw error instanceof Error && error.name === 'TimeoutError' ? new Error(`${what} within ${ms / 1_000} s`) : error
  })
}
