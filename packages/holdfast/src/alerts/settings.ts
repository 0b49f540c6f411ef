/** The description in the terms of the alerts: every rule with its overrides, asked of the groups it concerns. */

import type { GroupSpec, Platform } from '../config/platform.ts'
import { type GroupChoice, RULE_IDS, type RuleId, ruleRow } from '../core/alerts/rules.ts'
import type { AlertsConfig, Rule } from '../core/alerts/state.ts'

export function alertsConfig(platform: Platform): AlertsConfig {
  const { routes, escalation, groupWaitMs, repeatMs } = platform.alerts
  return { platform: platform.name, rules: rulesOf(platform), routes, escalation, groupWaitMs, repeatMs }
}

/** A rule whose limit differs by engine is there once for each engine; the ids are the same, the groups are not. */
export function rulesOf(platform: Platform): readonly Rule[] {
  return RULE_IDS.flatMap((id) => (platform.alerts.rules[id]?.enabled === false ? [] : instances(platform, id)))
}

function instances(platform: Platform, id: RuleId): readonly Rule[] {
  const row = ruleRow(id)
  const given = platform.alerts.rules[id]
  const groups = platform.groups.filter((group) => concerns(row.groups, group))
  const rule = (limit: number, chosen: readonly GroupSpec[], engine = ''): Rule => {
    const names = chosen.map(({ name }) => name)
    const all = row.groups === 'none' || names.length === platform.groups.length
    return {
      id,
      severity: given?.severity ?? row.severity,
      by: row.by,
      forMs: given?.forMs ?? row.forMs,
      keepMs: row.keepMs,
      limit,
      engine,
      asks: row.asks({ limit, where: all ? {} : { group: names }, groups: names }),
      hiddenBy: row.hiddenBy ?? [],
      summary: row.summary,
      next: row.next,
    }
  }
  const usual = given?.limit ?? row.limit?.value ?? 0
  if (row.groups === 'none') return [rule(usual, [])]
  if (groups.length === 0) return []
  const redis = row.limit?.redis
  if (redis === undefined || given?.limit != null) return [rule(usual, groups)]
  return (['postgres', 'redis'] as const).flatMap((engine) => {
    const own = groups.filter((group) => group.engine === engine)
    return own.length === 0 ? [] : [rule(engine === 'redis' ? redis : usual, own, engine)]
  })
}

function concerns(choice: GroupChoice, group: GroupSpec): boolean {
  if (choice === 'all') return true
  if (choice === 'none' || group.failover === 'observe') return false
  return choice === 'acting' || group.members.filter(({ noFailover }) => !noFailover).length > 1
}
