/** From the block `alerts` to what the alerts run with: defaults, numbers, secrets. */
import { resolve } from 'node:path'
import { RULES, type RuleId, type RuleRow } from '../core/alerts/rules.ts'
import type { AlertsSpec, ChannelSpec, RuleOverride } from './platform.ts'
import { parseAddress, parseDurationMs } from './quantities.ts'
import type { SecretSource } from './schema.ts'
import type { DescribedAlerts } from './schema-alerts.ts'
import type { Secret } from './secret.ts'

const EVERY_MS = 5_000
const GROUP_WAIT_MS = 10_000
const REPEAT_MS = 14_400_000
const PAGERDUTY_URL = 'https://events.pagerduty.com/v2/enqueue'

export type ReadSecret = (source: SecretSource, path: readonly (string | number)[]) => Secret

export interface AlertsAround {
  readonly folder: string
  /** A server is described. */
  readonly served: boolean
}

export function alertsOf(
  described: DescribedAlerts | undefined,
  { folder, served }: AlertsAround,
  read: ReadSecret,
): AlertsSpec {
  const alerts = described ?? {}
  const channels = (alerts.channels ?? []).map((channel, at) =>
    channelOf(channel, (source, key) => read(source, ['alerts', 'channels', at, key])),
  )
  const all = channels.map(({ name }) => name)
  const { routes = {}, escalation } = alerts
  return {
    channels,
    routes: { critical: routes.critical ?? all, warning: routes.warning ?? all, info: routes.info ?? [] },
    escalation:
      escalation === undefined ? null : { afterMs: parseDurationMs(escalation.after) ?? 0, to: escalation.to },
    runBy: alerts.runBy ?? (served ? 'server' : 'process'),
    everyMs: parseDurationMs(alerts.every ?? '') ?? EVERY_MS,
    groupWaitMs: parseDurationMs(alerts.groupWait ?? '') ?? GROUP_WAIT_MS,
    repeatMs: parseDurationMs(alerts.repeat ?? '') ?? REPEAT_MS,
    dir: resolve(folder, alerts.dir ?? 'holdfast-data/alerts'),
    runbook: alerts.runbook ?? null,
    rules: Object.fromEntries(Object.entries(alerts.rules ?? {}).map(([id, rule]) => [id, overrideOf(id, rule)])),
  }
}

type Described = NonNullable<DescribedAlerts['channels']>[number]

function channelOf(channel: Described, read: (source: SecretSource, key: string) => Secret): ChannelSpec {
  const { name } = channel
  if (channel.kind === 'slack') return { kind: 'slack', name, url: read(channel.url, 'url') }
  if (channel.kind === 'webhook') {
    const secret = channel.secret === undefined ? null : read(channel.secret, 'secret')
    return { kind: 'webhook', name, url: channel.url, secret }
  }
  if (channel.kind === 'pagerduty') {
    return { kind: 'pagerduty', name, key: read(channel.key, 'key'), url: channel.url ?? PAGERDUTY_URL }
  }
  return {
    kind: 'mail',
    name,
    server: parseAddress(channel.server) ?? { host: '', port: 0 },
    tls: channel.tls ?? 'starttls',
    user: channel.user ?? null,
    password: channel.password === undefined ? null : read(channel.password, 'password'),
    from: channel.from,
    to: channel.to,
  }
}

type DescribedRule = NonNullable<DescribedAlerts['rules']>[string]

function overrideOf(id: string, rule: DescribedRule): RuleOverride {
  return {
    enabled: rule.enabled ?? true,
    severity: rule.severity ?? null,
    forMs: rule.for === undefined ? null : parseDurationMs(rule.for),
    limit: rule.limit === undefined ? null : limitOf(id, rule.limit),
  }
}

/** In the unit of the rule; null when the words do not fit it. */
export function limitOf(id: string, limit: number | string): number | null {
  const unit = Object.hasOwn(RULES, id) ? ((RULES[id as RuleId] as RuleRow).limit?.unit ?? null) : null
  if (unit === 'share') return typeof limit === 'number' ? limit : null
  const ms = unit === 'seconds' && typeof limit === 'string' ? parseDurationMs(limit) : null
  return ms === null ? null : ms / 1_000
}
