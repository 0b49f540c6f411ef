/** Objectives that the groups cannot keep, whatever happens. */
import { PROFILES, type Timing } from '../../core/settings.ts'
import { failoverWorstMs } from '../../core/site-plan/predict.ts'
import { timingOfGroup } from '../build-group.ts'
import type { Draft, Findings } from '../draft.ts'
import { shown } from '../mistake.ts'
import { durationText } from '../quantities.ts'

export function checkObjectives(root: Draft, findings: Findings): void {
  const groups = new Map(root.list('groups').map((group) => [group.text('name') ?? '', group]))
  for (const one of root.list('services')) {
    const objectives = one.get('objectives')
    for (const entry of one.list('groups')) {
      const group = groups.get(entry.text('group') ?? '')
      if (group === undefined) continue
      recoveryTime(objectives, group, findings)
      recoveryPoint(objectives, group, findings)
    }
  }
}

function recoveryTime(objectives: Draft, group: Draft, findings: Findings): void {
  const rtoMs = objectives.durationMs('rto')
  const timing = timingOf(group)
  if (rtoMs === null || timing === null) return
  const worstMs = failoverWorstMs(timing)
  if (rtoMs >= worstMs) return
  const what =
    `\`rto\` is ${durationText(rtoMs)}, and group \`${shown(group.text('name'))}\` may need ${worstMs} ms: ` +
    `its ttl of ${timing.ttlMs} ms must run out first`
  const fastMs = failoverWorstMs(PROFILES.fast)
  const shorter = rtoMs >= fastMs ? '`profile: fast` for that group, or ' : ''
  findings.mistakes.push(objectives.wrong('rto', what, `${shorter}an rto of at least ${worstMs}ms`))
}

function timingOf(group: Draft): Timing | null {
  const profile = group.text('profile') ?? 'normal'
  if (profile !== 'fast' && profile !== 'normal' && profile !== 'wan') return null
  return timingOfGroup(PROFILES[profile], (key) => group.get('timing').durationMs(key))
}

function recoveryPoint(objectives: Draft, group: Draft, findings: Findings): void {
  const rpoMs = objectives.durationMs('rpo')
  const lossMs = group.get('replication').get('async').durationMs('lossTimeMax')
  if (rpoMs === null || lossMs === null || lossMs <= rpoMs) return
  const name = shown(group.text('name'))
  const what = `\`rpo\` is ${durationText(rpoMs)}, and group \`${name}\` accepts the loss of ${durationText(lossMs)}`
  const right = rpoMs === 0 ? '`replication: sync` for that group' : `\`lossTimeMax: ${rpoMs}ms\` there, or \`sync\``
  findings.mistakes.push(objectives.wrong('rpo', what, right))
}
