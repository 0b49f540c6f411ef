/**
 * The proxy of one directed link to one port: listens on the host the link starts at, connects to the other one, and
 * does to the bytes what the link's shape says. Ends and resets pass as they came; a half-closed connection stays half
 * closed. A refused target is a reset, for the listener has accepted before it could know.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Address, LinkShape } from '../contract.ts'
import { type Allowance, type Lane, Pump } from './pump.ts'

/** More than a router with all its clients holds; beyond it a loop somewhere opens connections. */
const CONNECTIONS_MAX = 4_096
/** A peer whose machine vanished is noticed as the kernel of the caller would: probes follow one second apart. */
const KEEP_ALIVE_MS = 5_000
const UNTOUCHED: LinkShape = {}

interface Pair {
  readonly client: Socket
  /** Absent while the connection may not be made: the link is stalled or cut. */
  upstream: Socket | null
  readonly pumps: Pump[]
  readonly allowance: Allowance
}

export class LinkProxy {
  readonly #target: Address
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #forward: Lane = { shape: UNTOUCHED, blocked: false, freeAtMs: 0 }
  readonly #backward: Lane = { shape: UNTOUCHED, blocked: false, freeAtMs: 0 }

  private constructor(target: Address) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#accept(client),
    )
  }

  static async open(target: Address): Promise<LinkProxy> {
    const proxy = new LinkProxy(target)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen({ host: '127.0.0.1', port: 0, backlog: CONNECTIONS_MAX }, resolve)
    })
    return proxy
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  shape(shape: LinkShape): void {
    for (const lane of [this.#forward, this.#backward]) {
      lane.shape = shape
      lane.freeAtMs = 0
    }
    for (const pair of this.#pairs) pair.allowance.left = shape.cutAfterBytes ?? null
    this.#again()
  }

  /** `forward`: what the opener of a connection sends; `backward`: what it gets back. */
  block(forward: boolean, backward: boolean): void {
    this.#forward.blocked = forward
    this.#backward.blocked = backward
    this.#again()
  }

  close(): void {
    this.#server.close()
    for (const pair of this.#pairs) this.#drop(pair)
  }

  #again(): void {
    for (const pair of [...this.#pairs]) {
      this.#join(pair)
      for (const pump of pair.pumps) pump.run()
    }
  }

  #accept(client: Socket): void {
    if (this.#pairs.size >= CONNECTIONS_MAX) {
      client.resetAndDestroy()
      return
    }
    const allowance: Allowance = { left: this.#forward.shape.cutAfterBytes ?? null }
    const pair: Pair = { client, upstream: null, pumps: [], allowance }
    this.#pairs.add(pair)
    // What an error means is told by the close that follows it.
    client.on('error', () => {})
    client.on('close', () => this.#forget(pair))
    this.#join(pair)
  }

  #join(pair: Pair): void {
    if (pair.upstream !== null || this.#forward.blocked || this.#forward.shape.stalled === true) return
    const { client } = pair
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    pair.upstream = upstream
    upstream.setKeepAlive(true, KEEP_ALIVE_MS)
    upstream.on('error', () => {})
    upstream.on('close', () => this.#forget(pair))
    const cutOff = () => this.#drop(pair)
    const { allowance } = pair
    pair.pumps.push(new Pump(client, upstream, { lane: this.#forward, allowance, cutOff }))
    pair.pumps.push(new Pump(upstream, client, { lane: this.#backward, allowance, cutOff }))
  }

  /** Once both sides are closed; one that closed alone closes the other through its pump, when the link lets it. */
  #forget(pair: Pair): void {
    if (!pair.client.destroyed || !(pair.upstream?.destroyed ?? true)) return
    for (const pump of pair.pumps) pump.end()
    this.#pairs.delete(pair)
  }

  #drop(pair: Pair): void {
    for (const pump of pair.pumps) pump.end()
    pair.client.resetAndDestroy()
    pair.upstream?.resetAndDestroy()
    this.#pairs.delete(pair)
  }
}
