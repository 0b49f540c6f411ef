/**
 * A person at the command line: puts an intent or a pause into the group record by compare-and-set, as the CLI does.
 */
import type { GroupRecord, Intent, MemberName, Pause } from '../core/model.ts'
import type { CasAnswer, SimStore } from './store.ts'
import { KIND, type World } from './world.ts'

export interface Order {
  readonly kind: 'switchover' | 'failover' | 'pause' | 'resume'
  readonly to: MemberName | null
  readonly allowDataLoss: boolean
  readonly validMs: number
}

const ATTEMPTS_MAX = 4
const AGAIN_MS = 300

export class Operator {
  private readonly world: World
  private readonly store: SimStore
  private readonly end: number
  private readonly key: string
  private orders = 0

  constructor(world: World, store: SimStore, end: number, group: string) {
    this.world = world
    this.store = store
    this.end = end
    this.key = `groups/${group}`
  }

  order(what: Order): void {
    this.orders += 1
    this.attempt(what, `order-${this.orders}`, ATTEMPTS_MAX)
  }

  private attempt(what: Order, id: string, left: number): void {
    if (left === 0) return
    let answered = false
    this.world.after(AGAIN_MS, KIND.client, this.end, () => {
      if (!answered) this.attempt(what, id, left - 1)
    })
    this.store.get(this.end, this.key, (stored) => {
      const record = stored.value as GroupRecord | null
      if (record === null || answered) return
      if (record.intent?.id === id || record.pause?.id === id || record.lastIntent?.id === id) {
        answered = true
        return
      }
      if (record.intent !== null && what.kind !== 'pause' && what.kind !== 'resume') {
        answered = true
        return
      }
      const write = { key: this.key, value: ordered(record, what, id), ifRevision: stored.revision }
      this.store.compareAndSet(this.end, write, (answer: CasAnswer) => {
        if (answer.kind === 'ok') answered = true
      })
    })
  }
}

function ordered(record: GroupRecord, what: Order, id: string): GroupRecord {
  const stamp = `operator:${id}`
  if (what.kind === 'resume') return { ...record, stamp, pause: null }
  if (what.kind === 'pause') {
    const pause: Pause = { id, by: 'operator', because: 'maintenance', validMs: what.validMs }
    return { ...record, stamp, pause }
  }
  const { kind, to, allowDataLoss, validMs } = what
  const intent: Intent = { id, kind, to, allowDataLoss, by: 'operator', validMs }
  return { ...record, stamp, intent }
}
