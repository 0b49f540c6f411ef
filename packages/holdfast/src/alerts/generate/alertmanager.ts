/**
 * Alertmanager's file: the same channels, routes, grouping and inhibition as our own. Secrets stay in their files. What
 * Alertmanager cannot do stands at the top of the file: escalation, acknowledgement, signed webhooks.
 */
import { addressText, type ChannelSpec, type Platform } from '../../config/platform.ts'
import type { Secret } from '../../config/secret.ts'
import { durationWord } from '../../core/alerts/promql.ts'
import { SEVERITIES, type Severity } from '../../core/alerts/rules.ts'
import { rulesOf } from '../settings.ts'
import { yaml } from './prometheus.ts'

const NOBODY = 'nobody'

export function alertmanagerConfig(platform: Platform): string {
  const { channels, routes, groupWaitMs, repeatMs } = platform.alerts
  const wait = durationWord(Math.max(1_000, groupWaitMs))
  const config = {
    route: {
      receiver: NOBODY,
      group_by: ['platform', 'site'],
      group_wait: wait,
      group_interval: wait,
      repeat_interval: durationWord(repeatMs),
      routes: SEVERITIES.filter((severity) => routes[severity].length > 0).map(routeFor),
    },
    receivers: [
      { name: NOBODY },
      ...SEVERITIES.filter((severity) => routes[severity].length > 0).map((severity) => ({
        name: receiverName(severity),
        ...configsOf(channels.filter(({ name }) => routes[severity].includes(name))),
      })),
    ],
    inhibit_rules: inhibitions(platform),
  }
  return `${opening(platform)}\n${yaml(config)}`
}

function receiverName(severity: Severity): string {
  return `holdfast-${severity}`
}

/** Alerts of a group are told together wherever their members stand; the others by site. */
function routeFor(severity: Severity): object {
  const receiver = receiverName(severity)
  return {
    receiver,
    matchers: [`severity="${severity}"`],
    routes: [{ receiver, matchers: ['group!=""'], group_by: ['platform', 'group'] }],
  }
}

function inhibitions(platform: Platform): readonly object[] {
  const seen = new Set<string>()
  return rulesOf(platform).flatMap(({ id, hiddenBy }) => {
    if (seen.has(id)) return []
    seen.add(id)
    return hiddenBy.map(({ rule, equal }) => ({
      source_matchers: [`rule="${rule}"`],
      target_matchers: [`rule="${id}"`],
      equal: ['platform', ...equal],
    }))
  })
}

const TITLE = '[{{ .CommonLabels.severity }}] {{ .CommonLabels.platform }}: {{ (index .Alerts 0).Annotations.summary }}'
const TEXT = '{{ range .Alerts }}{{ .Status }}: {{ .Annotations.summary }}\nnext: {{ .Annotations.next }}\n{{ end }}'

function configsOf(channels: readonly ChannelSpec[]): object {
  const found: Record<string, object[]> = {}
  for (const channel of channels) {
    const [key, config] = configOf(channel)
    found[key] = [...(found[key] ?? []), { send_resolved: true, ...config }]
  }
  return found
}

function configOf(channel: ChannelSpec): readonly [string, object] {
  if (channel.kind === 'slack') {
    return ['slack_configs', { api_url_file: secretFile(channel.url, channel), title: TITLE, text: TEXT }]
  }
  if (channel.kind === 'webhook') return ['webhook_configs', { url: channel.url }]
  if (channel.kind === 'pagerduty') {
    const key = secretFile(channel.key, channel)
    return ['pagerduty_configs', { routing_key_file: key, url: channel.url, description: TITLE, client: 'holdfast' }]
  }
  const { server, tls, user, password, from, to } = channel
  const account = user === null || password === null ? {} : accountOf(user, secretFile(password, channel))
  const smarthost = addressText(server)
  return ['email_configs', { to: to.join(', '), from, smarthost, require_tls: tls === 'starttls', ...account }]
}

function accountOf(user: string, file: string): object {
  return { auth_username: user, auth_password_file: file }
}

/** A secret from the environment has no file that Alertmanager could read; this is where it then looks. */
function secretFile(secret: Secret, { name }: ChannelSpec): string {
  return secret.file ?? `/etc/alertmanager/secrets/${name}`
}

function secretsOf(channel: ChannelSpec): readonly Secret[] {
  if (channel.kind === 'slack') return [channel.url]
  if (channel.kind === 'pagerduty') return [channel.key]
  return channel.kind === 'mail' && channel.password !== null ? [channel.password] : []
}

function opening(platform: Platform): string {
  const { channels, escalation } = platform.alerts
  const fromEnv = channels.filter((channel) => secretsOf(channel).some(({ file }) => file === null))
  const signed = channels.filter((channel) => channel.kind === 'webhook' && channel.secret !== null)
  return [
    `# Routes and receivers of ${platform.name}, made by: holdfast generate alertmanager`,
    ...(escalation === null
      ? []
      : ['# Alertmanager knows no escalation and no acknowledgement; holdfast alerts run does both.']),
    ...signed.map(({ name }) => `# ${name}: Alertmanager does not sign what it sends, and sends JSON of its own form.`),
    ...fromEnv.map(
      (channel) => `# ${channel.name}: put its secret into /etc/alertmanager/secrets/${channel.name} (mode 600).`,
    ),
  ].join('\n')
}
