/** What the Redis adapter is told about its member. Plain data; read once when the adapter is made. */
import type { GroupName, MemberName } from '../../core/model.ts'
import type { Clock } from '../../io/clock.ts'
import type { EngineEndpoint } from '../contract.ts'

/** Passwords of the accounts Holdfast makes. They never appear in a command line, a log line or the data. */
export interface RedisSecrets {
  /** User `holdfast`: everything. */
  readonly superuser: string
  /** Users `holdfast-peer` (looks, copies) and `holdfast-member-<name>` (each replica's own, see SPEC.md). */
  readonly replication: string
  /** The application's user. */
  readonly application: string
}

/** PEM text, or the path of a file that holds it. */
export interface RedisTls {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

/** The part of a pino logger that is used. */
export interface Log {
  debug(detail: object, message: string): void
  info(detail: object, message: string): void
  warn(detail: object, message: string): void
  error(detail: object, message: string): void
}

export interface RedisOptions {
  readonly group: GroupName
  readonly member: MemberName
  /** Absolute path. Holdfast makes it; if it exists it must be empty or made by Holdfast for this very member. */
  readonly dataDir: string
  /** Address the engine listens on and that the other members reach it by. */
  readonly host: string
  readonly port: number
  /** All members of the group, this one included. */
  readonly members: readonly EngineEndpoint[]
  /**
   * How many replicas a client of this group waits for (`WAIT`) before it calls a write safe; 0 in an asynchronous
   * group. While the core asks for more than this, nothing is accepted at all.
   */
  readonly confirmations: number
  /** Major version, such as 7. Default: whatever is found. */
  readonly version?: number
  /** Directory with `redis-server` or `valkey-server`; overrides the search. */
  readonly binDir?: string
  /** The user's own settings; those Holdfast owns are refused. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
  readonly secrets: RedisSecrets
  /** Default: `app`. */
  readonly application?: { readonly user: string }
  readonly tls?: RedisTls
  readonly clock: Clock
  readonly log: Log
  /** For the socket, settings, users and log; never inside `dataDir`. Default: a hidden directory beside it. */
  readonly runDir?: string
}
