/**
 * One replication connection between two databases. In order, with a sending and a receiving half that may die at
 * different times; nothing from an old connection ever arrives on a new one. A cut stalls it (TCP sends again), and
 * each half notices after its own time-out.
 */
import type { Point } from './log.ts'
import type { Network } from './network.ts'
import { KIND } from './world.ts'

/** TCP sends a lost segment again after about this long. */
const RESEND_MS = 200
/** How often a stalled connection is looked at. */
const STALL_LOOK_MS = 150

/** What a connection asks of the database at each of its ends. */
export interface StreamEnd {
  readonly host: number
  readonly member: string
  readonly network: Network
  readonly timing: { readonly patienceMs: number }
  readonly powered: boolean
  readonly running: boolean
  readonly frozen: boolean
  readonly flushed: Point | null
  readonly streamLagMs: number
  /** At the standby: bytes arrived. */
  receive(connection: Connection, point: Point): void
  /** At the standby: say again what is durable. */
  confirmAgain(connection: Connection): void
  /** At the primary, when the standby speaks; for checkers. */
  told(connection: Connection, index: number): void
  /** At the primary, when the word arrives. */
  confirmed(connection: Connection, index: number): void
  dropSender(connection: Connection): void
  dropReceiver(connection: Connection): void
}

export class Connection {
  readonly primary: StreamEnd
  readonly standby: StreamEnd
  /** The sending half is alive: a walsender that the primary lists. */
  primaryOpen = true
  /** The receiving half is alive. */
  standbyOpen = true
  /** Last index handed to the network. */
  sentIndex: number
  /** Last index the standby confirmed as durable. */
  ackIndex: number
  private dataAtMs = 0
  private ackAtMs = 0
  private stalledSinceMs = -1
  private readonly primaryPatienceMs: number
  private readonly standbyPatienceMs: number
  private readonly network: Network

  constructor(primary: StreamEnd, standby: StreamEnd, start: Point) {
    this.primary = primary
    this.standby = standby
    this.network = primary.network
    this.sentIndex = start.index
    this.ackIndex = -1
    const random = this.link(false).random
    this.primaryPatienceMs = random.range(300, primary.timing.patienceMs)
    this.standbyPatienceMs = random.range(300, primary.timing.patienceMs)
  }

  private link(toPrimary: boolean) {
    const { primary, standby } = this
    return toPrimary ? this.network.link(standby.host, primary.host) : this.network.link(primary.host, standby.host)
  }

  /** Sends what the primary has flushed since the last time. */
  push(): void {
    const point = this.primary.flushed
    if (!this.primaryOpen || point === null || point.index <= this.sentIndex || this.primary.frozen) return
    if (this.stalledSinceMs >= 0) return
    this.sentIndex = point.index
    const link = this.link(false)
    if (link.cuts > 0) {
      this.stall()
      return
    }
    const resend = link.random.chance(link.loss) ? RESEND_MS : 0
    this.dataAtMs = Math.max(
      this.dataAtMs,
      this.network.world.nowMs + link.delayMs() + resend + this.primary.streamLagMs,
    )
    this.network.world.at(this.dataAtMs, KIND.stream, this.standby.host, () => {
      if (this.link(false).cuts > 0) this.stall()
      else this.arrive(point)
    })
  }

  private arrive(point: Point): void {
    if (!this.standbyOpen) return
    // A stopped process reads nothing; the sender keeps the bytes and sends them again after the thaw.
    if (this.standby.frozen) this.stall()
    else this.standby.receive(this, point)
  }

  /** The standby tells what is durable there. */
  confirm(index: number): void {
    if (!this.standbyOpen) return
    if (this.primaryOpen) this.primary.told(this, index)
    const link = this.link(true)
    if (link.cuts > 0) {
      this.stall()
      return
    }
    const resend = link.random.chance(link.loss) ? RESEND_MS : 0
    this.ackAtMs = Math.max(this.ackAtMs, this.network.world.nowMs + link.delayMs() + resend)
    this.network.world.at(this.ackAtMs, KIND.stream, this.primary.host, () => {
      if (this.link(true).cuts > 0) this.stall()
      else this.confirmed(index)
    })
  }

  private confirmed(index: number): void {
    if (!this.primaryOpen) return
    if (this.primary.frozen) this.stall()
    else this.primary.confirmed(this, index)
  }

  /** Nothing passes for now: look again until it heals or both halves gave up. */
  stall(): void {
    if (this.stalledSinceMs >= 0) return
    this.stalledSinceMs = this.network.world.nowMs
    this.lookAgain()
  }

  private lookAgain(): void {
    this.network.world.after(STALL_LOOK_MS, KIND.stream, this.primary.host, () => {
      if (!this.primaryOpen && !this.standbyOpen) return
      const stalledMs = this.network.world.nowMs - this.stalledSinceMs
      const { primary, standby } = this
      const carries = this.network.connects(primary.host, standby.host) && primary.powered && standby.powered
      if (carries && this.primaryOpen && this.standbyOpen && !primary.frozen && !standby.frozen) {
        this.resume()
        return
      }
      // With the network back the other side's reset arrives; without it only patience ends a half.
      const primaryEnds = stalledMs > this.primaryPatienceMs || (carries && !this.standbyOpen)
      const standbyEnds = stalledMs > this.standbyPatienceMs || (carries && !this.primaryOpen)
      if (this.primaryOpen && primaryEnds && !primary.frozen) this.closePrimary()
      if (this.standbyOpen && standbyEnds && !standby.frozen) this.closeStandby()
      if (this.primaryOpen || this.standbyOpen) this.lookAgain()
    })
  }

  /** How long the primary has heard nothing of the standby, which tells its status once a second while it can. */
  silentForMs(): number {
    const { nowMs } = this.network.world
    if (this.stalledSinceMs >= 0) return nowMs - this.stalledSinceMs
    return this.carries() ? 0 : nowMs - this.ackAtMs
  }

  private carries(): boolean {
    const { primary, standby } = this
    const up = primary.powered && standby.powered && !primary.frozen && !standby.frozen
    return up && this.network.connects(primary.host, standby.host)
  }

  private resume(): void {
    this.stalledSinceMs = -1
    this.sentIndex = this.ackIndex
    this.standby.confirmAgain(this)
    this.push()
  }

  closePrimary(): void {
    if (!this.primaryOpen) return
    this.primaryOpen = false
    this.primary.dropSender(this)
  }

  closeStandby(): void {
    if (!this.standbyOpen) return
    this.standbyOpen = false
    this.standby.dropReceiver(this)
  }

  /** The process of one half ended; the other hears of it when a reset reaches it, or by its own patience. */
  ended(side: 'primary' | 'standby'): void {
    const dead = side === 'primary' ? this.primary : this.standby
    const other = side === 'primary' ? this.standby : this.primary
    if (side === 'primary') this.closePrimary()
    else this.closeStandby()
    const link = this.network.link(dead.host, other.host)
    if (link.cuts > 0 || !dead.powered) {
      this.stall()
      return
    }
    // In order behind what is already under way.
    const atMs = Math.max(side === 'primary' ? this.dataAtMs : this.ackAtMs, this.network.world.nowMs + link.delayMs())
    this.network.world.at(atMs, KIND.stream, other.host, () => {
      if (link.cuts > 0 || other.frozen) this.stall()
      else if (side === 'primary') this.closeStandby()
      else this.closePrimary()
    })
  }
}
