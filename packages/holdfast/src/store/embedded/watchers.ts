/**
 * The watch streams of the embedded store. A watcher is a cursor, not a queue: what changed after the cursor is read
 * from the file when its connection can take more, so a slow reader skips intermediate values and holds no memory,
 * and a fresh one (cursor 0) starts with the present entries. Heartbeats show a reader that the stream is alive.
 */
import type { ServerResponse } from 'node:http'
import { systemClock } from '../../io/clock.ts'
import type { KeyRevision } from '../contract.ts'
import type { StoreFile } from './file.ts'
import { HEARTBEAT_MS, type WatchRequest } from './protocol.ts'

/** Agents, routers and people watching; each costs one connection. */
export const WATCHERS_MAX = 256
/** Entries of one line; keeps a line well below what readers accept. */
const LINE_ENTRIES = 64
/** How often it is looked who is due. */
const LOOK_MS = HEARTBEAT_MS.least
/** Bytes that may wait in a connection before it counts as slow. */
const WAITING_BYTES_MAX = 1_048_576

interface Watcher {
  readonly response: ServerResponse
  readonly prefix: string
  readonly heartbeatMs: number
  cursor: KeyRevision
  /** When its last line was written. */
  toldAtMs: number
}

export class Watchers {
  readonly #file: StoreFile
  readonly #watchers = new Set<Watcher>()
  readonly #timer: NodeJS.Timeout

  constructor(file: StoreFile) {
    this.#file = file
    this.#timer = setInterval(() => this.#beat(), LOOK_MS)
    this.#timer.unref()
  }

  isFull(): boolean {
    return this.#watchers.size >= WATCHERS_MAX
  }

  add(response: ServerResponse, { prefix, after, heartbeatMs }: WatchRequest): void {
    const watcher: Watcher = { response, prefix, heartbeatMs, cursor: after, toldAtMs: 0 }
    this.#watchers.add(watcher)
    response.on('close', () => this.#watchers.delete(watcher))
    response.on('drain', () => this.#feed(watcher))
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    this.#write(watcher, [])
    this.#feed(watcher)
  }

  /** Tells all watchers what changed. Called after a commit, so nobody hears of what is not durable. */
  feed(): void {
    for (const watcher of this.#watchers) this.#feed(watcher)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const watcher of this.#watchers) watcher.response.destroy()
    this.#watchers.clear()
  }

  #feed(watcher: Watcher): void {
    while (this.#watchers.has(watcher) && watcher.response.writableLength < WAITING_BYTES_MAX) {
      const entries = this.#file.changedAfter(watcher.prefix, watcher.cursor, LINE_ENTRIES)
      const last = entries.at(-1)
      if (last === undefined) return
      watcher.cursor = last.revision
      this.#write(watcher, entries)
    }
  }

  /**
   * Whoever was just told something needs no heartbeat to know that the stream is alive. One behind a full connection
   * would only add to it; the reader is busy, not cut off.
   */
  #beat(): void {
    const soonMs = systemClock.nowMs() + LOOK_MS / 2
    for (const watcher of this.#watchers) {
      if (watcher.toldAtMs + watcher.heartbeatMs > soonMs) continue
      if (watcher.response.writableLength < WAITING_BYTES_MAX) this.#write(watcher, [])
    }
  }

  #write(watcher: Watcher, entries: readonly unknown[]): void {
    watcher.toldAtMs = systemClock.nowMs()
    watcher.response.write(`${JSON.stringify({ ...this.#file.stamp(), entries })}\n`)
  }
}
