/** What a report says of a drill before anything is done: stands in the drill's record, for whoever has to end it. */
import type { DrillSpec } from '../config/drill.ts'
import type { GroupSpec, Platform } from '../config/platform.ts'
import { bytesText, durationText } from '../config/quantities.ts'
import type { DrillPlan, FaultSpec, Target } from '../core/drill/model.ts'
import type { DrillReport } from '../evidence/report.ts'

export interface Around {
  readonly id: string
  readonly platform: Platform
  readonly group: GroupSpec
  readonly drill: DrillSpec
  readonly practice: boolean
  readonly by: string
  /** Who let it be run before it was begun, as the server knows him; null: nobody was asked. */
  readonly orderApprovedBy: string | null
  readonly tool: string
  readonly configSha256: string
}

export interface ReportHead extends Pick<DrillReport, 'description' | 'statement' | 'objective' | 'approvals'> {
  readonly run: Omit<DrillReport['run'], 'startedAt' | 'endedAt'>
  readonly scope: Omit<DrillReport['scope'], 'members'>
}

export function headOf({
  id,
  platform,
  group,
  drill,
  practice,
  by,
  orderApprovedBy,
  tool,
  configSha256,
}: Around): ReportHead {
  const { settings } = drill
  return {
    run: {
      id,
      drill: settings.drill,
      platform: platform.name,
      group: group.name,
      engine: group.version === null ? group.engine : `${group.engine} ${group.version}`,
      practice,
      by,
      tool,
      configSha256,
      drillSha256: drill.sha256,
    },
    description: drill.description,
    statement: drill.statement,
    scope: {
      fault: faultWords(settings.fault),
      blastRadius: settings.blastRadius,
      abortConditions: abortWords(settings),
    },
    approvals: orderApprovedBy === null ? [] : [{ gate: 'order', by: orderApprovedBy, sinceMs: 0 }],
    objective: { rtoMs: settings.objectives.rtoMs, rpoMs: settings.objectives.rpoMs },
  }
}

export function faultWords(fault: FaultSpec): string {
  if (fault.kind === 'switchover') return fault.to === null ? 'a switchover' : `a switchover to ${fault.to}`
  const target = targetWords(fault.target)
  if (fault.kind === 'kill') return `SIGKILL of the engine of ${target}`
  const last = `for ${durationText(fault.forMs)}`
  if (fault.kind === 'freeze') return `SIGSTOP of the ${fault.what} of ${target} ${last}`
  const what = fault.kind === 'block-store' ? 'the store' : 'the agents of the other members'
  return `the agent of ${target} does not reach ${what} ${last}`
}

function targetWords(target: Target): string {
  if (target === 'primary') return 'the primary'
  if (target === 'replica') return 'a replica'
  return 'member' in target ? target.member : `all members at ${target.site}`
}

export function abortWords({ abort }: Pick<DrillPlan, 'abort'>): string {
  const lag = abort.lagBytesMax === null ? '' : `, a replica more than ${bytesText(abort.lagBytesMax)} behind`
  const gap = durationText(abort.canaryGapMs)
  return `no acknowledged write for ${gap}, more than ${abort.failedWritesMax} failed writes${lag}, or anybody's word`
}
