/** The lever that stops all faults: every drill, every order, every agent; and each agent is asked what is left. */
import { faultsNow, liftAll } from '../drills/faults.ts'
import { editOrder, openOrders } from '../drills/orders.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { present } from './approvals.ts'
import { abortIn, deskOf } from './drill-stop.ts'
import { changeWithTrail, leaveTrail } from './trail.ts'

/** A frozen host runs again a moment after its dead-man heard of the end. */
const LOOK_AGAIN_MS = 500
const LOOKS_MAX = 12

export function faultHandlers(scene: Scene): Pick<Handlers, 'faults' | 'stopFaults'> {
  const asking = () => ({ agents: scene.platform.agents, clientOf: deskOf(scene).clientOf })
  return {
    faults: async () => document(await faultsNow(asking())),
    stopFaults: async ({ body, who, address }) => {
      const asker = { who: present(who), address }
      const { user } = asker.who
      const { because } = body
      const base = { ...asker, action: 'stop-faults', subject: 'every agent' }
      const summary = `${user} stops all faults: ${because}`
      const deed = { ...base, outcome: 'asked', detail: { because } } as const
      const event = { kind: 'drill', severity: 'warning', summary } as const
      await changeWithTrail(scene, { ...deed, event }, async (writing) => {
        for (const { order } of await openOrders(writing)) {
          await editOrder(writing, order.id, ({ order: now }) => {
            if (now.state === 'running') return now.because === '' ? { ...now, because: `${user}: ${because}` } : null
            const endedMs = Math.round(scene.clock.wallMs())
            return { ...now, state: 'rejected', because: `${user} stopped all faults: ${because}`, endedMs }
          })
        }
      })
      const running = scene.platform.groups.filter(({ name }) => scene.drills.records.of(name).active !== null)
      // The faults end also where the store does not answer.
      const told = running.map(({ name }) => abortIn(scene, asker, name, because))
      await Promise.all(
        [...told, liftAll(asking(), user)].map((one) =>
          one.catch((error: unknown) => {
            scene.log.warn({ error }, 'stop-faults')
          }),
        ),
      )
      let now = await faultsNow(asking())
      for (let looks = 0; !now.allOff && looks < LOOKS_MAX; looks++) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
        await liftAll(asking(), user)
        now = await faultsNow(asking())
      }
      const left = now.agents.filter(({ off }) => !off)
      const detail = { because, ...Object.fromEntries(left.map((one) => [`left at ${one.agent}`, one.because])) }
      await leaveTrail(scene, { ...base, outcome: now.allOff ? 'done' : 'unknown', detail })
      return document(now)
    },
  }
}
