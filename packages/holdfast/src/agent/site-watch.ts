/** Gives the watch over services what it needs of this agent: its own view of each group, and the store. */
import { groupByName, type Platform, type ServiceSpec } from '../config/platform.ts'
import type { NodeSettings } from '../core/node.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import type { LocalGroup } from '../plans/site-watch.ts'
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

interface SiteWatch {
  close(): Promise<void>
}

/** What moves services is loaded only beside one that may move without a person; other agents stay small. */
export function watchSites(watching: SiteWatching): SiteWatch {
  const services = watchedServices(watching.platform, watching.settings.agent)
  if (services.length === 0) return { close: async () => undefined }
  const started = begin(watching, services)
  // An agent that cannot load it keeps its leases; that nobody watches is said.
  started.catch((error) => watching.log.error({ error }, 'site-watch-failed'))
  return { close: () => started.then((watch) => watch.close()).catch(() => undefined) }
}

/** Services that this agent stands beside and that may move without a person. */
function watchedServices(platform: Platform, agent: string): readonly ServiceSpec[] {
  return platform.services.filter(
    (one) =>
      (one.siteLoss === 'automatic' || one.comeHome === 'when-healthy') &&
      one.groups.some(({ group }) => groupByName(platform, group)?.members.some((member) => member.agent === agent)),
  )
}

async function begin(watching: SiteWatching, services: readonly ServiceSpec[]): Promise<SiteWatch> {
  const { platform, settings, store, clock, log } = watching
  const { portOnStore } = await import('../plans/plan-port.ts')
  const { startSiteWatch } = await import('../plans/site-watch.ts')
  return startSiteWatch({
    platform,
    services,
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
