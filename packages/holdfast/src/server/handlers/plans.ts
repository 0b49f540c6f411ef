/**
 * Plans of services: shown dry, begun, taken back, gone on with. A plan is drawn anew whenever it is to begin; what was
 * shown, or agreed to, counts by its digest. One that may lose acknowledged writes begins only after another person
 * agreed to this very plan.
 */
import type { ApiApproval, ApiPlan } from '@holdfast/client'
import { serviceByName } from '../../config/platform.ts'
import { type Draft, isLossy } from '../../core/site-plan/draft.ts'
import { isOver, type PlanKind, type PlanRecord } from '../../core/site-plan/plan.ts'
import { HoldfastError } from '../../errors.ts'
import { freshId } from '../../io/random.ts'
import { type Drafted, draftMove, evacuated, type Moved } from '../../plans/draft-move.ts'
import { scopeOf } from '../../plans/survey.ts'
import { document, type Handlers } from '../http/request.ts'
import { writtenPlan, writtenPlans } from '../plans/book.ts'
import { digestOf, draftOf, planOf, planWords } from '../plans/plan-view.ts'
import type { Begun } from '../plans/runs.ts'
import type { Scene } from '../scene.ts'
import { type Asker, openApproval, present } from './approvals.ts'
import { unknown } from './platform.ts'
import { type Deed, leaveTrail } from './trail.ts'

type PlanHandlers = Pick<Handlers, 'draftPlan' | 'plans' | 'plan' | 'beginPlan' | 'cancelPlan' | 'resumePlan'>

const SHOWN = 50

/** Where to; exactly one of the two. */
interface Way {
  readonly to: string | null
  readonly member: string | null
}

interface Order {
  readonly scope: string
  readonly way: Way
  readonly by: string
  readonly lossAccepted: boolean
  readonly asIf?: PlanKind | undefined
}

export function planHandlers(scene: Scene): PlanHandlers {
  const { plans, database } = scene
  return {
    draftPlan: async ({ params, query, who }) => {
      const order = { scope: params.service, way: wayOf(query), by: present(who).user, lossAccepted: false }
      return document(draftOf((await drawn(scene, { ...order, asIf: query.kind })).draft))
    },
    plans: async ({ params, query }) => {
      const scope = movedOf(scene, params.service).name
      const written = await writtenPlans(database.read, scope, query.limit ?? SHOWN)
      const live = plans.follower.plan(scope)
      if (live === null) return document(written)
      const others = written.filter(({ id }) => id !== live.record.id)
      return document([planOf(live), ...others].slice(0, query.limit ?? SHOWN))
    },
    plan: async ({ params }) => {
      const live = plans.follower.plan(params.service)
      const found = live?.record.id === params.id ? planOf(live) : await writtenPlan(database.read, params.id)
      if (found?.service !== params.service) throw unknown('plan', params.id)
      return document(found)
    },
    beginPlan: async ({ params, body, who, address }) => {
      const asker = { who: present(who), address }
      const { allowDataLoss = false, askApproval = false, digest } = body
      const order = { scope: params.service, way: wayOf(body), by: asker.who.user, lossAccepted: allowDataLoss }
      const { draft, revision } = await drawn(scene, order)
      beginnable(draft, allowDataLoss)
      if (digest !== undefined && digest !== digestOf(draft)) throw changed(draft, 'it is no longer what was shown')
      if (!askApproval && !isLossy(draft)) {
        return document({ plan: await begin(scene, asker, { draft, revision }), approval: null })
      }
      return document({ plan: null, approval: await openApproval(scene, asker, wanted(draft, order)) })
    },
    cancelPlan: async ({ params, who, address }) => {
      const asker = { who: present(who), address }
      return document(await change(scene, asker, { ...params, verb: 'cancel' }))
    },
    resumePlan: async ({ params, who, address }) => {
      const asker = { who: present(who), address }
      return document(await change(scene, asker, { ...params, verb: 'resume' }))
    },
  }
}

/** Throws when the plan is no longer the one that was agreed to; then nothing was begun. */
export async function beginApproved(scene: Scene, asker: Asker, approval: ApiApproval): Promise<ApiPlan> {
  const { plan, allowDataLoss, askedBy } = approval
  if (plan === null) throw unknown('plan', approval.id)
  const { service: scope, to, member } = plan
  const by = `${askedBy}, approved by ${asker.who.user}`
  const { draft, revision } = await drawn(scene, { scope, way: { to, member }, by, lossAccepted: allowDataLoss })
  beginnable(draft, allowDataLoss)
  if (plan.digest !== digestOf(draft)) {
    throw changed(draft, `it is no longer what request ${approval.id} was asked for, which has ended`)
  }
  return begin(scene, asker, { draft, revision })
}

/** A service, or a group in none. */
export function movedOf({ platform, scopes }: Scene, scope: string): Moved {
  const service = serviceByName(platform, scope)
  if (service !== null) return service
  const group = platform.groups.find(({ name }) => scope === `group:${name}`)
  if (group !== undefined && scopes.has(scope)) return { ...scopeOf(group), home: '' }
  throw new HoldfastError('HF_SERVICE_UNKNOWN', `there is no service ${scope}`, 'see the services of the platform')
}

function wayOf({ to, member }: { readonly to?: string | undefined; readonly member?: string | undefined }): Way {
  if ((to === undefined) === (member === undefined)) {
    throw new HoldfastError('HF_BODY_INVALID', 'say where to, once', 'give either a site as `to`, or a `member`')
  }
  return { to: to ?? null, member: member ?? null }
}

function placed(scene: Scene, scope: string, { to, member }: Way): Moved {
  const { platform } = scene
  const whole = movedOf(scene, scope)
  if (to !== null) {
    const sites = platform.sites.filter(({ witness }) => !witness).map(({ name }) => name)
    if (sites.includes(to)) return whole
    throw new HoldfastError('HF_BODY_INVALID', `${to} is no site with data`, `one of ${sites.join(', ')}`)
  }
  const part = evacuated(platform, member ?? '')
  const own = whole.groups.some(({ group }) => group === part?.groups[0]?.group)
  if (part !== null && own) return { ...part, name: scope, home: whole.home }
  throw new HoldfastError('HF_BODY_INVALID', `${member} is no member of ${scope}`, 'see its groups')
}

async function drawn(
  scene: Scene,
  { scope, way, by, lossAccepted, asIf }: Order,
): Promise<Extract<Drafted, { ok: true }>> {
  const one = placed(scene, scope, way)
  const home = way.member === null ? one.home : null
  const order = { id: freshId(), by, lossAccepted, ...way, home, asIf }
  const drafted = await draftMove(one, order, { platform: scene.platform, port: scene.plans.port })
  if (drafted.ok) return drafted
  if (drafted.kind === 'busy') throw busy(drafted.plan)
  if (drafted.kind === 'store') {
    const words = `plans cannot be read: ${drafted.because}; nothing was changed`
    throw new HoldfastError('HF_STORE_UNREACHABLE', words, 'look at the store, then ask again')
  }
  const words = `no agent of a group of ${scope} answers; nothing was changed`
  throw new HoldfastError('HF_AGENT_UNREACHABLE', words, 'start the agents of the surviving site, then ask again')
}

function busy({ kind, scope, to, by }: PlanRecord): HoldfastError {
  const words = `${kind} of ${scope}${to === null ? '' : ` to ${to}`}, asked by ${by}, is not over`
  return new HoldfastError('HF_PLAN_BUSY', words, 'wait for its end, take it back, or resume it when nobody runs it')
}

function changed({ plan }: Draft, why: string): HoldfastError {
  const what = planWords({ ...plan, service: plan.scope })
  const words = `the ${what} would be another plan now: ${why}; nothing was changed`
  return new HoldfastError('HF_PLAN_CHANGED', words, 'look at the plan as it is now; if it is still wanted, ask again')
}

function beginnable(draft: Draft, allowDataLoss: boolean): void {
  const { plan, refusals, losses } = draft
  const no = (message: string, next: string) => new HoldfastError('HF_PLAN_REFUSED', message, next)
  if (refusals.length > 0)
    throw no(`${refusals.join('; ').slice(0, 600)}; nothing was changed`, 'mend it, then ask again')
  if (plan.steps.length === 0) throw no(`${plan.scope} is there already; nothing is to be done`, 'look at its groups')
  if (!isLossy(draft) || allowDataLoss) return
  const groups = losses.map(({ group }) => group).join(', ')
  const next = 'accept it with allowDataLoss; it then waits for another person'
  throw no(`${groups} may lose acknowledged writes (R16), and nobody accepted that`, next)
}

function wanted(draft: Draft, { scope, way, lossAccepted }: Order): Parameters<typeof openApproval>[2] {
  const { kind, from, steps } = draft.plan
  const losses = draft.losses.map(({ group, bytes, because }) => {
    return `${group}: ${bytes === null ? 'nobody knows how much' : `at most ${bytes} bytes`}, ${because}`.slice(0, 400)
  })
  const plan = { service: scope, kind, from, ...way, steps: steps.map(({ id }) => id), losses, digest: digestOf(draft) }
  const base = { id: freshId(), action: 'plan', group: null, to: way.to ?? way.member, epoch: 0 } as const
  // Somebody agrees to a loss only where there is one.
  return { ...base, allowDataLoss: lossAccepted && isLossy(draft), plan }
}

async function begin(
  scene: Scene,
  asker: Asker,
  { draft, revision }: { readonly draft: Draft; readonly revision: number },
): Promise<ApiPlan> {
  const { plan } = draft
  const words = planWords({ ...plan, service: plan.scope })
  const detail = { id: plan.id, kind: plan.kind, from: plan.from, to: plan.to, lossAccepted: plan.lossAccepted }
  const deed = { action: 'plan', scope: plan.scope, words, detail }
  const begun = await withTrail(scene, asker, deed, () => scene.plans.runs.begin(plan, revision))
  return answered(scene, plan.scope, begun)
}

interface Change {
  readonly service: string
  readonly id: string
  readonly verb: 'cancel' | 'resume'
}

async function change(scene: Scene, asker: Asker, { service, id, verb }: Change): Promise<ApiPlan> {
  const scope = movedOf(scene, service).name
  const found = await scene.plans.port.read(scope)
  if (!found.ok) throw new HoldfastError('HF_STORE_UNREACHABLE', `plans cannot be read: ${found.because}`, 'ask again')
  if (found.plan?.id !== id) throw unknown('plan', id)
  if (isOver(found.plan)) throw over(found.plan)
  // Already as it is asked for; one who waits here to go on with it is enough.
  const there = verb === 'resume' || found.plan.cancel !== null
  if (there && scene.plans.runs.isAt(scope, id)) return answered(scene, scope, { ok: true, plan: found.plan })
  const words = `${verb} the ${planWords({ ...found.plan, service })}`
  const { runs } = scene.plans
  const by = asker.who.user
  const run = () => (verb === 'cancel' ? runs.cancel(scope, id, by) : runs.resume(scope, id))
  return answered(
    scene,
    scope,
    await withTrail(scene, asker, { action: `plan-${verb}`, scope, words, detail: { id } }, run),
  )
}

function over({ phase, because }: PlanRecord): HoldfastError {
  const words = `it is over: ${phase}${because === '' ? '' : `, ${because}`}`
  return new HoldfastError('HF_PLAN_REFUSED', words, 'look at the service')
}

function answered(scene: Scene, scope: string, begun: Begun): ApiPlan {
  scene.plans.follower.poke(scope)
  if (!begun.ok) throw notBegun(scope, begun)
  const { plan: record } = begun
  const live = scene.plans.follower.plan(scope)
  const same = live?.record.id === record.id ? live : null
  return planOf({ record, stalled: same?.stalled ?? false, begunMs: same?.begunMs ?? null, endedMs: null })
}

function notBegun(scope: string, { how, plan, silence }: Extract<Begun, { ok: false }>): HoldfastError {
  if (how === 'left') {
    const why = silence === '' ? 'the server ends, or its store was silent' : silence
    const words = `not known whether it was taken: ${why}`
    return new HoldfastError('HF_STORE_UNREACHABLE', words, `look at ${scope} before you ask again`)
  }
  if (plan !== null && !isOver(plan)) return busy(plan)
  if (how === 'busy') {
    const words = `somebody else moved ${scope} meanwhile (${plan?.kind}: ${plan?.phase})`
    return new HoldfastError('HF_PLAN_BUSY', words, 'look at it again')
  }
  return plan === null ? new HoldfastError('HF_PLAN_REFUSED', `no plan of ${scope} is under way`, '') : over(plan)
}

interface Work {
  readonly action: string
  readonly scope: string
  readonly words: string
  readonly detail: NonNullable<Deed['detail']>
}

/** Asked, then done: the first is on disk before anything is written to the store. */
async function withTrail(scene: Scene, { who, address }: Asker, work: Work, run: () => Promise<Begun>): Promise<Begun> {
  const { action, scope, words, detail } = work
  const group = scene.scopes.get(scope)?.[0]
  const base = { who, address, action, subject: `service ${scope}` }
  const summary = `${who.user} asked for: ${words}`
  const event = { kind: 'action', summary, ...(group === undefined ? {} : { group }) } as const
  await leaveTrail(scene, { ...base, outcome: 'asked', detail, event })
  const begun = await run()
  const because = begun.ok ? {} : { because: notBegun(scope, begun).message }
  const outcome = begun.ok ? 'done' : begun.how === 'left' ? 'unknown' : 'refused'
  const after = { ...base, outcome, detail: { ...detail, ...because } } as const
  // It was written down that it was asked for; the record in the store says what became of it.
  await leaveTrail(scene, after).catch((error: unknown) => scene.log.error({ error, action }, 'outcome-not-written'))
  return begun
}
