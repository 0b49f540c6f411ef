/** Alerts as people look at them, and what they say about them. Whoever runs them takes the words up. */
import { runbookOf } from '../../alerts/runbook.ts'
import { explainedBy, fits, silenced } from '../../core/alerts/mute.ts'
import type { Alert, Silence } from '../../core/alerts/state.ts'
import { sentence } from '../../core/alerts/text.ts'
import { HoldfastError } from '../../errors.ts'
import { freshId } from '../../io/random.ts'
import { rightsOver } from '../access/grants.ts'
import type { Looked } from '../alerts/watchman.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { present } from './approvals.ts'
import { seen, unknown } from './platform.ts'
import { type Deed, leaveTrail } from './trail.ts'

const SHOWN_MAX = 500

export function alertHandlers(scene: Scene): Pick<Handlers, 'alerts' | 'silence' | 'endSilence' | 'acknowledge'> {
  const { alerts } = scene
  return {
    alerts: async ({ who }) => {
      const looked = alerts.look()
      const groups = seen(scene, who)
      const shown = (labels: Alert['labels']): boolean =>
        groups === null || labels.group === undefined || groups.has(labels.group)
      return document(documentOf(scene, looked, { shown, groups }))
    },
    silence: async ({ body, who, address }) => {
      const { user } = present(who)
      const id = freshId().slice(0, 8)
      const { because, validMs } = body
      const matchers = Object.fromEntries(Object.entries(body.matchers).filter(([, value]) => value !== undefined))
      const words = Object.entries(matchers).map(([name, value]) => `${name}=${value}`)
      const deed = {
        who,
        address,
        action: 'silence',
        subject: words.join(' '),
        detail: { id, because, validMs },
      } as const
      await said(scene, deed, { kind: 'silence', id, matchers, by: user, because, validMs })
      return document({ id })
    },
    endSilence: async ({ params, who, address }) => {
      const { id } = params
      const known = alerts.look()?.saved.state.silences.some((one) => one.id === id) === true
      if (!known) throw unknown('silence', id)
      const deed = { who, address, action: 'silence-ended', subject: `silence ${id}`, detail: {} } as const
      await said(scene, deed, { kind: 'unsilence', id })
      return document({ ok: true })
    },
    acknowledge: async ({ params, who, address }) => {
      const { id } = params
      const asker = present(who)
      const alert = firing(alerts.look()).find((one) => one.id === id)
      const group = alert?.labels.group ?? null
      const rights = rightsOver(asker, group, scene.services())
      if (alert === undefined || (group !== null && !rights.has('read'))) throw unknown('alert', id)
      if (!rights.has('operate')) {
        const message = `${asker.user} has no right to operate here`
        throw new HoldfastError('HF_FORBIDDEN', message, 'ask an operator')
      }
      const deed = {
        who,
        address,
        action: 'acknowledge',
        subject: `alert ${id}`,
        detail: { rule: alert.rule },
      } as const
      await said(scene, deed, { kind: 'acknowledge', id, by: asker.user })
      return document({ ok: true })
    },
  }
}

/** Those that one may read; null: all. */
type Groups = ReadonlySet<string> | null

/** Its words name groups: of those that one may not read nothing is told. */
export function maySee(groups: Groups): (silence: Pick<Silence, 'matchers'>) => boolean {
  return ({ matchers: { group } }) => {
    return groups === null || group === undefined || [...groups].some((one) => fits(group, one))
  }
}

export function mayHear(groups: Groups, scope: string): boolean {
  const group = scope.startsWith('group/') ? scope.slice('group/'.length) : null
  return groups === null || group === null || groups.has(group)
}

/** Written down before it is handed over. */
async function said(
  scene: Scene,
  deed: Omit<Deed, 'outcome'>,
  request: Parameters<Scene['alerts']['ask']>[0],
): Promise<void> {
  await leaveTrail(scene, { ...deed, outcome: 'asked' })
  if (scene.alerts.ask(request)) return
  await leaveTrail(scene, { ...deed, outcome: 'refused' })
  const next = 'ask the server that leads, or start: holdfast alerts run'
  throw new HoldfastError('HF_ALERT_UNKNOWN', 'nobody runs the alerts on the host of this server', next)
}

function firing(looked: Looked | null): readonly Alert[] {
  return Object.values(looked?.saved.state.alerts ?? {}).filter(
    ({ phase }) => phase === 'firing' || phase === 'clearing',
  )
}

function documentOf(
  { alerts, platform, clock }: Scene,
  looked: Looked | null,
  { shown, groups }: { readonly shown: (labels: Alert['labels']) => boolean; readonly groups: Groups },
) {
  const { config } = alerts
  const wallMs = clock.wallMs()
  const wallOf = (atMs: number): number => Math.round(wallMs - ((looked?.nowMs ?? atMs) - atMs))
  const state = looked?.saved.state
  const runbook = runbookOf(platform)
  const because = looked?.running === true ? '' : alerts.because || 'nobody has looked for a while on this host'
  const rank = ['critical', 'warning', 'info']
  return {
    running: looked?.running === true,
    because,
    lookedMs: looked === null ? null : Math.round(looked.saved.wallMs),
    alerts: firing(looked)
      .filter(({ labels }) => shown(labels))
      .sort((a, b) => rank.indexOf(a.severity) - rank.indexOf(b.severity) || b.firedAtMs - a.firedAtMs)
      .slice(0, SHOWN_MAX)
      .map((alert) => {
        const { id, rule, severity, labels, firedAtMs, acknowledged, value, limit } = alert
        const row = config.rules.find((one) => one.id === rule)
        const larger = state === undefined ? null : explainedBy(alert, state, config)
        const muted = state !== undefined && silenced(alert, state.silences, looked?.nowMs ?? 0)
        return {
          ...{ id, rule, severity, labels: { ...labels }, sinceMs: wallOf(firedAtMs), runbook: runbook(rule) },
          summary: sentence(row?.summary ?? rule, labels, { value, limit }),
          next: sentence(row?.next ?? '', labels, { value, limit }),
          acknowledgedBy: acknowledged?.by ?? null,
          quiet: muted ? 'silenced' : larger === null ? '' : `explained by ${larger}`,
        }
      }),
    silences: (state?.silences ?? []).filter(maySee(groups)).map(({ id, matchers, by, because: why, endsAtMs }) => {
      return { id, matchers: { ...matchers }, by, because: why, endsMs: wallOf(endsAtMs) }
    }),
    failing: Object.values(state?.desks ?? {})
      .filter(({ failures, scope }) => failures > 0 && mayHear(groups, scope))
      .map(({ channel, scope, because: why }) => ({ channel, scope, because: why })),
    channels: platform.alerts.channels.map(({ name, kind }) => ({ channel: name, kind })),
  }
}
