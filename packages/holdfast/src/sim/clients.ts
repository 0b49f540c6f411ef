/**
 * Writers. Each believes in some primary, writes one numbered value at a time, keeps its connection as long as it
 * lives, tries again under the same number when it does not know what became of a write, and moves on only when told
 * no or left without an answer. A stale belief is normal: an old primary that still answers gets their writes.
 */
import type { Database } from './database.ts'
import type { Network } from './network.ts'
import type { Stream } from './prng.ts'
import type { Shell } from './shell.ts'
import { KIND, type World } from './world.ts'

export interface ClientHooks {
  told(write: number, db: Database): void
}

export interface ClientParts {
  readonly index: number
  readonly end: number
  readonly world: World
  readonly network: Network
  readonly databases: readonly Database[]
  readonly shells: readonly Shell[]
  readonly random: Stream
  readonly thinkMs: number
  readonly hooks: ClientHooks
}

const TIMEOUT_MS = 4_000
const BYTES_MAX = 8_000
const RETRY_MS = 150

export class Client {
  acknowledged = 0
  refused = 0
  unknown = 0
  stopped = false
  private readonly parts: ClientParts
  private believed: number
  private turn = 0
  private number = 0

  constructor(parts: ClientParts) {
    this.parts = parts
    this.believed = parts.index % parts.databases.length
  }

  start(): void {
    this.think()
  }

  private think(): void {
    const { world, random, thinkMs, end, index } = this.parts
    world.after(random.exponential(thinkMs), KIND.client, end, () => {
      if (this.stopped) return
      this.number += 1
      this.write(this.number * 16 + index)
    })
  }

  private write(write: number): void {
    const { world, network, databases, random, end } = this.parts
    const db = databases[this.believed]
    if (db === undefined) return
    const turn = ++this.turn
    const settle = (how: 'acknowledged' | 'refused' | 'unknown') => {
      if (this.turn !== turn) return
      this.turn += 1
      world.callOff(timeout)
      this.settled(how, write, db)
    }
    const timeout = world.after(TIMEOUT_MS, KIND.client, end, () => settle('unknown'))
    const bytes = 100 + random.int(BYTES_MAX)
    network.send(end, db.host, () => {
      // A host without power answers nothing, a stopped process neither.
      if (!db.powered || db.frozen) return
      db.commit(write, bytes, (how) => network.send(db.host, end, () => settle(how)))
    })
  }

  private settled(how: 'acknowledged' | 'refused' | 'unknown', write: number, db: Database): void {
    const { world, random, end, hooks } = this.parts
    if (this.stopped) return
    if (how === 'acknowledged') {
      this.acknowledged += 1
      hooks.told(write, db)
      this.think()
      return
    }
    if (how === 'refused') this.refused += 1
    else this.unknown += 1
    this.look()
    world.after(RETRY_MS * (0.5 + random.next()), KIND.client, end, () => {
      if (!this.stopped) this.write(write)
    })
  }

  /** Half of the time asks the agents, as a router does; else tries the next address. */
  private look(): void {
    const { shells, random, databases, network, end } = this.parts
    if (random.chance(0.5)) {
      const found = shells.findIndex((shell, host) => {
        const role = shell.state?.members[shell.parts.member]?.role
        return role === 'primary' && shell.alive && network.connects(end, host)
      })
      if (found >= 0) {
        this.believed = found
        return
      }
    }
    this.believed = (this.believed + 1) % databases.length
  }
}
