/** What a run has to know of a service beside its groups: where it is, and that it is so as a whole. */
import type { ServiceInput } from './checkers/site-moves.ts'
import type { Subject } from './contract.ts'
import type { JudgedLane } from './lanes.ts'
import { siteOf } from './nemesis/nemesis.ts'

/** Group to the site of its primary; a group without one is not in it. */
export type Places = Readonly<Record<string, string>>

export interface PlacedFault {
  readonly number: number
  readonly fault: string
  /** One of several, so that another one saw it. */
  readonly losesSite: boolean
  readonly fromNs: number
  /** When the groups were whole again. */
  readonly toNs: number
  readonly before: Places
  readonly after: Places
}

const WHOLE_MS = 60_000

export async function placesOf({ service, lanes }: Subject): Promise<Places> {
  if (service === null) return {}
  const places: Record<string, string> = {}
  for (const lane of lanes) if ((await lane.primary()) !== null) places[lane.group] = await siteOf(service, lane)
  return places
}

/** As an operator would; nothing stands in its way, so what does not work is a finding. False: it is not together. */
export async function gather(subject: Subject, say: (line: string) => void, findings: string[]): Promise<boolean> {
  const { service, lanes } = subject
  const [lane] = lanes
  if (service === null || lane === undefined) return true
  const sites = new Set(Object.values(await placesOf(subject)))
  if (sites.size === 1) return true
  const to = await siteOf(service, lane)
  const { ok, text } = await service.move(to)
  say(`brings the service together at ${to}: ${text.split('\n').at(-1)}`)
  if (!ok) findings.push(`without any fault the service could not be moved to ${to}: ${text.split('\n').at(-1)}`)
  else await subject.whole(WHOLE_MS)
  return ok
}

export function serviceInput(
  { service, lanes }: Subject,
  judged: readonly JudgedLane[],
  faults: readonly PlacedFault[],
): ServiceInput {
  if (service === null) throw new Error('the subject has no service')
  const siteOfHost = (host: string): string =>
    Object.entries(service.sites).find(([, hosts]) => hosts.includes(host))?.[0] ?? ''
  const groups = lanes.map(({ group, members }, at) => ({
    group,
    after: service.after[group] ?? [],
    sites: Object.fromEntries(members.map(({ member, host }) => [member, siteOfHost(host)])),
    promotions: judged[at]?.promotions ?? [],
    history: judged[at]?.history ?? [],
  }))
  return { groups, plans: service.plans(), faults }
}
