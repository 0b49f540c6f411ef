/** A service out of its groups: safe as the worst of them, and where it is. Pure. */
import type { ApiGroup, ApiService } from '@holdfast/client'
import type { ServiceSpec } from '../../config/platform.ts'

/** Null unless all its groups are among these: only who may read them all is told. */
export function serviceOf(spec: ServiceSpec, shown: readonly ApiGroup[]): ApiService | null {
  const { name, groups, objectives } = spec
  const own = groups.flatMap(({ group }) => shown.find((item) => item.group === group) ?? [])
  const [first] = own
  if (first === undefined || own.length < groups.length) return null
  const unsafe = own.find(({ verdict }) => !verdict.safe)
  const rank = ({ loss }: ApiGroup): number => LOSSES.indexOf(loss.kind)
  const worst = own.reduce((a, b) => (rank(b) > rank(a) || (b.loss.bytes ?? 0) > (a.loss.bytes ?? 0) ? b : a), first)
  const places = groups.map(({ group, after }) => {
    const found = own.find((item) => item.group === group)
    const site = found?.members.find(({ member }) => member === found.writer)?.site ?? null
    return { group, site, after: [...after] }
  })
  const sites = new Set(places.map(({ site }) => site))
  return {
    service: name,
    groups: own.map(({ group }) => group),
    rtoMs: objectives?.rtoMs ?? null,
    rpoMs: objectives?.rpoMs ?? null,
    verdict:
      unsafe === undefined
        ? { safe: true, because: 'each of its groups is' }
        : { safe: false, because: `${unsafe.group}: ${unsafe.verdict.because}` },
    loss: { ...worst.loss, because: `${worst.group}: ${worst.loss.because}` },
    home: spec.home,
    at: sites.size === 1 ? (places[0]?.site ?? null) : null,
    places,
    siteLoss: spec.siteLoss,
    comeHome: spec.comeHome,
    hooks: spec.hooks.map(({ name: hook, when, group, deadlineMs }) => ({ name: hook, when, group, deadlineMs })),
  }
}

/** From the best to the worst. */
const LOSSES: readonly string[] = ['nothing', 'bytes', 'unknown', 'everything']

/** Without what moves all the time. */
export function serviceGist(service: ApiService): string {
  const { verdict, loss } = service
  const still = verdict.because.replace(/[\d.]+ ?\w+/g, '')
  return JSON.stringify({ ...service, verdict: [verdict.safe, still], loss: loss.kind })
}
