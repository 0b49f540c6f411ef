/** From what somebody wants of a service to a plan of it, for whoever asks: the command line or the server. */
import { type GroupSpec, type Platform, type ServiceSpec, serviceByName } from '../config/platform.ts'
import { type Draft, draftPlan, type MoveWish, type Survey } from '../core/site-plan/draft.ts'
import { isOver, type PlanKind, type PlanRecord } from '../core/site-plan/plan.ts'
import { draftRestart } from '../core/site-plan/restart-draft.ts'
import { lastPlace } from '../core/site-plan/watch.ts'
import type { PlanPort, PlanRead } from './plan-port.ts'
import { scopeOf, surveyOf } from './survey.ts'

/** A service, or what of it is moved. */
export type Moved = Pick<ServiceSpec, 'name' | 'groups' | 'hooks'> & {
  /** Empty: a group in no service has none. */
  readonly home: string
}

export interface MoveOrder {
  readonly id: string
  readonly by: string
  readonly lossAccepted: boolean
  /** The site where it shall be; null: away from `member`. */
  readonly to: string | null
  readonly member: string | null
  /** Says whether home is meant; null: nobody goes home. */
  readonly home: string | null
  /** Only to be shown: as if this were wanted, whatever is so now. */
  readonly asIf?: PlanKind | undefined
}

export interface MoveTools {
  readonly platform: Platform
  readonly port: PlanPort
}

export type Drafted =
  | { readonly ok: true; readonly draft: Draft; readonly revision: number; readonly before: PlanRecord | null }
  /** Another plan is not over. */
  | { readonly ok: false; readonly kind: 'busy'; readonly plan: PlanRecord }
  /** Plans cannot be read. */
  | { readonly ok: false; readonly kind: 'store'; readonly because: string }
  /** No agent of one of the groups answers. */
  | { readonly ok: false; readonly kind: 'silent' }

/** A store that is busy answers the next time; a person would only type the same again. */
const LOOKS_MAX = 5
const LOOK_AGAIN_MS = 500

export async function draftMove(one: Moved, order: MoveOrder, tools: MoveTools): Promise<Drafted> {
  const found = await lookUp(tools.port, one.name)
  if (!found.ok) return { ok: false, kind: 'store', because: found.because }
  const { plan: before, revision } = found
  if (before !== null && !isOver(before)) return { ok: false, kind: 'busy', plan: before }
  const from = lastPlace(before, one.home)
  const survey = await surveyOf(one, { ...tools, planned: true })
  if (isSilent(survey)) return { ok: false, kind: 'silent' }
  return { ok: true, draft: await drawn(one, { ...order, from }, { tools, survey }), revision, before }
}

/** The engines of one group anew, all of them or those of `member`, as a part of the service `one` has the name of. */
export async function draftRestarts(
  one: Moved,
  order: Pick<MoveOrder, 'id' | 'by' | 'member'>,
  tools: MoveTools,
): Promise<Drafted> {
  const found = await lookUp(tools.port, one.name)
  if (!found.ok) return { ok: false, kind: 'store', because: found.because }
  const { plan: before, revision } = found
  if (before !== null && !isOver(before)) return { ok: false, kind: 'busy', plan: before }
  const from = lastPlace(before, one.home)
  const survey = await surveyOf({ ...one, hooks: [] }, { ...tools, planned: true })
  if (isSilent(survey)) return { ok: false, kind: 'silent' }
  const wish = { ...order, kind: 'restart', to: null, origin: 'operator', lossAccepted: false } as const
  const draft = draftRestart(survey, { ...wish, ...(from === '' ? {} : { from }) })
  return { ok: true, draft, revision, before }
}

/** How it could move to each of these sites now: one look at the agents for all of them. */
export async function draftMoves(
  one: Moved,
  sites: readonly string[],
  tools: MoveTools,
): Promise<readonly { readonly to: string; readonly draft: Draft }[] | null> {
  const survey = await surveyOf(one, { ...tools, planned: true })
  if (isSilent(survey)) return null
  const order = { id: 'a-look', by: 'a look', lossAccepted: false, member: null, home: one.home, from: '' }
  return Promise.all(sites.map(async (to) => ({ to, draft: await drawn(one, { ...order, to }, { tools, survey }) })))
}

async function lookUp(port: PlanPort, scope: string): Promise<PlanRead> {
  for (let looks = 1; ; looks += 1) {
    const found = await port.read(scope)
    if (found.ok || looks >= LOOKS_MAX) return found
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
}

function isSilent({ groups }: Survey): boolean {
  return groups.some(({ members }) => members.every(({ heard }) => !heard))
}

interface Seen {
  readonly tools: MoveTools
  readonly survey: Survey
}

async function drawn(one: Moved, order: MoveOrder & { from: string }, { tools, survey }: Seen): Promise<Draft> {
  const wish = (kind: PlanKind): MoveWish => ({
    id: order.id,
    kind,
    ...(kind === 'evacuate' && order.from !== '' ? { from: order.from } : {}),
    to: order.to,
    member: order.member,
    by: order.by,
    origin: 'operator',
    lossAccepted: order.lossAccepted,
  })
  if (order.member !== null) {
    const group = survey.groups[0]
    // A member that is not primary has nothing to give away.
    if (group?.open === true && group.holder !== order.member)
      return draftPlan({ ...survey, groups: [] }, wish('evacuate'))
    return draftPlan(survey, wish('evacuate'))
  }
  const kind =
    order.asIf ?? (siteGone(survey, order.to) ? 'failover' : order.to === order.home ? 'failback' : 'switchover')
  if (kind !== 'failover') return draftPlan(survey, wish(kind))
  return draftPlan(await surveyOf(one, { ...tools, planned: false }), wish('failover'))
}

/** A group that has to move has no primary that answers. */
function siteGone({ groups }: Survey, to: string | null): boolean {
  return groups.some(({ open, holder, members }) => {
    const there = members.find(({ member }) => member === holder)?.site === to
    return !open && !there && members.some(({ site, heard }) => site === to && heard)
  })
}

/** What moves when one member is evacuated: its group, as a part of its service where it has one. Null: unknown. */
export function evacuated(platform: Platform, member: string): Moved | null {
  const group = platform.groups.find(({ members }) => members.some(({ name }) => name === member))
  return group === undefined ? null : movedAlone(platform, group)
}

/** One group by itself, under the name of its service where it has one: one plan at a time (R31). */
export function movedAlone(platform: Platform, group: GroupSpec): Moved {
  const service = platform.services.find(({ groups }) => groups.some((entry) => entry.group === group.name))
  const { home, name } = service ?? { home: '', ...scopeOf(group) }
  return { ...scopeOf(group), name, home }
}

/** Those of the whole service, also where only one of its groups is moved. */
export function hooksOf(platform: Platform, scope: string): ServiceSpec['hooks'] {
  return serviceByName(platform, scope)?.hooks ?? []
}
