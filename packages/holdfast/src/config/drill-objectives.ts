/**
 * What a drill is held against: what its file names, else what the services of its group promise. A file may ask for
 * more than a service promises, never for less: a drill that passes must not be a promise that was broken.
 */
import type { DrillFile, DrillSpec, LoadedDrill } from './drill.ts'
import type { Finding, Mistake } from './mistake.ts'
import type { Platform } from './platform.ts'
import { durationText } from './quantities.ts'

export interface Promised {
  readonly ms: number
  readonly service: string
}

type Services = Pick<Platform, 'services'>

/** The strictest of the services that the group belongs to; null: none promises anything. */
export function promisedTo(group: string, { services }: Services): Readonly<Record<'rto' | 'rpo', Promised | null>> {
  const own = services.filter((service) => service.groups.some((one) => one.group === group))
  const strictest = (key: 'rtoMs' | 'rpoMs'): Promised | null =>
    own.reduce<Promised | null>((best, { name, objectives }) => {
      const ms = objectives?.[key] ?? null
      return ms === null || (best !== null && best.ms <= ms) ? best : { ms, service: name }
    }, null)
  return { rto: strictest('rtoMs'), rpo: strictest('rpoMs') }
}

export type CompletedDrill =
  | { readonly ok: true; readonly drill: DrillSpec }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] }

export function completedDrill(loaded: Extract<LoadedDrill, { ok: true }>, platform: Services): CompletedDrill {
  const { drill, place } = loaded
  const promised = promisedTo(drill.settings.group, platform)
  const findings: Finding[] = []
  const figure = (key: 'rto' | 'rpo', own: number | null): number => {
    const held = promised[key]
    if (own === null && held === null) findings.push(nobodySays(key, drill))
    if (own !== null && held !== null && own > held.ms) findings.push(looser(key, own, held))
    return own ?? held?.ms ?? 0
  }
  const rtoMs = figure('rto', drill.objectives.rtoMs)
  const rpoMs = figure('rpo', drill.objectives.rpoMs)
  if (findings.length > 0) return { ok: false, mistakes: findings.map(place) }
  return { ok: true, drill: { ...drill, settings: { ...drill.settings, objectives: { rtoMs, rpoMs } } } }
}

function looser(key: 'rto' | 'rpo', own: number, { ms, service }: Promised): Finding {
  const what = `\`${key}\` is ${durationText(own)}, and service \`${service}\` promises ${durationText(ms)}`
  const right = `at most ${durationText(ms)}; without \`${key}\` it is what the service promises`
  return { path: ['objectives', key], at: 'value', what, right }
}

function nobodySays(key: 'rto' | 'rpo', { settings }: DrillFile): Finding {
  const what = `there is no \`${key}\`, and no service of group \`${settings.group}\` promises one`
  const right = '`objectives: { rto: 30s, rpo: 0s }` here, or `objectives` of a service in holdfast.yaml'
  return { path: ['objectives'], at: 'key', what, right }
}
