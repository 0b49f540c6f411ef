/** Channels that are one POST: a program of one's own, a chat room, somebody on duty. */
import { createHmac } from 'node:crypto'
import type { ChannelSpec } from '../config/platform.ts'
import type { Delivery, Told } from '../core/alerts/state.ts'
import type { Clock } from '../io/clock.ts'
import type { Channel, Context } from './channel.ts'
import { byUrgency, lines, title } from './message.ts'
import { post } from './post.ts'

type SpecOf<K extends ChannelSpec['kind']> = Extract<ChannelSpec, { kind: K }>

/** PagerDuty cuts longer ones. */
const SUMMARY_MAX = 1_024
const DEDUP_MAX = 255
const TEXT_MAX = 30_000

/** The signature covers time and body, so that an old message cannot be sent again as a new one. */
export function signature(secret: string, unixSeconds: number, body: string): string {
  const mac = createHmac('sha256', secret).update(`${unixSeconds}.${body}`).digest('hex')
  return `t=${unixSeconds},v1=${mac}`
}

export function webhook({ name, url, secret }: SpecOf<'webhook'>, clock: Pick<Clock, 'wallMs'>): Channel {
  return {
    name,
    send: (delivery, context) => {
      const body = JSON.stringify(webhookBody(delivery, context))
      const seconds = Math.floor(clock.wallMs() / 1_000)
      const signed = secret === null ? {} : { 'holdfast-signature': signature(secret.reveal(), seconds, body) }
      return post(url, body, { 'idempotency-key': delivery.id, ...signed })
    },
  }
}

function webhookBody(delivery: Delivery, context: Context): object {
  const { id, kind, platform, scope, firing, resolved } = delivery
  const told = (one: Told): object => ({
    id: one.id,
    rule: one.rule,
    severity: one.severity,
    labels: one.labels,
    summary: one.summary,
    next: one.next,
    runbook: context.runbookOf(one.rule),
    episode: one.episode,
    firedAt: wall(context, one.firedAtMs),
    endedAt: one.endedAtMs === null ? null : wall(context, one.endedAtMs),
    acknowledgedBy: one.acknowledgedBy,
  })
  return { version: 1, id, kind, platform, scope, firing: firing.map(told), resolved: resolved.map(told) }
}

function wall(context: Context, atMs: number): string {
  return new Date(context.wallOf(atMs)).toISOString()
}

export function slack({ name, url }: SpecOf<'slack'>): Channel {
  return {
    name,
    send: (delivery, context) => {
      const text = [`*${plain(title(delivery))}*`, ...lines(delivery, context).map(plain)].join('\n')
      return post(url.reveal(), JSON.stringify({ text: text.slice(0, TEXT_MAX) }), {})
    },
  }
}

/** What stands there is text: no links, no mentions of whole rooms. */
function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

export function pagerduty({ name, key, url }: SpecOf<'pagerduty'>): Channel {
  return {
    name,
    send: async (delivery, context) => {
      const { kind, platform, scope, firing } = delivery
      const dedupKey = `holdfast/${platform}/${scope}`.slice(0, DEDUP_MAX)
      const event = { routing_key: key.reveal(), dedup_key: dedupKey, event_action: kind }
      // One of several is over; the incident goes on, and there is nothing to say to it.
      if (kind === 'trigger' && firing.length === 0) return { ok: true }
      const body = kind === 'trigger' ? { ...event, ...incident(delivery, context) } : event
      return post(url, JSON.stringify(body), {})
    },
  }
}

function incident(delivery: Delivery, context: Context): object {
  const [first] = byUrgency(delivery.firing)
  if (first === undefined) return {}
  const { platform, scope } = delivery
  return {
    client: 'holdfast',
    payload: {
      summary: title(delivery).slice(0, SUMMARY_MAX),
      source: platform,
      severity: first.severity,
      component: scope,
      class: first.rule,
      timestamp: wall(context, first.firedAtMs),
      custom_details: { alerts: lines(delivery, context) },
    },
  }
}
