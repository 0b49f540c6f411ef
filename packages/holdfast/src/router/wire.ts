/** Builds a router from its parts by hand: doors, store watch, agent poll, metrics. */
import type { GroupRecord, Reason } from '../core/model.ts'
import { type DegradedPolicy, refuseAfterOf, staleBounds } from '../core/routing/degradation.ts'
import type { RouteSettings } from '../core/routing/route.ts'
import type { Clock } from '../io/clock.ts'
import type { Store, Watch } from '../store/contract.ts'
import { type AgentPoll, pollAgents } from './agent-poll.ts'
import { Haproxy } from './haproxy.ts'
import { type MetricsDoor, openMetrics } from './metrics.ts'
import { type DoorRelay, PrimaryDoor } from './primary-door.ts'
import { ReadDoor } from './read-door.ts'
import { readGroupRecord } from './record.ts'
import type { Target } from './session.ts'
import type { RouterStatus } from './status.ts'

export interface RouterMember {
  readonly group: string
  readonly host: string
  readonly port: number
  readonly site: string
}

export interface RouterLimits {
  readonly holdMs: number
  readonly heldMax: number
  readonly sessionsMax: number
  readonly retryMs: number
  readonly quietMs: number
  readonly pollMs: number
  readonly requestMs: number
  readonly statusAgeMaxMs: number
}

/** Why each: SPEC of `core/routing` and the comments there. */
export const ROUTER_LIMITS: RouterLimits = {
  holdMs: 10_000,
  heldMax: 2_000,
  sessionsMax: 10_000,
  retryMs: 25,
  quietMs: 3_000,
  pollMs: 500,
  requestMs: 1_000,
  statusAgeMaxMs: 3_000,
}

export interface RouterOptions {
  readonly name: string
  readonly site: string
  readonly doors: readonly {
    readonly group: string
    readonly listen: { readonly host: string; readonly port: number }
    readonly read?: { readonly host: string; readonly port: number; readonly lagBytesMax: number }
    /** What is allowed without a primary. Default: everybody waits, and nobody reads from who receives nothing. */
    readonly degraded?: DegradedPolicy
  }[]
  readonly members: Readonly<Record<string, RouterMember>>
  /** Closed by whoever opened it. */
  readonly store: Store
  readonly agents: { readonly urls: readonly string[]; readonly token: string | null; readonly ca?: string }
  readonly metrics?: { readonly host: string; readonly port: number }
  /** HAProxy carries the bytes of the primary doors, which need fixed ports then; `program` null: found in PATH. */
  readonly relay?: { readonly program: string | null }
  readonly limits?: Partial<RouterLimits>
  readonly clock: Clock
  readonly onReason: (reason: Reason) => void
}

export interface Router {
  status(): RouterStatus
  /** Process id of the relay; null without one, or while it starts anew. */
  relayPid(): number | null
  /** Cuts every session and stops listening. */
  close(): Promise<void>
}

const GROUPS = 'groups/'
/** A door with a relay before it. */
const BEHIND = { host: '127.0.0.1', port: 0 }
/** Share of the time a client may wait that it waits before the relay; the rest of it is the router's. */
const RELAY_PATIENCE = 0.5

/** Starts a router. Throws `HF_LISTEN_FAILED`, with nothing left open, when a door cannot listen. */
export async function startRouter(options: RouterOptions): Promise<Router> {
  const limits = { ...ROUTER_LIMITS, ...options.limits }
  const primaries = new Map<string, PrimaryDoor>()
  const readers: ReadDoor[] = []
  let poll: AgentPoll | null = null
  let watch: Watch | null = null
  let metrics: MetricsDoor | null = null
  let relay: Haproxy | null = null
  for (const { group, listen, read, degraded } of options.doors) {
    const parts = partsOf(options, group)
    const { clock, onReason } = options
    const refuseAfterMs = degraded === undefined ? null : refuseAfterOf(degraded, limits.holdMs)
    const settings = { ...routeSettings(group, [...parts.targets.keys()], limits), refuseAfterMs }
    const { sessionsMax } = limits
    const behind =
      options.relay === undefined
        ? { listen }
        : { listen: BEHIND, relay: doorRelay(group, listen.port, limits, () => relay) }
    primaries.set(group, new PrimaryDoor({ ...behind, settings, ...parts, sessionsMax, clock, onReason }))
    if (!read) continue
    const bounds = degraded === undefined ? AS_IT_RECEIVES : staleBounds(degraded, limits.holdMs)
    const rule = { site: options.site, lagBytesMax: read.lagBytesMax, ageMaxMs: limits.statusAgeMaxMs, ...bounds }
    const reader = { group, listen: read, rule, refuseAfterMs, ...parts, ...limits, clock, onReason }
    readers.push(new ReadDoor({ ...reader, statuses: () => poll?.seen() ?? [] }))
  }

  const router: Router = {
    status: () => ({
      router: options.name,
      site: options.site,
      doors: [...primaries.values()].map((door) => door.status()),
      readDoors: readers.map((door) => door.status()),
      metricsPort: metrics?.port ?? null,
    }),
    relayPid: () => relay?.pid ?? null,
    async close() {
      watch?.close()
      poll?.close()
      await relay?.close()
      await Promise.all([...primaries.values(), ...readers].map((door) => door.close()))
      await metrics?.close()
    },
  }

  try {
    const ownPorts = new Map<string, number>()
    for (const [group, door] of primaries) ownPorts.set(group, await door.open())
    for (const door of readers) await door.open()
    if (options.relay) {
      relay = makeRelay(options, ownPorts, limits)
      await relay.start()
    }
    if (options.metrics) metrics = await openMetrics(options.metrics, () => router.status())
  } catch (error) {
    await router.close()
    throw error
  }
  watch = watchGroups(options, primaries)
  poll = pollAgents({
    ...options.agents,
    everyMs: limits.pollMs,
    requestMs: limits.requestMs,
    clock: options.clock,
    onStatus: (status) => {
      for (const { group, hint } of status.standings) primaries.get(group)?.post({ kind: 'hints', hints: [hint] })
    },
  })
  return router
}

function doorRelay(group: string, port: number, limits: RouterLimits, relay: () => Haproxy | null): DoorRelay {
  return {
    port,
    patienceMs: limits.holdMs * RELAY_PATIENCE,
    turn: (mode, cut) => relay()?.turn(group, mode, cut) ?? Promise.resolve(),
    counts: () => relay()?.counts(group) ?? { sessions: 0, accepted: 0, bytesUp: 0, bytesDown: 0 },
    running: () => relay()?.running ?? false,
    leadsTo: () => relay()?.leadsTo(group) ?? null,
  }
}

function makeRelay(options: RouterOptions, ownPorts: ReadonlyMap<string, number>, limits: RouterLimits): Haproxy {
  const { doors, onReason, relay } = options
  return new Haproxy({
    program: relay?.program ?? null,
    patienceMs: limits.holdMs,
    doors: doors.map(({ group, listen }) => ({
      group,
      listen,
      members: [...partsOf(options, group).targets.values()],
      ownPort: ownPorts.get(group) ?? 0,
      sessionsMax: limits.sessionsMax,
    })),
    onEnded: (because) => {
      for (const { group } of doors) onReason({ code: 'relay-ended', group, member: '', detail: { because } })
    },
  })
}

const AS_IT_RECEIVES = { staleMsMax: null, keepMsMax: null }

function routeSettings(
  group: string,
  members: readonly string[],
  limits: RouterLimits,
): Omit<RouteSettings, 'refuseAfterMs'> {
  const { holdMs, heldMax, retryMs, quietMs } = limits
  return { group, members, holdMs, heldMax, retryMs, quietMs, loopAgeMaxMs: limits.statusAgeMaxMs }
}

function partsOf(options: RouterOptions, group: string) {
  const targets = new Map<string, Target>()
  const siteOf = new Map<string, string>()
  for (const [member, spec] of Object.entries(options.members)) {
    if (spec.group !== group) continue
    targets.set(member, { member, host: spec.host, port: spec.port })
    siteOf.set(member, spec.site)
  }
  return { targets, siteOf }
}

function watchGroups(options: RouterOptions, primaries: ReadonlyMap<string, PrimaryDoor>): Watch {
  const complained = new Set<string>()
  return options.store.watch(GROUPS, {
    onEntry(entry) {
      const group = entry.key.slice(GROUPS.length)
      const door = primaries.get(group)
      if (!door) return
      const value: GroupRecord | 'damaged' | null = readGroupRecord(group, entry.value)
      if (value !== 'damaged') {
        complained.delete(group)
        door.post({ kind: 'record', value })
        return
      }
      if (complained.has(group)) return
      complained.add(group)
      // Nonsense changes nothing: the last route stands.
      options.onReason({ code: 'record-damaged', group, member: '', rule: 'R22', detail: { revision: entry.revision } })
    },
    onGap(because) {
      for (const door of primaries.values()) door.post({ kind: 'store-away', because })
    },
  })
}
