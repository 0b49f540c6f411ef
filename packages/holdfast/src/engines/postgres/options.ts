/** What the PostgreSQL adapter is told about its member. Plain data; read once when the adapter is made. */
import type { GroupName, MemberName } from '../../core/model.ts'
import type { Clock } from '../../io/clock.ts'
import type { EngineEndpoint } from '../contract.ts'

/** Three accounts, one password each. They never appear in a command line, a log line or a cloned file. */
export interface PostgresSecrets {
  /** Role `holdfast`: superuser, local socket only. */
  readonly superuser: string
  /** Role `holdfast_replication`: streaming, cloning, rewinding. */
  readonly replication: string
  /** The application's role. */
  readonly application: string
}

/** PEM text, or the path of a file that holds it. */
export interface PostgresTls {
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

export interface PostgresOptions {
  readonly group: GroupName
  readonly member: MemberName
  /** Absolute path. Holdfast makes it; if it exists it must be empty or made by Holdfast for this very member. */
  readonly dataDir: string
  /** Address the engine listens on and that the other members reach it by. */
  readonly host: string
  readonly port: number
  /** All members of the group, this one included. */
  readonly members: readonly EngineEndpoint[]
  /** Major version, such as 18. Default: see `findPostgres`. */
  readonly version?: number
  /** Directory with `postgres` and `initdb`; overrides the search. */
  readonly binDir?: string
  /** The user's own settings; those Holdfast owns are refused. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
  readonly secrets: PostgresSecrets
  /** Default: role `app`, database `app`. */
  readonly application?: { readonly user: string; readonly database: string }
  readonly tls?: PostgresTls
  readonly clock: Clock
  readonly log: Log
  /** For the socket, the log and the password file; never inside `dataDir`. Default: a hidden directory beside it. */
  readonly runDir?: string
}
