/** What a simulated agent process is made of, and what others may ask of it. */
import type { MemberName, PeerReport, Reason } from '../core/model.ts'
import type { NodeEvent, NodeSettings, NodeState } from '../core/node.ts'
import type { Action, MemberEvent } from '../core/protocol.ts'
import type { HostClock } from './clock.ts'
import type { CorePort } from './core-port.ts'
import type { Engine } from './engine.ts'
import type { Guard, GuardBug } from './guard.ts'
import type { Network } from './network.ts'
import type { Stream } from './prng.ts'
import type { SimStore } from './store.ts'
import type { Due, World } from './world.ts'

export interface ShellHooks {
  stepped(shell: AgentProcess, event: NodeEvent, actions: readonly Action[], reasons: readonly Reason[]): void
  /** The core threw: a defect in itself. */
  defect(shell: AgentProcess, error: unknown): void
}

/** Planted bugs of the shell. */
export interface ShellBug {
  trustFromAnswer: boolean
}

export interface ShellParts {
  readonly host: number
  readonly member: MemberName
  readonly group: string
  readonly settings: NodeSettings
  readonly world: World
  readonly network: Network
  readonly clock: HostClock
  readonly store: SimStore
  readonly engine: Engine
  readonly random: Stream
  readonly core: CorePort
  /** Reads of sessions that members of other groups asked for are told to this one, too. */
  readonly sharesReads: boolean
  readonly hooks: ShellHooks
  readonly guardBug: GuardBug
  readonly bug: ShellBug
  readonly peer: (member: MemberName) => AgentProcess | null
}

/** Puts a peer's questions to the core and calls back with its answer. */
export interface Questions {
  freeze(from: MemberName, epoch: number, reply: (report: PeerReport | null) => void): void
  failsafe(from: MemberName, epoch: number, reply: (accept: boolean, because: string) => void): void
}

export interface AgentProcess {
  readonly parts: ShellParts
  readonly incarnation: number
  readonly state: NodeState | null
  readonly guard: Guard | null
  readonly alive: boolean
  readonly frozen: boolean
  readonly localMs: number
  readonly questions: Questions
  later(localDelayMs: number, run: () => void): Due
  inside(incarnation: number, run: () => void): void
  tell(event: MemberEvent): void
  step(event: NodeEvent): void
  look(): void
  loopAgeMs(): number
}
