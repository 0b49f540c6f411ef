/**
 * The report of a drill: everything an auditor needs to judge it, as plain data, before it is sealed. Made once, by
 * `drillReport`; read back by `reportIn`, strictly enough that a page of it can be drawn without trust in its maker.
 */
import { type Control, controlsFor } from './controls.ts'

export const REPORT_FORMAT = 'holdfast-drill-report/1'

export interface Figures {
  readonly rtoMs: number
  readonly rpoMs: number
}

export interface DrillReport {
  readonly format: typeof REPORT_FORMAT
  readonly run: {
    readonly id: string
    readonly drill: string
    readonly platform: string
    readonly group: string
    readonly engine: string
    /** On a copy. */
    readonly practice: boolean
    readonly startedAt: string
    readonly endedAt: string
    readonly by: string
    readonly tool: string
    /** SHA-256 of the description, and of the drill file. */
    readonly configSha256: string
    readonly drillSha256: string
  }
  readonly chain: { readonly seq: number; readonly previousSha256: string | null }
  readonly outcome: string
  readonly because: string
  readonly description: string
  readonly statement: string
  readonly scope: {
    readonly fault: string
    readonly members: readonly string[]
    readonly blastRadius: { readonly members: number; readonly sites: number; readonly groups: number }
    readonly abortConditions: string
  }
  readonly approvals: readonly { readonly gate: string; readonly by: string; readonly sinceMs: number }[]
  readonly objective: Figures
  readonly prediction: (Figures & { readonly because: string }) | null
  readonly measured:
    | (Figures & {
        readonly acked: number
        readonly failed: number
        readonly lost: number
        readonly doubled: number
        readonly method: string
      })
    | null
  readonly deviations: readonly string[]
  readonly faultProof: {
    readonly askedMs: number | null
    readonly onMs: number | null
    readonly goneMs: number | null
    readonly recoveredMs: number | null
  }
  readonly checks: readonly {
    readonly when: string
    readonly check: string
    readonly looks: number
    readonly held: number
  }[]
  readonly timeline: readonly {
    readonly sinceMs: number
    readonly source: string
    readonly code: string
    readonly words: string
  }[]
  /** Acknowledged writes per step from the start. */
  readonly rate: { readonly stepMs: number; readonly acked: readonly number[] }
  readonly clocks: string
  readonly controls: readonly Control[]
}

export const METHOD =
  'Four clients wrote numbered records through the door that applications use, each number once. RTO is the ' +
  'longest time between two acknowledgements that reaches past the moment the fault was asked for; it is never ' +
  'below the pause between two writes (20 ms). RPO is how far back acknowledged records reach that were not there ' +
  'afterwards. Engine counters play no part in either.'

export const CLOCKS =
  'Times since the start are of the monotonic clock of the machine that ran the drill. Lines of agents carry the ' +
  'wall clocks of their hosts, taken as differences from the start; they are off by as much as those clocks are.'

/** A body as it is sealed; the controls follow from the outcome. */
export function drillReport(facts: Omit<DrillReport, 'format' | 'controls' | 'clocks'>): DrillReport {
  const controls = controlsFor(facts.outcome, facts.run.practice, facts.measured !== null)
  return { format: REPORT_FORMAT, ...facts, clocks: CLOCKS, controls }
}

/** The report in a sealed body; null when it is something else. */
export function reportIn(body: unknown): DrillReport | null {
  if (typeof body !== 'object' || body === null) return null
  const report = body as Partial<DrillReport>
  if (report.format !== REPORT_FORMAT) return null
  const objects = [report.run, report.chain, report.scope, report.objective, report.faultProof, report.rate]
  const lists = [report.approvals, report.deviations, report.checks, report.timeline, report.controls]
  const whole = objects.every((one) => typeof one === 'object' && one !== null) && lists.every(Array.isArray)
  return whole && Number.isSafeInteger(report.chain?.seq) ? (report as DrillReport) : null
}
