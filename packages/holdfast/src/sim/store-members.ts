/**
 * The store as three members of a consensus group: a leader that needs a second member for every answer, elections, and
 * clients that hang on one member each. What the values are and who wins a compare-and-set stays in `store.ts`; here it
 * is decided whether and when a request gets there. A write whose leader is lost in the middle may still be applied by
 * the next one, with nobody told. A member cut off from the others answers nothing, and its watches stand still.
 */
import type { Network } from './network.ts'
import type { Stream } from './prng.ts'
import { KIND } from './world.ts'

const LOOK_MS = 100
const ELECTION_MS = [300, 1_200] as const
/** Durable on a follower. */
const FSYNC_MS = 2

export class StoreMembers {
  /** Network end of each member. */
  readonly ends: readonly number[]
  leader = 0
  elections = 0
  private readonly network: Network
  private readonly random: Stream
  private readonly down: number[]
  /** Member each client talks to. */
  private readonly chosen: number[]
  /** Written to a follower when the leader was lost. */
  private orphans: (() => void)[] = []
  private leaderlessSinceMs = -1
  private patienceMs = 0

  constructor(network: Network, setup: { ends: readonly number[]; clients: number; random: Stream }) {
    this.network = network
    this.ends = setup.ends
    this.random = setup.random
    this.down = setup.ends.map(() => 0)
    this.chosen = Array.from({ length: setup.clients }, () => setup.random.int(setup.ends.length))
    this.look()
  }

  stop(member: number): void {
    this.down[member] = (this.down[member] ?? 0) + 1
  }

  go(member: number): void {
    this.down[member] = Math.max(0, (this.down[member] ?? 0) - 1)
  }

  heal(): void {
    this.down.fill(0)
  }

  isUp(member: number): boolean {
    return this.down[member] === 0
  }

  memberOf(client: number): number {
    return this.chosen[client] ?? 0
  }

  endOf(member: number): number {
    return this.ends[member] ?? 0
  }

  /** The client got no answer in time and tries the next member. */
  unanswered(client: number): void {
    this.chosen[client] = (this.memberOf(client) + 1) % this.ends.length
  }

  private linked(a: number, b: number): boolean {
    return a === b || (this.isUp(a) && this.isUp(b) && this.network.connects(this.endOf(a), this.endOf(b)))
  }

  /** The member hears of what is applied. */
  follows(member: number): boolean {
    return this.isUp(member) && this.linked(member, this.leader) && this.leads(this.leader)
  }

  private leads(member: number): boolean {
    if (!this.isUp(member)) return false
    let count = 1
    for (let other = 0; other < this.ends.length; other += 1) {
      if (other !== member && this.linked(member, other)) count += 1
    }
    return count > this.ends.length / 2
  }

  /** `apply` runs when the request is decided, at the earliest one round to a second member after it came. */
  request(client: number, apply: () => () => void): void {
    const at = this.memberOf(client)
    this.network.send(client, this.endOf(at), () => {
      if (!this.isUp(at)) return
      const { leader } = this
      this.hop(at, leader, () => this.decide(leader, apply, (tell) => this.answer({ leader, at, client }, tell)))
    })
  }

  /** Planted bug: the member that was asked answers by itself. */
  ask(client: number, apply: (member: number) => () => void): void {
    const at = this.memberOf(client)
    this.network.send(client, this.endOf(at), () => {
      if (this.isUp(at)) this.network.send(this.endOf(at), client, apply(at))
    })
  }

  private hop(from: number, to: number, arrive: () => void): void {
    if (from === to) arrive()
    else this.network.send(this.endOf(from), this.endOf(to), arrive)
  }

  private decide(leader: number, apply: () => () => void, answer: (tell: () => void) => void): void {
    if (!this.isUp(leader) || this.leader !== leader) return
    let roundMs = Number.POSITIVE_INFINITY
    for (let other = 0; other < this.ends.length; other += 1) {
      if (other === leader || !this.linked(leader, other)) continue
      const there = this.network.link(this.endOf(leader), this.endOf(other))
      const back = this.network.link(this.endOf(other), this.endOf(leader))
      roundMs = Math.min(roundMs, there.delayMs() + back.delayMs() + FSYNC_MS * this.random.next())
    }
    if (!Number.isFinite(roundMs)) return
    this.network.world.after(roundMs, KIND.datagram, this.endOf(leader), () => {
      if (this.leader === leader && this.leads(leader)) answer(apply())
      // It may have reached a follower that leads next.
      else if (this.random.chance(0.5)) this.orphans.push(() => void apply())
    })
  }

  private answer(way: { leader: number; at: number; client: number }, tell: () => void): void {
    this.hop(way.leader, way.at, () => {
      if (this.isUp(way.at)) this.network.send(this.endOf(way.at), way.client, tell)
    })
  }

  private look(): void {
    const { world } = this.network
    world.after(LOOK_MS, KIND.timer, this.endOf(0), () => {
      if (this.leads(this.leader)) this.leaderlessSinceMs = -1
      else if (this.leaderlessSinceMs < 0) {
        this.leaderlessSinceMs = world.nowMs
        this.patienceMs = this.random.range(ELECTION_MS[0], ELECTION_MS[1])
      } else if (world.nowMs - this.leaderlessSinceMs > this.patienceMs) this.elect()
      this.look()
    })
  }

  private elect(): void {
    const able = this.ends.map((_, member) => member).filter((member) => this.leads(member))
    if (able.length === 0) return
    this.leader = this.random.pick(able)
    this.elections += 1
    this.leaderlessSinceMs = -1
    for (const apply of this.orphans.splice(0)) apply()
  }
}
