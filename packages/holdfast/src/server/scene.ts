/** What the handlers work with. Built in `wire.ts`. */
import type { AgentClient } from '@holdfast/client'
import type { Platform, ServerSpec } from '../config/platform.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import type { PlanPort } from '../plans/plan-port.ts'
import type { Services } from './access/grants.ts'
import type { Passwords } from './access/passwords.ts'
import type { Tries } from './access/tries.ts'
import type { Watchman } from './alerts/watchman.ts'
import type { AuditSigner } from './audit/audit-log.ts'
import type { CanaryKeeper } from './canary/keeper.ts'
import type { Database } from './database/database.ts'
import type { Leader } from './database/leader.ts'
import type { DrillParts } from './drills/parts.ts'
import type { EventFeed } from './follow/feed.ts'
import type { Hub } from './follow/hub.ts'
import type { Watch } from './follow/watch.ts'
import type { PlanFollower } from './plans/follower.ts'
import type { PlanRuns } from './plans/runs.ts'
import type { SupervisedMoves } from './supervised/moves.ts'
import type { SupervisedWatch } from './supervised/watch.ts'

export interface Scene {
  readonly platform: Platform
  readonly spec: ServerSpec
  readonly name: string
  readonly version: string
  readonly database: Database
  readonly leader: Leader
  readonly watch: Watch
  readonly feed: EventFeed
  readonly hub: Hub
  readonly canary: CanaryKeeper
  readonly passwords: Passwords
  readonly tries: Tries
  readonly signer: AuditSigner
  readonly clock: Clock
  readonly log: Log
  readonly secure: boolean
  readonly services: () => Services
  /** Groups by the names plans are kept by: services, and `group:NAME` for groups in none. */
  readonly scopes: ReadonlyMap<string, readonly string[]>
  readonly plans: { readonly port: PlanPort; readonly follower: PlanFollower; readonly runs: PlanRuns }
  readonly supervised: { readonly watch: SupervisedWatch; readonly moves: SupervisedMoves }
  /** The agents beside members of this group. */
  readonly agentsOf: (group: string) => AgentClient
  /** Groups whose role claims give something, at the identity provider; null without one. */
  readonly oidcLabel: string | null
  readonly drills: DrillParts
  readonly alerts: Watchman
}

export function groupNames({ platform }: Pick<Scene, 'platform'>): readonly string[] {
  return [...platform.groups, ...platform.supervised].map(({ name }) => name)
}
