/**
 * One run from start to verdict: makes the world, starts the subject and the workloads, does one fault after the other,
 * heals, reads every member, checks. Bounded in every step, and whatever happens it takes down what it made. What the
 * pieces are made of stands in `pieces.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ArtefactFolder, makeArtefacts } from './artefacts.ts'
import type { FinalState, Promotion, Subject, Verdict, World } from './contract.ts'
import { HistoryWriter, mergeHistories, nowNs } from './history.ts'
import { LiveHistory } from './live.ts'
import { type StruckFault, strike } from './nemesis/nemesis.ts'
import { makePlan, type PlannedFault } from './nemesis/plan.ts'
import { type Field, restart } from './nemesis/ways.ts'
import {
  check,
  checkWithoutFinal,
  makeTables,
  type Running,
  readMembers,
  runProbes,
  runWorkloads,
  type StagedSubject,
  stageSubject,
  stageWorld,
} from './pieces.ts'
import { type RunSettings, STORE_HOSTS } from './settings.ts'
import type { MadeWorld } from './world/make-world.ts'

export interface FaultRow {
  readonly number: number
  readonly fault: string
  readonly at: readonly string[]
  readonly lastsMs: number
  readonly switchover: string | null
  /** From the way back until the group was whole; null when that never came. */
  readonly wholeAfterMs: number | null
  /** The longest time without an acknowledged write that reaches into the fault. */
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
/** Longer than most faults need, so that a run says little when all goes well. */
const WHOLE_TURN_MS = 5_000
/** Writes before the first fault and after the last heal, so that each has a before and an after. */
const SETTLE_MS = 2_000
/** Beside the minutes of faults: start, last heal, final read, checks. Beyond it the run is hung. */
const BESIDES_MS = 480_000
const STOP_BOUND_MS = 60_000
/** Never planned more: at least a second a fault. */
const PLAN_MAX = 10_000

/** Everything of one run that later steps need. */
interface Course {
  readonly options: RunOptions
  readonly folder: ArtefactFolder
  readonly world: World
  readonly subject: Subject
  readonly field: Field
  readonly history: HistoryWriter
  readonly running: readonly Running[]
  readonly live: LiveHistory
  readonly startNs: number
  readonly signal: AbortSignal
  readonly rows: FaultRow[]
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
    const hosts = ['h1', 'h2', 'h3', ...STORE_HOSTS[settings.store], 'edge']
    const world = await unless(signal, stageWorld(hosts, folder.path, settings))
    undo.push(() => world.close())
    const what = [settings.subject, settings.engine, settings.mode, settings.profile].join(' ')
    say(`seed ${settings.seed}, ${what}, ${world.kind}, ${folder.path}`)
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
  await unless(signal, makeTables({ subject }))
  const history = new HistoryWriter(folder.file('nemesis.jsonl'))
  undo.push(() => history.close())
  const stage = { world, subject, folder: folder.path, settings }
  const running: Running[] = []
  undo.push(async () => void (await Promise.all(running.map((one) => one.stop()))))
  const workloads = await unless(signal, runWorkloads(stage))
  running.push(workloads)
  running.push(await unless(signal, runProbes(stage)))
  const live = new LiveHistory(workloads.file)
  undo.push(() => live.close())
  const field = { world, subject, memberHosts: subject.members.map(({ host }) => host), disks, clocks }
  await sleep(SETTLE_MS, undefined, { signal })
  const course = { options, folder, world, subject, field, history, running, live, signal }
  return { ...course, startNs: nowNs(), rows: [], healing: [] }
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
    memberHosts: subject.members.map(({ host }) => host),
    storeHosts: subject.storeHosts,
    edge: subject.edge,
    striking: settings.striking,
    stretch: settings.stretch,
  })
}

async function oneFault(course: Course, plan: PlannedFault): Promise<void> {
  const { options, field, history, subject, live, signal } = course
  const { say, settings } = options
  const fromNs = nowNs()
  let healedNs = fromNs
  const note = (f: 'fault' | 'heal', struck: StruckFault): void => {
    const { number, fault, lastsMs } = struck.plan
    const value = { fault, at: struck.at, number, lastsMs, excuses: struck.excuses }
    history.write({ type: 'info', process: 'nemesis', f, value })
  }
  const struck = await strike({
    field,
    seed: settings.seed,
    plan,
    signal,
    onFault: (begun) => {
      note('fault', begun)
      const move = plan.switchoverAfterMs === null ? '' : `, switchover after ${plan.switchoverAfterMs} ms`
      say(
        `${clock(course)}  ${plan.number} ${plan.fault} at ${begun.at.join(' ') || '-'} for ${plan.lastsMs} ms${move}`,
      )
    },
    onHeal: (healed) => {
      healedNs = nowNs()
      note('heal', healed)
    },
  })
  const wholeAfterMs = await wholeAgain(course, healedNs, plan)
  live.look()
  const outageMs = Math.round(live.outageMs(fromNs, nowNs()))
  const promotions = (await subject.promotions()).filter(({ time }) => time >= fromNs)
  const { number, fault, lastsMs } = plan
  const row = {
    number,
    fault,
    at: struck.at,
    lastsMs,
    switchover: struck.switchover,
    wholeAfterMs,
    outageMs,
    promotions,
  }
  course.rows.push(row)
  say(`${clock(course)}    ${rowText(row)}`)
  signal.throwIfAborted()
}

function rowText({ wholeAfterMs, outageMs, promotions, switchover }: FaultRow): string {
  const who = promotions.map(({ member, epoch, reason }) => `${member} epoch ${epoch} (${reason})`).join(', ')
  const healed = wholeAfterMs === null ? 'NOT WHOLE' : `whole ${wholeAfterMs} ms after the way back`
  const asked = switchover === null ? '' : `; switchover ${switchover.split('\n')[0]}`
  return `writes stood still ${outageMs} ms; ${who === '' ? 'no promotion' : `promoted ${who}`}; ${healed}${asked}`
}

/** Asked in short turns, so that somebody who waits learns what is missing. */
async function wholeAgain(course: Course, healedNs: number, plan: PlannedFault | null): Promise<number | null> {
  const { subject, signal, healing, options } = course
  const endNs = nowNs() + WHOLE_BOUND_MS * 1e6
  let lack = ''
  while (nowNs() < endNs) {
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
  const after = plan === null ? 'at the end' : `after fault ${plan.number} ${plan.fault}`
  healing.push(`not whole within ${WHOLE_BOUND_MS / 1_000} s ${after}: ${lack}`)
  return null
}

async function end(course: Course): Promise<RunReport> {
  const { options, folder, world, subject, field, running, live, signal } = course
  const { settings, say } = options
  const faultMs = Math.round((nowNs() - course.startNs) / 1e6)
  await world.heal()
  restart(field, allPlaces(subject))
  await sleep(SETTLE_MS, undefined, { signal })
  if (course.healing.length === 0) await wholeAgain(course, nowNs(), null)
  say(`${clock(course)}  ends: stops the workloads, reads every member, checks`)
  await Promise.all(running.map((one) => one.stop()))
  live.close()
  course.history.close()
  const promotions = await subject.promotions()
  const final = await finalOf(course)
  const history = mergeHistories([folder.file('nemesis.jsonl'), ...running.map(({ file }) => file)])
  folder.write('history.jsonl', history.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const input = { history, mode: settings.mode, bound: subject.bound, promotions }
  folder.write('final.json', `${JSON.stringify({ ...input, final, history: undefined })}\n`)
  const judged = final === null ? checkWithoutFinal(input) : check({ ...input, final })
  const verdicts = [...judged, healedVerdict(course)]
  const ok = verdicts.every((verdict) => verdict.ok)
  const { rows } = course
  const report = {
    ok,
    settings,
    world: world.kind,
    faultMs,
    acknowledged: live.acknowledged,
    rows,
    promotions,
    verdicts,
  }
  folder.write('report.json', `${JSON.stringify(report, null, 1)}\n`)
  return { ...report, folder: null }
}

function allPlaces(subject: Subject) {
  const members = subject.members.flatMap(({ host }) => [{ host, part: 'agent' as const }])
  const stores = subject.storeHosts.map((host) => ({ host, part: 'store' as const }))
  return [...stores, ...members, { host: subject.edge, part: 'router' as const }]
}

/** Null when no primary can be read at all. What cannot be read is a finding of its own. */
async function finalOf(course: Course): Promise<FinalState | null> {
  const { subject, healing } = course
  if (healing.length === 0) await wholeAgain(course, nowNs(), null)
  try {
    const { final, unread } = await readMembers({ subject }, (await subject.primary()) ?? '')
    healing.push(...unread)
    return final
  } catch (error) {
    healing.push(`the primary could not be read: ${messageOf(error)}`)
    return null
  }
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
