/** What a run has to know of a service beside its groups: where it is, and that it is so as a whole. */
import { setTimeout as sleep } from 'node:timers/promises'
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

/** On a busy machine an agent may miss one question; a group without a primary has none for longer than this. */
const LOOK_BOUND_MS = 10_000
const LOOK_MS = 200

/** Once every group has a primary, or the bound is over. */
export async function placesOf({ service, lanes }: Subject): Promise<Places> {
  if (service === null) return {}
  for (const endMs = performance.now() + LOOK_BOUND_MS; ; await sleep(LOOK_MS)) {
    const places: Record<string, string> = {}
    for (const lane of lanes) {
      const site = await siteOf(service, lane)
      if (site !== null) places[lane.group] = site
    }
    if (Object.keys(places).length === lanes.length || performance.now() > endMs) return places
  }
}

/**
 * As an operator would; nothing stands in its way, so what does not work is a finding. Null: it was together already;
 * else whether it was moved, and then its groups become whole only now.
 */
export async function gather(
  subject: Subject,
  say: (line: string) => void,
  findings: string[],
): Promise<boolean | null> {
  const { service } = subject
  const places = Object.values(await placesOf(subject))
  const [to] = places
  if (service === null || to === undefined || new Set(places).size === 1) return null
  const { ok, text } = await service.move(to)
  const last = text.split('\n').at(-1)
  say(`brings the service together at ${to}: ${last}`)
  if (!ok) findings.push(`without any fault the service could not be moved to ${to}: ${last}`)
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
