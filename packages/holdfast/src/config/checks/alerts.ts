/** Channels that exist, rules that exist, limits that can be meant, and secrets that do not travel in the open. */
import { RULE_IDS, RULES, type RuleId, type RuleRow } from '../../core/alerts/rules.ts'
import { limitOf } from '../build-alerts.ts'
import type { Draft, Findings } from '../draft.ts'
import { shown } from '../mistake.ts'
import { nearest } from '../nearest.ts'
import { isLoopback } from '../quantities.ts'

/** Shorter would ask agents more often than they change, longer would tell late. */
const EVERY_MIN_MS = 500
const EVERY_MAX_MS = 60_000

export function checkAlerts(root: Draft, findings: Findings): void {
  const alerts = root.get('alerts')
  if (!alerts.present) return
  const channels = alerts.list('channels')
  checkNames(channels, findings)
  const names = channels.flatMap((channel) => channel.text('name') ?? [])
  for (const severity of ['critical', 'warning', 'info']) refer(alerts.get('routes'), severity, names, findings)
  refer(alerts.get('escalation'), 'to', names, findings)
  for (const channel of channels) checkChannel(channel, findings)
  const everyMs = alerts.durationMs('every')
  if (everyMs !== null && (everyMs < EVERY_MIN_MS || everyMs > EVERY_MAX_MS)) {
    findings.mistakes.push(alerts.wrong('every', `${alerts.text('every')} is out of range`, 'from 500ms to 60s'))
  }
  const rules = alerts.get('rules')
  for (const id of rules.keys()) checkRule(id, rules, findings)
}

function checkNames(channels: readonly Draft[], findings: Findings): void {
  const seen = new Set<string>()
  for (const channel of channels) {
    const name = channel.text('name')
    if (name === null) continue
    if (seen.has(name)) {
      findings.mistakes.push(channel.wrong('name', `there is already channel \`${shown(name)}\``, 'a name of its own'))
    }
    seen.add(name)
  }
}

function refer(block: Draft, key: string, known: readonly string[], findings: Findings): void {
  const { value, path } = block.get(key)
  if (!Array.isArray(value)) return
  for (const [at, name] of value.entries()) {
    if (typeof name !== 'string' || known.includes(name)) continue
    const meant = nearest(name, known)
    const right = meant !== null ? `\`${meant}\`?` : known.length === 0 ? 'describe it in channels' : known.join(', ')
    findings.mistakes.push({ path: [...path, at], at: 'value', what: `there is no channel \`${shown(name)}\``, right })
  }
}

function checkChannel(channel: Draft, findings: Findings): void {
  const url = channel.text('url')
  const host = url === null ? null : (URL.parse(url)?.hostname.replace(/^\[|\]$/g, '') ?? null)
  if (url?.startsWith('http:') === true && host !== null && !isLoopback(host)) {
    findings.warnings.push(channel.wrong('url', 'what is sent there can be read on the way', 'an https:// address'))
  }
  const server = channel.address('server')
  if (channel.text('tls') === 'none' && server !== null && !isLoopback(server.host)) {
    const what = 'mail and password would travel in the open'
    findings.mistakes.push(channel.wrong('tls', what, 'starttls or implicit, or a mail server on this machine'))
  }
  if (channel.get('user').present !== channel.get('password').present) {
    const missing = channel.get('user').present ? 'password' : 'user'
    findings.mistakes.push(channel.wrong(missing, `${missing} is missing`, 'user and password, or neither'))
  }
}

function checkRule(id: string, rules: Draft, findings: Findings): void {
  if (!Object.hasOwn(RULES, id)) {
    const meant = nearest(id, RULE_IDS)
    const right = meant === null ? 'one of those that `holdfast alerts rules` lists' : `\`${meant}\`?`
    findings.mistakes.push({ path: [...rules.path, id], at: 'key', what: `there is no rule \`${shown(id)}\``, right })
    return
  }
  const rule = rules.get(id)
  const { value } = rule.get('limit')
  if (typeof value !== 'number' && typeof value !== 'string') return
  const row: RuleRow = RULES[id as RuleId]
  const { limit } = row
  if (limit === null) {
    findings.mistakes.push(rule.wrong('limit', `the rule ${id} compares with nothing`, 'leave it out'))
    return
  }
  const given = limitOf(id, value)
  if (given !== null && given >= limit.low && given <= limit.high) return
  const right =
    limit.unit === 'share'
      ? `a number from ${limit.low} to ${limit.high}`
      : `a duration from ${limit.low}s to ${limit.high}s`
  findings.mistakes.push(rule.wrong('limit', `${shown(value)} does not fit`, right))
}
