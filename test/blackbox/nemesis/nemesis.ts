/**
 * Does one planned fault: resolves where, way in, waits, way back, and tells what it did. A switchover that is planned
 * in the midst is asked for while the fault lasts and is not waited for longer than the fault needs. Whether the group
 * became whole again is looked at by `run.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '../../../packages/holdfast/src/sim/prng.ts'
import type { Answer, FaultPlan, Lane, Service } from '../contract.ts'
import { FAULTS } from './faults.ts'
import { chanceOf, type PlannedFault } from './plan.ts'
import type { Back, Field } from './ways.ts'

export interface StruckFault {
  readonly plan: PlannedFault
  /** Real hosts. */
  readonly at: readonly string[]
  readonly excuses: boolean
  readonly switchover: string | null
}

export interface StrikeOptions {
  readonly field: Field
  readonly seed: number
  readonly plan: PlannedFault
  /** Ends the wait early; the way back is taken all the same. */
  readonly signal: AbortSignal
  readonly onFault: (struck: StruckFault) => void
  readonly onHeal: (struck: StruckFault) => void
}

/** A switchover that was asked for in the midst of a fault may end only some time after its way back. */
const SWITCHOVER_BOUND_MS = 30_000

export async function strike(options: StrikeOptions): Promise<StruckFault> {
  const { field, plan, signal } = options
  const kind = FAULTS[plan.fault]
  if (kind === undefined) throw new RangeError(`no fault is called ${plan.fault}`)
  const chance = chanceOf(options.seed, plan)
  const at = await resolve(field, plan.at, chance)
  const asked = plan.switchoverAfterMs !== null
  const begun: StruckFault = { plan, at, excuses: kind.excuses || asked, switchover: null }
  options.onFault(begun)
  const ending = new AbortController()
  const over = AbortSignal.any([signal, ending.signal])
  const begin = { field, at, lastsMs: plan.lastsMs, chance, signal: over }
  let back: Back = async () => {}
  let planned: Promise<string | null> = Promise.resolve(null)
  try {
    // Asked for at its time, also when that is after the way back of a short fault.
    planned = plan.switchoverAfterMs === null ? planned : askLater(field, plan, signal)
    back = await kind.begin(begin)
    await sleep(plan.lastsMs, undefined, { signal }).catch(() => {})
  } finally {
    ending.abort()
    await back()
  }
  const answer = (): Promise<string | null> =>
    Promise.race([planned, sleep(SWITCHOVER_BOUND_MS, 'no answer', { ref: false })])
  // A fault that is nothing but what is asked for is over when that is; for the others it may end later.
  const answered = kind.onlyAsks === true ? await answer() : null
  options.onHeal({ ...begun, switchover: answered })
  return { ...begun, switchover: answered ?? (await answer()) }
}

async function askLater(field: Field, plan: PlannedFault, signal: AbortSignal): Promise<string | null> {
  try {
    await sleep(plan.switchoverAfterMs ?? 0, undefined, { signal })
    const { ok, text } = await ask(field, plan.asks ?? 'switchover')
    return ok ? `done: ${text}` : `refused: ${text}`
  } catch (error) {
    return `failed: ${error instanceof Error ? error.message : String(error)}`
  }
}

async function ask({ lane, subject: { service } }: Field, what: NonNullable<FaultPlan['asks']>): Promise<Answer> {
  if (what === 'switchover' || service === null) return lane.switchover()
  return service.move(what === 'move-back' ? service.home : otherSite(service, await siteOf(service, lane)))
}

/** Where the group is; null while nobody leads it. */
export async function siteOf(service: Service, lane: Lane): Promise<string | null> {
  const name = await lane.primary()
  const host = lane.members.find(({ member }) => member === name)?.host ?? ''
  return Object.entries(service.sites).find(([, hosts]) => hosts.includes(host))?.[0] ?? null
}

/** Of a group without a site the other one is that away from home. */
function otherSite({ sites, home }: Service, than: string | null): string {
  return Object.keys(sites).find((site) => site !== (than ?? home)) ?? home
}

/** Real hosts for `primary` and `replica`. Without a primary the first member stands in: it was one not long ago. */
export async function resolve(field: Field, at: readonly string[], chance: Stream): Promise<readonly string[]> {
  const { service } = field.subject
  if (service !== null && (at[0] === 'primary-site' || at[0] === 'other-site')) {
    const site = await siteOf(service, field.lane)
    return service.sites[at[0] === 'primary-site' ? (site ?? service.home) : otherSite(service, site)] ?? []
  }
  if (!at.some((one) => one === 'primary' || one === 'replica')) return at
  const { members } = field.lane
  const name = await field.lane.primary()
  const primary = (members.find(({ member }) => member === name) ?? members[0])?.host ?? ''
  const taken = new Set(at)
  const replicas = chance.shuffle(members.map(({ host }) => host).filter((host) => host !== primary))
  const replica = replicas.find((host) => !taken.has(host)) ?? replicas[0] ?? ''
  const real = at.map((one) => (one === 'primary' ? primary : one === 'replica' ? replica : one))
  const [first, second] = real
  if (real.length !== 2 || first !== second) return real
  // A pair whose ends turned out to be one host: the other end becomes somebody else.
  const other = members.map(({ host }) => host).find((host) => host !== first) ?? field.subject.edge
  return at[0] === 'primary' ? [primary, other] : [other, primary]
}
