/** A group that another program leads, as the description says it: where to ask, with which secrets. */
import type { Secret } from './secret.ts'

export interface SupervisedSpec {
  readonly name: string
  readonly by: 'patroni' | 'sentinel' | 'redis-cluster'
  /** Base URLs (Patroni), `host:port` (Redis). */
  readonly endpoints: readonly string[]
  /** What the manager calls the group; empty: whatever answers. */
  readonly called: string
  /** Towards the manager. An empty user is the default user. */
  readonly login: { readonly user: string; readonly password: Secret } | null
  /** Towards the engines. */
  readonly observer: { readonly user: string; readonly password: Secret; readonly database: string } | null
  /** PEM files, absolute. */
  readonly tls: { readonly caFile: string; readonly certFile: string | null; readonly keyFile: string | null } | null
  /** By the manager's name of the member. */
  readonly sites: Readonly<Record<string, string>>
}
