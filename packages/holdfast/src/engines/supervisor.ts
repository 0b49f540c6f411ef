/**
 * What Holdfast wants of a program that leads a group itself (its manager): to look, and to ask. There is no method
 * that makes a member primary, and none that takes words of a caller: what can be sent at all stands in
 * `permitted.ts`. Deciding stays with the manager; what is asked, and whether, with `core/supervision`.
 *
 * Every method keeps its deadline whatever the other side does, never rejects for what it answers, and may be called
 * again at any time. Nothing is kept between calls, so a caller that dies leaves at most what it asked for.
 */
import type { Concern, Picture, Sighting } from '../core/supervision/model.ts'
import type { Clock } from '../io/clock.ts'

export type ManagerKind = 'patroni' | 'sentinel' | 'redis-cluster'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** PEM texts towards the manager and its engines. */
export interface SupervisorTls {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

export interface Login {
  readonly user: string
  readonly password: string
}

export interface SupervisorOptions {
  readonly by: ManagerKind
  /** Base URLs (Patroni) or `host:port` (Redis), at least one. */
  readonly endpoints: readonly string[]
  /** Patroni: its scope. Sentinel: the name it knows the group by. Empty: whatever answers. */
  readonly name: string
  /** Towards the manager. */
  readonly login: Login | null
  /** Towards the engines; null: they are asked without a password (Redis), or not at all (PostgreSQL). */
  readonly observer: (Login & { readonly database: string }) | null
  readonly tls: SupervisorTls | null
  readonly clock: Clock
}

/** What differs between managers. Callers ask these, never which manager it is. */
export interface SupervisorTraits {
  /** A planned move may name its target; otherwise the manager chooses. Default: true. */
  readonly namesTarget: boolean
  /** It can be told to leave the group alone. Default: false. */
  readonly canPause: boolean
  /** It takes an order to fail over, on the explicit word of an operator. Default: false. */
  readonly takesFailover: boolean
  /** A planned move loses acknowledged writes unless writers are held meanwhile. Default: false. */
  readonly losesWhenPlanned: boolean
}

export interface Look {
  readonly sighting: Sighting
  /** `Patroni 4.1.5`, `Redis Sentinel 7.0.15`. */
  readonly manager: string
  /** What it calls the group; empty when it has no name for it. */
  readonly group: string
  /** What else is worth telling, such as its time-outs. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
  /** Where the engine of each member listens, as the manager tells. */
  readonly addresses: Readonly<Record<string, string>>
  /** Where the manager can be asked, as it tells itself. */
  readonly endpoints: readonly string[]
}

export interface MoveRequest {
  readonly from: string
  readonly to: string
  readonly shard: string
  /** Do not hold the writers, where a move would lose what they are told is safe. */
  readonly allowLoss: boolean
  /** On `clock.nowMs`; nothing new is begun after it. */
  readonly deadlineMs: number
  /** Tells each step, for people. */
  say(step: string): void
}

export type Asked =
  /** `lostBytes`: what the old primary took after the target had its last byte; null: not counted. */
  | { readonly ok: true; readonly said: string; readonly lostBytes: number | null; readonly heldMs: number | null }
  /** Nothing was changed, in the manager's own words or in ours. */
  | { readonly ok: false; readonly kind: 'refused'; readonly because: string; readonly next: string }
  /** It may still happen. */
  | { readonly ok: false; readonly kind: 'uncertain'; readonly because: string }

/** A group that was found: what its manager calls it, and where that can be asked. */
export interface Found {
  readonly called: string
  readonly endpoints: readonly string[]
}

export type Discovery =
  | { readonly ok: true; readonly found: readonly Found[] }
  | { readonly ok: false; readonly because: string }

export interface Supervisor {
  readonly by: ManagerKind
  readonly traits: SupervisorTraits
  /** Which groups the manager at the endpoints leads, whatever `name` says. Reads only. Ends within `timeoutMs`. */
  discover(timeoutMs: number): Promise<Discovery>
  /** Asks every voice and every engine at once. Reads only. Ends within `timeoutMs`. */
  look(timeoutMs: number): Promise<Look>
  /** Asks for a planned move and helps it to lose nothing. Asked twice: the second is refused by the manager. */
  askSwitchover(request: MoveRequest): Promise<Asked>
  /** Only with `takesFailover`: an operator's explicit word, handed on. Not repeated by itself. */
  askFailover?(request: Omit<MoveRequest, 'from' | 'allowLoss'>): Promise<Asked>
  /** Only with `canPause`. Idempotent. */
  askPause?(paused: boolean, timeoutMs: number): Promise<Asked>
  /** What an operator would type, with the manager's own tools, to force a failover to a member. */
  failoverCommand(member: string | null, picture: Picture): string
  close(): Promise<void>
}

/** A manager that leads one group: what one look says of it. */
export function oneFound({ sighting, group, endpoints }: Look): Discovery {
  const { voices } = sighting
  if (voices.some(({ heard }) => heard)) return { ok: true, found: [{ called: group, endpoints }] }
  return { ok: false, because: voices.map(({ voice, because }) => `${voice}: ${because}`).join('; ') }
}

export function refusedBy(because: string, next: string): Asked {
  return { ok: false, kind: 'refused', because, next }
}

export function soft(code: string, detail: Concern['detail']): Concern {
  return { code, grave: false, detail }
}

export function hard(code: string, detail: Concern['detail']): Concern {
  return { code, grave: true, detail }
}
