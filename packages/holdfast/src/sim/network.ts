/**
 * Datagrams between hosts, store and clients: each directed link has its own delay, loss, duplicates with late copies,
 * and cuts. Requests to the store and between agents travel here. Database replication is a connection and lives in
 * `replication.ts`; it asks here only for delays and cuts.
 */
import { type Stream, streamOf } from './prng.ts'
import type { World } from './world.ts'

export interface NetworkShape {
  readonly minMs: number
  readonly meanMs: number
  /** Extra one-way delay between sites. */
  readonly siteMs: number
  readonly loss: number
  readonly duplicate: number
  /** A late copy arrives up to this much after the first. */
  readonly lateMs: number
}

export class Link {
  /** Number of cuts in force; they may overlap. */
  cuts = 0
  extraMs = 0
  loss: number
  duplicate: number
  lateMs: number
  readonly random: Stream
  private readonly minMs: number
  private readonly meanMs: number

  constructor(random: Stream, shape: NetworkShape, siteMs: number) {
    this.random = random
    this.minMs = shape.minMs + siteMs
    this.meanMs = shape.meanMs
    this.loss = shape.loss
    this.duplicate = shape.duplicate
    this.lateMs = shape.lateMs
  }

  delayMs(): number {
    return (
      this.minMs + this.random.exponential(this.meanMs) + (this.extraMs > 0 ? this.extraMs * this.random.next() : 0)
    )
  }
}

export class Network {
  readonly world: World
  readonly size: number
  private readonly links: Link[] = []

  /** `sites` gives the site of each end point; hosts first, then the store, then the clients. */
  constructor(world: World, seed: number, sites: readonly number[], shape: NetworkShape) {
    this.world = world
    this.size = sites.length
    for (let from = 0; from < sites.length; from += 1) {
      for (let to = 0; to < sites.length; to += 1) {
        const siteMs = sites[from] === sites[to] ? 0 : shape.siteMs
        this.links.push(new Link(streamOf(seed, `net:${from}>${to}`), shape, siteMs))
      }
    }
  }

  link(from: number, to: number): Link {
    const link = this.links[from * this.size + to]
    if (link === undefined) throw new RangeError(`no link ${from}>${to}`)
    return link
  }

  isCut(from: number, to: number): boolean {
    return this.link(from, to).cuts > 0
  }

  /** Both directions carry, as a connection needs. */
  connects(a: number, b: number): boolean {
    return this.link(a, b).cuts === 0 && this.link(b, a).cuts === 0
  }

  /** Runs `arrive` at the other end, perhaps never, perhaps twice. */
  send(from: number, to: number, arrive: () => void): void {
    const link = this.link(from, to)
    if (link.cuts > 0 || link.random.chance(link.loss)) return
    this.deliver(link, to, link.delayMs(), arrive)
    if (link.random.chance(link.duplicate)) {
      this.deliver(link, to, link.delayMs() + link.random.next() * link.lateMs, arrive)
    }
  }

  /**
   * There and back as one event: a question whose answer was fixed when it left, the oldest that an answer can be.
   */
  roundTrip(from: number, to: number, arrive: () => void): void {
    const there = this.link(from, to)
    const back = this.link(to, from)
    if (there.cuts > 0 || back.cuts > 0) return
    if (there.random.chance(there.loss) || back.random.chance(back.loss)) return
    const delayMs = there.delayMs() + back.delayMs()
    this.deliver(back, from, delayMs, arrive)
    if (back.random.chance(back.duplicate)) {
      this.deliver(back, from, delayMs + back.random.next() * back.lateMs, arrive)
    }
  }

  private deliver(link: Link, to: number, delayMs: number, arrive: () => void): void {
    this.world.afterBy(link, delayMs, to, arrive)
  }

  /** Phase 2: every link between the given end points works. */
  heal(ends: readonly number[]): void {
    for (const from of ends) {
      for (const to of ends) {
        const link = this.link(from, to)
        link.cuts = 0
        link.extraMs = 0
        link.loss = Math.min(link.loss, 0.01)
        link.duplicate = Math.min(link.duplicate, 0.01)
      }
    }
  }
}
