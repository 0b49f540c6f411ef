/** What the alerts decide, as events: their history. Pure. */
import type { AlertsConfig, AlertsReason } from '../../core/alerts/state.ts'
import type { Draft } from '../follow/changes.ts'

const WORDS: Readonly<Record<AlertsReason['code'], string>> = {
  fires: 'fires',
  ends: 'is over',
  'clears-before': '',
  told: '',
  'not-told': 'a channel could not be told',
  silenced: 'silenced',
  acknowledged: 'is in hand',
  dropped: 'more alerts than are kept',
}

export function alertDraft({ code, detail }: AlertsReason, config: AlertsConfig, wallMs: number): readonly Draft[] {
  const words = WORDS[code]
  // What never fired, and what arrived as it should, is no news.
  if (words === '') return []
  const rule = typeof detail.rule === 'string' ? detail.rule : null
  const known = config.rules.find(({ id }) => id === rule)
  const severity = code === 'fires' ? (known?.severity ?? 'warning') : code === 'not-told' ? 'warning' : 'notice'
  const rest = Object.entries(detail).filter(([key]) => key !== 'rule' && key !== 'id')
  const summary = [rule === null ? words : `alert ${rule} ${words}`, ...rest.map(([key, value]) => `${key} ${value}`)]
  return [
    {
      wallMs,
      kind: 'alert',
      severity,
      code: `alert-${code}`,
      summary: summary.join(', ').slice(0, 500),
      group: typeof detail.group === 'string' ? detail.group : null,
      member: typeof detail.member === 'string' ? detail.member : null,
      source: 'server',
      rule: null,
      incident: null,
      detail,
    },
  ]
}
