/**
 * One direction of one proxied connection: bytes, their end and a reset, in the order they came, as the shape of the
 * link lets them through. Keeps at most `QUEUE_BYTES_MAX` and then stops reading, so that the sender feels it.
 */
import type { Socket } from 'node:net'
import type { LinkShape } from '../contract.ts'

const QUEUE_BYTES_MAX = 1_048_576
/** With a bandwidth, bytes go in pieces worth this long, so that a slow link trickles. */
const PIECE_MS = 20
const PIECE_BYTES_MIN = 64

/** What several connections of one direction share: its shape, and when its line is free again. */
export interface Lane {
  shape: LinkShape
  /** Cut, in a world whose proxies do the cutting: nothing passes, nobody is told. */
  blocked: boolean
  /** `performance.now()` at which the last piece will have left. */
  freeAtMs: number
}

interface Data {
  readonly kind: 'data'
  readonly dueMs: number
  readonly bytes: Buffer
}

type Item = Data | { readonly kind: 'end'; readonly dueMs: number } | { readonly kind: 'reset'; readonly dueMs: number }

/** Bytes a connection may still carry, both directions together; null: as many as it likes. */
export interface Allowance {
  left: number | null
}

export class Pump {
  readonly #source: Socket
  readonly #sink: Socket
  readonly #lane: Lane
  readonly #allowance: Allowance
  readonly #cutOff: () => void
  #queue: Item[] = []
  #queuedBytes = 0
  #timer: NodeJS.Timeout | undefined
  #sinkFull = false
  #over = false

  constructor(source: Socket, sink: Socket, how: { lane: Lane; allowance: Allowance; cutOff: () => void }) {
    this.#source = source
    this.#sink = sink
    this.#lane = how.lane
    this.#allowance = how.allowance
    this.#cutOff = how.cutOff
    source.on('data', (bytes: Buffer) => this.#take({ kind: 'data', dueMs: this.#dueMs(), bytes }))
    source.on('end', () => this.#take({ kind: 'end', dueMs: this.#dueMs() }))
    source.on('close', () => this.#closed())
    sink.on('drain', () => {
      this.#sinkFull = false
      this.run()
    })
    this.run()
  }

  /** Looks again: the shape changed, or time passed. */
  run(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (!this.#over && !this.#sinkFull && !this.#stands()) {
      const item = this.#queue[0]
      if (item === undefined) break
      const waitMs = this.#waitMs(item)
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.run(), waitMs)
        break
      }
      this.#pass(item)
    }
    this.#breathe()
  }

  end(): void {
    this.#over = true
    this.#queue = []
    clearTimeout(this.#timer)
  }

  #stands(): boolean {
    return this.#lane.blocked || this.#lane.shape.stalled === true
  }

  #dueMs(): number {
    const { delayMs = 0 } = this.#lane.shape
    return delayMs === 0 ? 0 : performance.now() + delayMs
  }

  #take(item: Item): void {
    if (this.#over) return
    this.#queue.push(item)
    if (item.kind === 'data') this.#queuedBytes += item.bytes.length
    // A timer or a full sink will come back to it anyway.
    if (this.#timer === undefined) this.run()
    else this.#breathe()
  }

  /** The source is gone; unless both its halves had ended it was torn down, and so is the sink once all has passed. */
  #closed(): void {
    if (this.#source.readableEnded && this.#source.writableFinished) return
    this.#take({ kind: 'reset', dueMs: this.#dueMs() })
  }

  #waitMs(item: Item): number {
    const nowMs = performance.now()
    const busyMs = item.kind === 'data' && this.#lane.shape.bytesPerSecond !== undefined ? this.#lane.freeAtMs : 0
    return Math.max(item.dueMs, busyMs) - nowMs
  }

  #pass(item: Item): void {
    this.#queue.shift()
    if (item.kind === 'end') {
      this.#sink.end()
      return
    }
    if (item.kind === 'reset') {
      this.#over = true
      this.#sink.resetAndDestroy()
      return
    }
    this.#queuedBytes -= item.bytes.length
    const piece = this.#piece(item)
    const { left } = this.#allowance
    if (left !== null && piece.length >= left) {
      this.#over = true
      this.#sink.write(piece.subarray(0, left), this.#cutOff)
      return
    }
    if (left !== null) this.#allowance.left = left - piece.length
    if (!this.#sink.destroyed) this.#sinkFull = !this.#sink.write(piece)
  }

  /** As much as the line takes at once; the rest goes back to the head of the queue. */
  #piece(item: Data): Buffer {
    const { bytesPerSecond } = this.#lane.shape
    if (bytesPerSecond === undefined) return item.bytes
    const most = Math.max(PIECE_BYTES_MIN, Math.floor((bytesPerSecond * PIECE_MS) / 1_000))
    const piece = item.bytes.subarray(0, most)
    const rest = item.bytes.subarray(most)
    if (rest.length > 0) {
      this.#queue.unshift({ ...item, bytes: rest })
      this.#queuedBytes += rest.length
    }
    const nowMs = performance.now()
    this.#lane.freeAtMs = Math.max(nowMs, this.#lane.freeAtMs) + (piece.length * 1_000) / bytesPerSecond
    return piece
  }

  #breathe(): void {
    if (this.#source.destroyed) return
    const full = this.#stands() || this.#sinkFull || this.#queuedBytes >= QUEUE_BYTES_MAX
    if (full) this.#source.pause()
    else this.#source.resume()
  }
}
