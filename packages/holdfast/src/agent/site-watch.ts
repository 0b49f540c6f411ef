/** Gives the watch over services what it needs of this agent: its own view of each group, and the store. */
import type { Platform } from '../config/platform.ts'
import type { NodeSettings } from '../core/node.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { portOnStore } from '../plans/plan-port.ts'
import { type LocalGroup, startSiteWatch } from '../plans/site-watch.ts'
import type { Store } from '../store/contract.ts'
import type { Moment } from './snapshot.ts'

export interface SiteWatching {
  readonly platform: Platform
  readonly settings: NodeSettings
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly moment: () => Moment
}

/** A plan can wait for a slow store better than a beat can. */
const PATIENCE_REQUESTS = 3

export function watchSites(watching: SiteWatching): { close(): Promise<void> } {
  const { platform, settings, store, clock, log } = watching
  return startSiteWatch({
    platform,
    agent: settings.agent,
    port: portOnStore(store, PATIENCE_REQUESTS * settings.requestMs),
    clock,
    log,
    local: (group) => localGroup(watching, group),
  })
}

function localGroup({ settings, moment }: SiteWatching, group: string): LocalGroup | null {
  const own = settings.members.find((member) => member.group === group)
  const { state, nowMs } = moment()
  const member = own === undefined ? undefined : state.members[own.self.member]
  const record = member?.record?.value ?? null
  if (member === undefined || record === null) return null
  const holder = member.holder
  return {
    holder: record.holder,
    epoch: record.epoch,
    open: record.phase === 'open',
    silentMs: holder === null ? 0 : Math.max(0, nowMs - holder.unchangedSinceMs),
  }
}
