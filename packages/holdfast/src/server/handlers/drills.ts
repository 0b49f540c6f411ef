/** Drills as people ask for them: looked at, started, approved. What runs them stands in `drills/conductor.ts`. */
import type { ApiDrillOrder } from '@holdfast/client'
import type { DrillSpec } from '../../config/drill.ts'
import { HoldfastError } from '../../errors.ts'
import { freshId } from '../../io/random.ts'
import { type Principal, rightsOver } from '../access/grants.ts'
import { isRiskyLive, orderOf, type Where } from '../drills/order-draft.ts'
import { addOrder, editOrder, findOrder, newestOrders } from '../drills/orders.ts'
import { activeOf, drillOf, scoresOf } from '../drills/view.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { present } from './approvals.ts'
import type { Asker } from './drill-stop.ts'
import { seen, unknown } from './platform.ts'
import { changeWithTrail, type Deed } from './trail.ts'

type DrillHandlers = Pick<
  Handlers,
  'drills' | 'drillScores' | 'startDrill' | 'drillDay' | 'approveDrills' | 'rejectDrills'
>

/** As for other approvals: long enough to find somebody, short enough that what was true still is. */
const VALID_MS = 15 * 60_000

export function drillHandlers(scene: Scene): DrillHandlers {
  return { ...lookHandlers(scene), ...orderHandlers(scene) }
}

function lookHandlers(scene: Scene): Pick<DrillHandlers, 'drills' | 'drillScores'> {
  const { catalogue, records } = scene.drills
  return {
    drills: async ({ who }) => {
      await catalogue.refresh(scene.database.read)
      const { platform, clock } = scene
      const groups = seen(scene, who)
      const shown = (group: string): boolean => groups?.has(group) !== false
      const wallMs = clock.wallMs()
      const drills = catalogue.drills.filter(({ settings }) => shown(settings.group))
      const orders = await newestOrders(scene.database.read)
      return document({
        storeBecause: records.because,
        drills: drills.map((one) => {
          const knownSinceMs = catalogue.knownSince(one.settings.drill)
          return drillOf(one, records.of(one.settings.group), { platform, wallMs, knownSinceMs })
        }),
        mistakes: groups === null ? mistakesOf(scene) : [],
        active: platform.groups
          .filter(({ name }) => shown(name))
          .flatMap(({ name }) => activeOf(records.of(name), records.silentMs(name))),
        orders: orders.filter((order) => order.drills.every(({ group }) => shown(group))),
      })
    },
    drillScores: async ({ who }) => {
      await catalogue.refresh(scene.database.read)
      const groups = seen(scene, who)
      const scoring = {
        platform: scene.platform,
        drills: catalogue.drills,
        recordOf: (group: string) => records.of(group),
        knownSince: (drill: string) => catalogue.knownSince(drill),
        wallMs: scene.clock.wallMs(),
      }
      return document(scoresOf(scoring, (group) => groups?.has(group) !== false))
    },
  }
}

function mistakesOf({ drills }: Scene) {
  return drills.catalogue.entries.flatMap((entry) => {
    if (entry.ok) return []
    return entry.mistakes.map(({ what, right, line }) => ({ file: entry.file, what, right, line }))
  })
}

function orderHandlers(
  scene: Scene,
): Pick<DrillHandlers, 'startDrill' | 'drillDay' | 'approveDrills' | 'rejectDrills'> {
  return {
    startDrill: async ({ params, body, who, address }) => {
      const asker = { who: present(who), address }
      const drill = named(scene, body.drill)
      if (drill.settings.group !== params.group) throw unknown('drill', `${body.drill} of ${params.group}`)
      if (body.sha256 !== undefined && body.sha256 !== drill.sha256) throw changed(drill)
      const where = body.where ?? 'file'
      refuseLive(drill, where)
      // Whoever it is: losing data on purpose takes two.
      const waits = body.askApproval === true || isRiskyLive(drill, where, scene.platform)
      return document(await ask(scene, asker, { title: body.drill, drills: [{ drill, where }], waits }))
    },
    drillDay: async ({ body, who, address }) => {
      const drills = body.drills.map((name) => ({ drill: named(scene, name), where: 'file' as const }))
      return document(await ask(scene, { who: present(who), address }, { title: body.title, drills, waits: true }))
    },
    approveDrills: async ({ params, who, address }) => {
      const asker = { who: present(who), address }
      const order = await decidable(scene, asker.who, params.id)
      if (!mayApprove(scene, asker.who, order)) throw notYours(asker.who)
      if (order.by === asker.who.user) {
        const message = 'who asks for something does not approve it'
        throw new HoldfastError('HF_FORBIDDEN', message, 'let another approver look at it')
      }
      if (order.configSha256 !== scene.platform.sha256) {
        const message = 'this server has another description than the one it was asked with'
        throw new HoldfastError('HF_DRILL_REFUSED', message, 'look at the drill and ask for it again')
      }
      for (const { drill, sha256 } of order.drills) {
        const now = named(scene, drill)
        if (now.sha256 !== sha256) throw changed(now)
      }
      return document(await decide(scene, asker, order, 'ready'))
    },
    rejectDrills: async ({ params, who, address }) => {
      const asker = { who: present(who), address }
      const order = await decidable(scene, asker.who, params.id)
      if (!mayApprove(scene, asker.who, order) && order.by !== asker.who.user) throw notYours(asker.who)
      return document(await decide(scene, asker, order, 'rejected'))
    },
  }
}

function named({ drills }: Scene, name: string): DrillSpec {
  drills.catalogue.reread()
  const found = drills.catalogue.find(name)
  if (found !== null) return found
  const next = 'see the drills of the description; holdfast validate tells the mistakes of their files'
  throw new HoldfastError('HF_DRILL_UNKNOWN', `there is no drill ${name.slice(0, 64)}, or its file has mistakes`, next)
}

function changed({ file, settings }: DrillSpec): HoldfastError {
  const message = `the file of drill ${settings.drill} was changed since it was looked at`
  return new HoldfastError('HF_DRILL_REFUSED', message, `look at ${file} and ask for it again`)
}

function refuseLive(drill: DrillSpec, where: Where): void {
  if (where !== 'live' || drill.practice !== 'always') return
  const message = `${drill.settings.drill} is to be practised on a copy, always`
  throw new HoldfastError('HF_DRILL_REFUSED', message, 'start it on a copy, or change the drill file')
}

interface Wanted {
  readonly title: string
  readonly drills: readonly { readonly drill: DrillSpec; readonly where: Where }[]
  readonly waits: boolean
}

async function ask(scene: Scene, asker: Asker, { title, drills, waits }: Wanted): Promise<ApiDrillOrder> {
  const askedMs = Math.round(scene.clock.wallMs())
  const order = orderOf({
    ...{ id: freshId(), title, by: asker.who.user, askedMs, scheduledMs: null, expiresMs: askedMs + VALID_MS },
    state: waits ? 'waiting' : 'ready',
    drills,
    platform: scene.platform,
  })
  const verb = waits ? 'asks an approver to run' : 'asked to run'
  const deed = deedOf(asker, order, { action: 'drill', outcome: 'asked', words: `${asker.who.user} ${verb}` })
  await changeWithTrail(scene, deed, (writing) => addOrder(writing, order, null))
  return order
}

interface Told {
  readonly action: string
  readonly outcome: Deed['outcome']
  readonly words: string
}

function deedOf(asker: Asker, order: ApiDrillOrder, { action, outcome, words }: Told): Deed {
  const names = order.drills.map(({ drill }) => drill).join(', ')
  const [group, ...more] = [...new Set(order.drills.map((one) => one.group))]
  const hashes = order.drills.map(({ drill, sha256 }) => [`sha256 ${drill}`, sha256] as const)
  const kind = order.state === 'waiting' ? 'approval' : 'drill'
  const event = {
    kind,
    summary: `${words} ${names}`,
    ...(group === undefined || more.length > 0 ? {} : { group }),
  } as const
  const detail = { id: order.id, drills: names, ...Object.fromEntries(hashes) }
  return { ...asker, action, subject: `drill ${order.title}`, outcome, detail, event }
}

function mayApprove(scene: Scene, who: Principal, order: ApiDrillOrder): boolean {
  return order.drills.every(({ group }) => rightsOver(who, group, scene.services()).has('approve'))
}

function notYours({ user }: Principal): HoldfastError {
  return new HoldfastError('HF_FORBIDDEN', `${user} has no right to approve here`, 'ask an approver of the groups')
}

async function decidable(scene: Scene, who: Principal, id: string): Promise<ApiDrillOrder> {
  const order = (await findOrder(scene.database.read, id))?.order ?? null
  const may = order?.drills.every(({ group }) => rightsOver(who, group, scene.services()).has('read')) === true
  if (order === null || !may) throw unknown('order', id)
  if (order.state !== 'waiting') throw closed(order)
  return order
}

function closed({ id, state }: ApiDrillOrder): HoldfastError {
  return new HoldfastError('HF_APPROVAL_CLOSED', `order ${id} is ${state}`, 'ask for it again if it is needed')
}

async function decide(
  scene: Scene,
  asker: Asker,
  order: ApiDrillOrder,
  state: 'ready' | 'rejected',
): Promise<ApiDrillOrder> {
  const nowMs = Math.round(scene.clock.wallMs())
  const words = `${asker.who.user} ${state === 'ready' ? 'approved' : 'rejected'} what ${order.by} asked for:`
  const action = state === 'ready' ? 'drill-approved' : 'drill-rejected'
  const deed = deedOf(asker, { ...order, state }, { action, outcome: 'done', words })
  return changeWithTrail(scene, deed, async (writing) => {
    const done = await editOrder(writing, order.id, ({ order: now }) => {
      if (now.state !== 'waiting' || (now.expiresMs ?? 0) <= nowMs) return null
      const decided = { decidedBy: asker.who.user, decidedMs: nowMs, expiresMs: nowMs + VALID_MS }
      return { ...now, ...decided, state, endedMs: state === 'rejected' ? nowMs : null }
    })
    if (done === null) throw new HoldfastError('HF_APPROVAL_CLOSED', `order ${order.id} is no longer open`, 'ask again')
    return done
  })
}
