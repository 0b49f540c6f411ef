/** Words to a drill that runs, whoever runs it: let it go on, or stop. They travel through the store. */
import { HoldfastError } from '../../errors.ts'
import { nameOf, type Principal } from '../access/grants.ts'
import { withYes } from '../drills/gate.ts'
import { editOrder, openOrders } from '../drills/orders.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { groupOr404 } from './agents.ts'
import { present } from './approvals.ts'
import { changeWithTrail, leaveTrail } from './trail.ts'

export interface Asker {
  readonly who: Principal
  readonly address: string
}

export function drillStopHandlers(scene: Scene): Pick<Handlers, 'approveDrillGate' | 'abortDrill'> {
  return {
    approveDrillGate: async ({ params, body, who, address }) => {
      const asker = { who: present(who), address }
      const { user } = asker.who
      groupOr404(scene.watch.group(params.group), params.group)
      const { ledger } = deskOf(scene)
      const yes = { id: body.id, gate: body.gate, user }
      const before = await ledger.read(params.group)
      if (withYes(before, yes) === null) return document({ ok: true })
      const given = `${before.active?.drill ?? ''}, before the ${body.gate}`
      const base = { ...asker, action: 'drill-gate-approved', subject: `group ${params.group}` }
      await leaveTrail(scene, { ...base, outcome: 'asked', detail: { drill: given, run: body.id } })
      await ledger.change(params.group, (record) => withYes(record, yes))
      const summary = `${user} approved drill ${given}`
      await leaveTrail(scene, { ...base, outcome: 'done', event: { kind: 'approval', summary, group: params.group } })
      return document({ ok: true })
    },
    abortDrill: async ({ params, body, who, address }) => {
      const asker = { who: present(who), address }
      groupOr404(scene.watch.group(params.group), params.group)
      return document(await abortIn(scene, asker, params.group, body.because))
    },
  }
}

/** Told to its runner by the store, whoever that is; what has no runner any more is ended by the server that leads. */
export async function abortIn(
  scene: Scene,
  { who, address }: Asker,
  group: string,
  because: string,
): Promise<{ drill: string | null; because: string }> {
  const summary = `${who.user} stops the drill of ${group}: ${because}`
  const event = { kind: 'drill', severity: 'warning', summary, group } as const
  const deed = { who, address, action: 'drill-abort', subject: `group ${group}`, detail: { because }, event } as const
  await changeWithTrail(scene, { ...deed, outcome: 'asked' }, async (writing) => {
    for (const { order } of await openOrders(writing)) {
      if (order.state !== 'running' || !order.drills.some((one) => one.group === group)) continue
      await editOrder(writing, order.id, ({ order: now }) => {
        return now.state === 'running' && now.because === '' ? { ...now, because: `${who.user}: ${because}` } : null
      })
    }
  })
  const { ledger } = deskOf(scene)
  const told = await ledger.change(group, (record) => {
    const { active } = record
    if (active === null || active.abort !== null) return null
    return { ...record, active: { ...active, abort: { by: nameOf(who), because } } }
  })
  const { active } = told
  if (active === null) return { drill: null, because: `no drill runs on ${group}` }
  return { drill: active.drill, because: 'its runner was told; it ends its fault and writes its report' }
}

export function deskOf({ drills }: Scene): NonNullable<Scene['drills']['desk']> {
  if (drills.desk !== null) return drills.desk
  const next = 'drills need the store of the agents; mend the description'
  throw new HoldfastError('HF_DRILL_REFUSED', `the store cannot be used: ${drills.because}`, next)
}
