/** Reads one drill file: every mistake with its line, or the drill with every default filled in. Never throws. */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { Cron } from 'croner'
import type { DrillPlan, FaultSpec, ProbeSpec } from '../core/drill/model.ts'
import { type DrillDescription, drillSchema } from './drill-schema.ts'
import { fileBytes, placed } from './load.ts'
import { byPosition, type Finding, type Mistake } from './mistake.ts'
import { parseBytes, parseDurationMs } from './quantities.ts'
import { shapeOf } from './shape.ts'
import { readSource } from './source.ts'

export interface DrillSchedule {
  readonly cron: string
  readonly timeZone: string
  readonly freezes: readonly { readonly from: string; readonly to: string; readonly because: string }[]
  readonly overdueAfterMs: number
}

/** What one file says; `drill-objectives.ts` makes it whole. */
export interface DrillFile {
  /** Absolute. */
  readonly file: string
  /** SHA-256 of the file's bytes: what was approved and run. */
  readonly sha256: string
  readonly description: string
  readonly statement: string
  readonly settings: Omit<DrillPlan, 'objectives'>
  /** Null: that of the services of its group. */
  readonly objectives: { readonly rtoMs: number | null; readonly rpoMs: number | null }
  readonly practice: 'auto' | 'always' | 'never'
  readonly schedule: DrillSchedule | null
}

/** A drill that can be run. */
export interface DrillSpec extends Omit<DrillFile, 'settings' | 'objectives'> {
  readonly settings: DrillPlan
}

export type LoadedDrill =
  | { readonly ok: true; readonly drill: DrillFile; readonly place: (finding: Finding) => Mistake }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] }

const HOUR_MS = 3_600_000
/** A fault that outlives everybody who might end it is over after this. */
const FOR_MS_MAX = 600_000
const DEFAULT_PROBES: readonly ProbeSpec[] = [
  { probe: 'writable' },
  { probe: 'one-primary' },
  { probe: 'members', atLeast: null },
]

export function loadDrill(path: string): LoadedDrill {
  const file = resolve(path)
  const bytes = fileBytes(file)
  if (!(bytes instanceof Uint8Array)) return { ok: false, mistakes: [bytes] }
  return loadDrillBytes(bytes, file)
}

export function loadDrillBytes(bytes: Uint8Array, file: string): LoadedDrill {
  const source = readSource(bytes)
  if (!source.readable) return { ok: false, mistakes: [...source.mistakes].sort(byPosition) }
  const shaped = shapeOf(drillSchema, source.value)
  const findings = shaped.ok ? sense(shaped.description) : shaped.findings
  const mistakes = [...source.mistakes, ...placed(findings, source)].sort(byPosition)
  if (!shaped.ok || mistakes.length > 0) return { ok: false, mistakes }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const place = (finding: Finding): Mistake => source.place(finding)
  return { ok: true, drill: drillOf(shaped.description, file, sha256), place }
}

/** What the shape cannot say. */
function sense({ fault, schedule, approvals }: DrillDescription): readonly Finding[] {
  const findings: Finding[] = []
  const wrong = (path: Finding['path'], what: string, right: string): void => {
    findings.push({ path, at: 'value', what, right })
  }
  if ('for' in fault) {
    const ms = durationOf(fault.for)
    if (ms > FOR_MS_MAX || ms < 100) wrong(['fault', 'for'], `\`for\` is \`${fault.for}\``, 'from 100ms to 10m')
  }
  const seen = new Set<string>()
  for (const [index, { before }] of (approvals ?? []).entries()) {
    if (seen.has(before)) wrong(['approvals', index, 'before'], `\`${before}\` is asked for twice`, 'one approval each')
    seen.add(before)
  }
  if (schedule !== undefined) findings.push(...scheduleSense(schedule))
  return findings
}

function scheduleSense(schedule: NonNullable<DrillDescription['schedule']>): readonly Finding[] {
  const findings: Finding[] = []
  const wrong = (path: Finding['path'], what: string, right: string): void => {
    findings.push({ path, at: 'value', what, right })
  }
  if (!isTimeZone(schedule.timeZone ?? 'UTC')) {
    wrong(['schedule', 'timeZone'], `there is no time zone \`${schedule.timeZone}\``, 'a name such as Europe/Berlin')
  } else {
    try {
      new Cron(schedule.cron, { paused: true, mode: '5-part', timezone: schedule.timeZone ?? 'UTC' })
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error)
      wrong(['schedule', 'cron'], `\`cron\` cannot be read: ${because}`, 'minute hour day month weekday: "0 10 * * 2"')
    }
  }
  for (const [index, { from, to }] of (schedule.freezes ?? []).entries()) {
    const at = (key: string): Finding['path'] => ['schedule', 'freezes', index, key]
    if (!isDay(from)) wrong(at('from'), `\`${from}\` is no day`, 'a day that exists')
    else if (!isDay(to)) wrong(at('to'), `\`${to}\` is no day`, 'a day that exists')
    else if (to < from) wrong(at('to'), `\`${to}\` comes before \`${from}\``, 'the same day or a later one')
  }
  return findings
}

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
    return true
  } catch {
    return false
  }
}

/** The thirtieth of February has the right form and comes back as another day. */
function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

function drillOf(description: DrillDescription, file: string, sha256: string): DrillFile {
  const { hypothesis = {}, blastRadius = {}, abort = {}, objectives = {}, schedule } = description
  const settings: DrillFile['settings'] = {
    drill: description.drill,
    group: description.group,
    fault: faultOf(description.fault),
    before: hypothesis.before?.map(probeOf) ?? DEFAULT_PROBES,
    during: hypothesis.during?.map(probeOf) ?? [],
    after: hypothesis.after?.map(probeOf) ?? DEFAULT_PROBES,
    recoverMs: durationOf(hypothesis.within ?? '60s'),
    blastRadius: {
      members: blastRadius.members ?? 1,
      sites: blastRadius.sites ?? 1,
      groups: blastRadius.groups ?? 1,
    },
    abort: {
      canaryGapMs: durationOf(abort.canaryGap ?? '30s'),
      failedWritesMax: abort.errorBudget ?? 1_000,
      lagBytesMax: abort.lag === undefined ? null : parseBytes(abort.lag),
    },
    approvals: (description.approvals ?? []).map(({ before, by, within }) => ({
      before,
      by,
      withinMs: durationOf(within ?? '15m'),
    })),
  }
  return {
    file,
    sha256,
    description: description.description ?? '',
    statement: hypothesis.statement ?? '',
    settings,
    objectives: {
      rtoMs: objectives.rto === undefined ? null : durationOf(objectives.rto),
      rpoMs: objectives.rpo === undefined ? null : durationOf(objectives.rpo),
    },
    practice: description.practice ?? 'auto',
    schedule:
      schedule === undefined
        ? null
        : {
            cron: schedule.cron,
            timeZone: schedule.timeZone ?? 'UTC',
            freezes: (schedule.freezes ?? []).map((one) => ({
              from: one.from,
              to: one.to,
              because: one.because ?? '',
            })),
            overdueAfterMs: durationOf(schedule.overdueAfter ?? '90d'),
          },
  }
}

function durationOf(text: string): number {
  return parseDurationMs(text) ?? HOUR_MS
}

function probeOf(probe: NonNullable<NonNullable<DrillDescription['hypothesis']>['before']>[number]): ProbeSpec {
  if (probe.probe === 'members') return { probe: 'members', atLeast: probe.atLeast ?? null }
  if (probe.probe === 'lag') return { probe: 'lag', belowBytes: parseBytes(probe.below) ?? 0 }
  if (probe.probe === 'http') return { ...probe, status: probe.status ?? 200 }
  return probe
}

function faultOf(fault: DrillDescription['fault']): FaultSpec {
  if (fault.kind === 'switchover') return { kind: 'switchover', to: fault.to ?? null }
  const target = fault.target ?? 'primary'
  if (fault.kind === 'kill') return { kind: 'kill', target }
  const forMs = durationOf(fault.for)
  if (fault.kind === 'freeze') return { kind: 'freeze', what: fault.what, target, forMs }
  return { kind: fault.kind, target, forMs }
}
