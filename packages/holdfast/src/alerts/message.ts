/** A delivery in words, the same for chat and mail. Every piece that came from elsewhere is made one harmless line. */
import type { Delivery, Told } from '../core/alerts/state.ts'
import { durationOf } from '../core/alerts/text.ts'
import { visibleLine } from '../io/visible-text.ts'
import type { Context } from './channel.ts'

const ORDER = ['critical', 'warning', 'info']
/** A hundred alerts at once are told by their number. */
const LISTED_MAX = 20
const TITLE_MAX = 200

export function title(delivery: Delivery): string {
  const { kind, platform, scope } = delivery
  const listed = byUrgency(delivery.firing.length > 0 ? delivery.firing : delivery.resolved)
  const [first] = listed
  const word =
    kind === 'resolve'
      ? 'over'
      : kind === 'acknowledge'
        ? 'in hand'
        : first?.endedAtMs === null
          ? first.severity
          : 'over'
  const more = listed.length > 1 ? ` (and ${listed.length - 1} more)` : ''
  return visibleLine(`[${word}] ${platform} ${scope}: ${first?.summary ?? ''}${more}`).slice(0, TITLE_MAX)
}

export function lines(delivery: Delivery, context: Context): readonly string[] {
  const { firing, resolved } = delivery
  const told = byUrgency(firing).slice(0, LISTED_MAX)
  const over = byUrgency(resolved).slice(0, LISTED_MAX)
  const left = firing.length + resolved.length - told.length - over.length
  return [
    ...told.flatMap((one) => firingLines(one, context)),
    ...over.map((one) => `over: ${one.summary} (${durationOf(lastedMs(one) / 1_000)})`),
    ...(left > 0 ? [`and ${left} more: holdfast alerts list`] : []),
  ].map(visibleLine)
}

function firingLines(one: Told, context: Context): readonly string[] {
  const { severity, summary, next, rule, id, acknowledgedBy } = one
  const since = new Date(context.wallOf(one.firedAtMs)).toISOString()
  const hand = acknowledgedBy === null ? `holdfast alerts ack ${id}` : `in the hands of ${acknowledgedBy}`
  return [`${severity}: ${summary}`, `  since ${since}; ${hand}`, `  next: ${next}`, `  ${context.runbookOf(rule)}`]
}

export function byUrgency(alerts: readonly Told[]): readonly Told[] {
  return [...alerts].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || a.firedAtMs - b.firedAtMs)
}

function lastedMs({ firedAtMs, endedAtMs }: Told): number {
  return Math.max(0, (endedAtMs ?? firedAtMs) - firedAtMs)
}
