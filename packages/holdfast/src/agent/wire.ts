/** Builds one agent by hand and starts it; ends it in the opposite order. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type AgentSpec, agentByName, membersOfAgent, type Platform } from '../config/platform.ts'
import { nodeSettings } from '../config/settings.ts'
import type { GroupRecord } from '../core/model.ts'
import { type NodeSettings, type NodeState, startNode, stepNode } from '../core/node.ts'
import { watchdogMaxMs } from '../core/settings.ts'
import type { EngineAdapter, EngineEndpoint } from '../engines/contract.ts'
import { HoldfastError } from '../errors.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { freshId } from '../io/random.ts'
import type { Store } from '../store/contract.ts'
import { CertificateWatch } from './certificate-watch.ts'
import { ChangeBell } from './change-bell.ts'
import { DiskWatch } from './disk-watch.ts'
import { openDoor, type Route } from './door.ts'
import { DrillFaults } from './drill-faults.ts'
import { behindCut, drillRoutes } from './drill-routes.ts'
import { EngineFeed } from './engine-feed.ts'
import { EngineLane } from './engine-lane.ts'
import type { Known } from './explanation.ts'
import { handOver, stopMember } from './farewell.ts'
import { GuardDesk } from './guard-desk.ts'
import { healthRoutes } from './health.ts'
import { Journal } from './journal.ts'
import { LeaseLow } from './lease-low.ts'
import { Loop } from './loop.ts'
import { Mailbox } from './mailbox.ts'
import { Metrics } from './metrics.ts'
import { operatorRoutes } from './operator.ts'
import { beatNow } from './pace.ts'
import {
  adaptersOf,
  certificateFiles,
  dataFolders,
  doorTls,
  drillParts,
  endpointOf,
  peersOf,
  storeOf,
} from './parts.ts'
import { PeerFeed } from './peer-feed.ts'
import type { PeerLink } from './peer-link.ts'
import { Performer } from './perform.ts'
import { planRoutes } from './plan-routes.ts'
import { Questions } from './questions.ts'
import { ReasonLog } from './reasons.ts'
import { restartRoutes } from './restart-routes.ts'
import { markOf, stateRoutes, VERSION } from './routes.ts'
import { watchSites } from './site-watch.ts'
import { type Moment, peerReports } from './snapshot.ts'
import { StoreFeed } from './store-feed.ts'
import { StorePort } from './store-port.ts'

export interface AgentOptions {
  readonly platform: Platform
  readonly name: string
  readonly log: Log
  readonly clock: Clock
  /** A replica's engine keeps running when the agent is closed; a primary is always handed over or stopped. */
  readonly leaveEngineRunning?: boolean
  /** A defect of the core. Default: the process ends, which is safe. */
  readonly onDefect?: (error: unknown) => void
}

export interface Agent {
  readonly url: string
  /** Hands over what it holds, stops its engines, closes everything. Idempotent. */
  close(): Promise<void>
}

/** A guard silent for this share of the shortest ttl counts as gone. */
const GUARD_SILENT_SHARE = 3

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { platform, name } = options
  const spec = agentByName(platform, name)
  if (spec === null) {
    const names = platform.agents.map((agent) => agent.name).join(', ')
    throw new HoldfastError('HF_CONFIG_INVALID', `no agent ${name} in ${platform.file}`, `use one of ${names}`)
  }
  mkdirSync(spec.dir, { recursive: true, mode: 0o750 })
  const body = new Body(options, spec)
  try {
    const door = await openDoor({
      host: spec.listen.host,
      port: spec.listen.port,
      token: spec.token.known ? spec.token.reveal() : null,
      tls: doorTls(spec),
      routes: body.routes(),
      loopAgeMs: () => body.loop.ageMs(),
    })
    body.start()
    let closing: Promise<void> | null = null
    const close = async (): Promise<void> => {
      await body.stop()
      await door.close()
      await body.release()
    }
    return {
      url: door.url,
      close: () => {
        closing ??= close()
        return closing
      },
    }
  } catch (error) {
    await body.release()
    throw error
  }
}

/** Every part of one agent. Made whole by the constructor, in the order of the fields; nothing runs before `start`. */
class Body {
  readonly #options: AgentOptions
  readonly #spec: AgentSpec
  readonly #settings: NodeSettings
  readonly #bootId = freshId()
  readonly #metrics = new Metrics()
  readonly #reasons: ReasonLog
  readonly #journal: Journal
  readonly #store: Store
  readonly #port: StorePort
  readonly #mailbox: Mailbox
  readonly #systemIds = new Map<string, string>()
  readonly #adapters: ReadonlyMap<string, EngineAdapter>
  readonly #endpoints: ReadonlyMap<string, EngineEndpoint>
  readonly #peers: ReadonlyMap<string, PeerLink>
  readonly #questions = new Questions()
  readonly #bell = new ChangeBell(() => markOf(this.#bootId, this.#reasons, this.loop.state))
  readonly #lanes: ReadonlyMap<string, EngineLane>
  readonly #guard: GuardDesk
  readonly #engineFeeds: ReadonlyMap<string, EngineFeed>
  readonly #storeFeed: StoreFeed
  readonly #peerFeed: PeerFeed
  readonly #performer: Performer
  #siteWatch: { close(): Promise<void> } | null = null
  readonly #disks: DiskWatch
  readonly #certificates: CertificateWatch
  readonly #leaseLow = new LeaseLow()
  readonly #faults: DrillFaults
  #pacedMs: number | null = null
  #pacedBeats = ''
  readonly loop: Loop

  constructor(options: AgentOptions, spec: AgentSpec) {
    const { platform, name, log, clock } = options
    const bootId = this.#bootId
    const startMs = clock.nowMs()
    const settings = nodeSettings(platform, name)
    this.#options = options
    this.#spec = spec
    this.#settings = settings
    this.#reasons = new ReasonLog(clock, log)
    this.#journal = new Journal({ dir: spec.dir, settings, bootId, nowMs: startMs, clock, log })
    this.#mailbox = new Mailbox(settings, clock, (event) => this.loop.post(event))
    this.#adapters = adaptersOf(platform, name, { clock, log })
    this.#endpoints = new Map(platform.groups.flatMap((g) => g.members.map((m) => [m.name, endpointOf(m)] as const)))
    this.#peers = peersOf(platform, name, clock)
    this.#store = storeOf(platform)
    this.#port = this.#portTo(this.#store)
    this.#lanes = this.#makeLanes()
    const mailbox = this.#mailbox
    this.#guard = new GuardDesk({
      mailbox,
      adapters: this.#adapters,
      clock,
      silentMaxMs: settings.ttlMs / GUARD_SILENT_SHARE,
      watchdog: spec.watchdog === null ? null : { ...spec.watchdog, timeoutMaxMs: watchdogMaxMs(settings) },
      mayReplace: () => this.#nothingHeld(),
      log,
    })
    this.#engineFeeds = this.#makeEngineFeeds()
    const onRecord = (record: GroupRecord): void => this.#noteSystemId(record)
    // While the store is away each attempt to watch it ends like this, several times a second.
    const onGap = (because: string): void =>
      log[this.#reasons.silent ? 'debug' : 'info']({ because }, 'store-watch-gap')
    this.#storeFeed = new StoreFeed({ store: this.#store, port: this.#port, mailbox, settings, onGap, onRecord })
    this.#peerFeed = this.#makePeerFeed()
    this.#performer = new Performer({
      mailbox,
      store: this.#port,
      lanes: this.#lanes,
      guard: this.#guard,
      peers: this.#peers,
      questions: this.#questions,
      onEngineDone: (member) => this.#engineFeeds.get(member)?.look(),
      onRecord,
      isHolder: (agent) => holdersIn(this.loop.state).has(agent),
      askerOf: (group) => this.#askerOf(group),
    })
    this.#disks = new DiskWatch({ folders: dataFolders(platform, name), clock })
    this.#certificates = new CertificateWatch(certificateFiles(platform, name))
    this.#faults = this.#makeFaults()
    this.loop = new Loop({
      core: { start: startNode, step: stepNode },
      settings,
      bootId,
      startMs,
      clock,
      journal: this.#journal,
      reasons: this.#reasons,
      perform: (action) => {
        if (action.kind === 'write-session') this.#noteStranger()
        this.#performer.perform(action)
      },
      onStepped: (state) => {
        this.#leaseLow.note(state, clock.nowMs())
        this.#followHolders(state)
        this.#keepPace(state)
        this.#bell.look()
      },
      onDefect: (error) => this.#onDefect(error),
    })
  }

  routes(): readonly Route[] {
    const { platform, clock } = this.#options
    const settings = this.#settings
    const moment = (): Moment => this.#moment()
    const known = (group: string): Known | null => {
      const own = settings.members.find((m) => m.group === group)
      const member = own === undefined ? undefined : this.loop.state.members[own.self.member]
      if (own === undefined || member === undefined) return null
      return { settings: own, member, moment: moment(), wallMs: clock.wallMs() }
    }
    const engines = new Map(platform.groups.map(({ name, engine }) => [name, engine]))
    this.#metrics.watch({
      settings,
      site: this.#spec.site,
      version: VERSION,
      engineOf: (group) => engines.get(group) ?? '',
      store: this.#port,
      disk: (member) => this.#disks.reading(member),
      leaseLowMs: (member, nowMs) => this.#leaseLow.lowMs(member, nowMs),
      certificateEnds: () => this.#certificates.ends(),
      moment,
      loopGapMaxMs: () => this.loop.gapMaxMs(),
      guard: this.#guard,
      journalDropped: () => this.#journal.droppedTotal,
      reasonCounts: () => this.#reasons.counts(),
    })
    const addresses = new Map(
      membersOfAgent(platform, settings.agent).map(({ member }) => [member.name, member.listen]),
    )
    const started = (member: string): string | null => this.#adapters.get(member)?.mainProcess() ?? null
    const routes = [
      ...healthRoutes({ settings, moment, guardAlive: () => this.#guard.alive }),
      this.#metrics.route(),
      ...stateRoutes({
        settings,
        site: this.#spec.site,
        moment,
        store: this.#port,
        guard: this.#guard,
        lanes: this.#lanes,
        started,
        addresses,
        reasons: this.#reasons,
        bell: this.#bell,
        mailbox: this.#mailbox,
        questions: this.#questions,
        boot: this.#bootId,
        onTold: (telling) => this.#peerFeed.told(telling),
      }),
      ...operatorRoutes({ store: this.#port, known, onRecord: (record) => this.#noteSystemId(record) }),
      ...restartRoutes({ mailbox: this.#mailbox, questions: this.#questions, requestMs: settings.requestMs, started }),
      ...planRoutes({ store: this.#store, platform, requestMs: settings.requestMs }),
      ...drillRoutes(this.#faults),
    ]
    return behindCut(routes, this.#faults)
  }

  start(): void {
    this.#faults
      .continueLeftovers()
      .catch((error: unknown) => this.#options.log.error({ error: String(error) }, 'drill-leftovers-stand'))
    this.#guard.start()
    this.loop.start()
    this.#storeFeed.start()
    for (const feed of this.#engineFeeds.values()) feed.start()
    this.#peerFeed.start()
    const { platform, clock, log } = this.#options
    const settings = this.#settings
    this.#siteWatch = watchSites({ platform, clock, log, settings, store: this.#store, moment: () => this.#moment() })
    this.#disks.start()
    this.#certificates.start()
  }

  /** Gives away what is held, then stops deciding, then stops the engines that must not stay. */
  async stop(): Promise<void> {
    const farewell = {
      loop: this.loop,
      store: this.#port,
      settings: this.#settings.members,
      adapters: this.#adapters,
      nowMs: () => this.#options.clock.nowMs(),
      log: this.#options.log,
    }
    await this.#siteWatch?.close()
    await handOver(farewell)
    this.loop.stop()
    this.#storeFeed.close()
    this.#peerFeed.close()
    for (const feed of this.#engineFeeds.values()) feed.close()
    this.#questions.close()
    this.#bell.ring()
    for (const settings of this.#settings.members) {
      const { member } = settings.self
      const state = this.loop.state.members[member]
      await this.#lanes.get(member)?.close()
      if (this.#options.leaveEngineRunning === true && state?.hold === null && state.role === 'replica') continue
      // Without a clean end the guard keeps its deadline and makes one.
      if (await stopMember(farewell, settings)) this.#guard.disarm(member)
    }
  }

  async release(): Promise<void> {
    this.loop.stop()
    this.#disks.close()
    this.#certificates.close()
    this.#faults.close()
    this.#guard.close()
    for (const peer of this.#peers.values()) await peer.close()
    for (const adapter of this.#adapters.values()) await adapter.close()
    await this.#store.close()
    await this.#journal.close()
  }

  #moment(): Moment {
    return { state: this.loop.state, nowMs: this.#options.clock.nowMs(), loopAgeMs: this.loop.ageMs() }
  }

  #portTo(store: Store): StorePort {
    return new StorePort({
      store,
      clock: this.#options.clock,
      requestMs: this.#settings.requestMs,
      onNonsense: (key, because) => {
        this.#metrics.nonsense()
        this.#reasons.nonsense(key, because)
      },
      onSilence: (because) => this.#reasons.storeSilent(because),
      onCall: (operation, tookMs, kind) => this.#metrics.storeCall(operation, tookMs, kind),
    })
  }

  #makeLanes(): ReadonlyMap<string, EngineLane> {
    const lanes = new Map<string, EngineLane>()
    for (const { group, self } of this.#settings.members) {
      const adapter = this.#adapters.get(self.member)
      if (adapter === undefined) continue
      const lane = new EngineLane({
        adapter,
        endpointOf: (upstream) => this.#endpoints.get(upstream) ?? null,
        systemId: () => this.#systemIds.get(group) ?? null,
        onFinished: (command, tookMs, ok) => this.#metrics.command({ group, member: self.member }, command, tookMs, ok),
        nowMs: () => this.#options.clock.nowMs(),
      })
      lanes.set(self.member, lane)
    }
    return lanes
  }

  #makeFaults(): DrillFaults {
    const { platform, log } = this.#options
    return new DrillFaults({
      ...drillParts(platform, this.#spec, this.#adapters),
      noteFile: join(this.#spec.dir, 'drill-fault.json'),
      guardPid: () => this.#guard.pid,
      log,
    })
  }

  #makePeerFeed(): PeerFeed {
    const { platform, name } = this.#options
    const { beatMs, requestMs } = this.#settings
    return new PeerFeed({
      agent: name,
      boot: this.#bootId,
      peers: this.#peers,
      mailbox: this.#mailbox,
      membersOf: (agent) => new Set(membersOfAgent(platform, agent).map(({ member }) => member.name)),
      own: () => {
        const moment = this.#moment()
        return { from: name, nowMs: moment.nowMs, reports: peerReports(moment, this.#settings) }
      },
      beatMs,
      requestMs,
    })
  }

  #makeEngineFeeds(): ReadonlyMap<string, EngineFeed> {
    const feeds = new Map<string, EngineFeed>()
    for (const { self, timing } of this.#settings.members) {
      const { member } = self
      const adapter = this.#adapters.get(member)
      const { beatMs, requestMs } = timing
      const mailbox = this.#mailbox
      if (adapter === undefined) continue
      feeds.set(member, new EngineFeed({ member, adapter, mailbox, guard: this.#guard, beatMs, requestMs }))
    }
    return feeds
  }

  /** An earlier process of ours falls silent within its ttl; who still beats after two is a second agent. */
  #noteStranger(): void {
    const { stranger } = this.loop.state.session
    if (stranger !== null) this.#reasons.stranger(this.#options.name, stranger.session, 2 * this.#settings.ttlMs)
  }

  /** Only feeds that beat as the session does keep to its beats; while a holder is silent they are quicker. */
  #keepPace({ session, members }: NodeState): void {
    const nowMs = this.#mailbox.nowMs()
    const atMs = session.phase === 'live' ? session.nextBeatAtMs : null
    const beats = this.#settings.members.map(({ self, timing }): [string, number] => {
      const state = members[self.member]
      const holder = state?.role === 'replica' ? state.holder : null
      return [self.member, beatNow(timing.beatMs, holder, nowMs)]
    })
    const shortestMs = Math.min(this.#settings.beatMs, ...beats.map(([, beatMs]) => beatMs))
    const all = beats.join()
    if (atMs === this.#pacedMs && all === this.#pacedBeats) return
    this.#pacedMs = atMs
    this.#pacedBeats = all
    const inStep = (beatMs: number): number | null => (beatMs === this.#settings.beatMs ? atMs : null)
    for (const [member, beatMs] of beats) this.#engineFeeds.get(member)?.pace(inStep(beatMs), beatMs)
    this.#peerFeed.pace(inStep(shortestMs), shortestMs)
  }

  /** Our own session needs no watch: its writer tells. */
  #followHolders(state: NodeState): void {
    const holders = holdersIn(state)
    holders.delete(this.#settings.agent)
    this.#storeFeed.watchSessionsOf(holders)
  }

  #noteSystemId(record: GroupRecord): void {
    if (record.systemId !== null) this.#systemIds.set(record.group, record.systemId)
  }

  #nothingHeld(): boolean {
    return Object.values(this.loop.state.members).every((state) => state.hold === null && state.role !== 'fencing')
  }

  /** Of several members in one group, the one that leads or is about to. */
  #askerOf(group: string): string | null {
    const ours = this.#mailbox.membersOf(group)
    const { members } = this.loop.state
    return ours.find((member) => members[member]?.hold) ?? ours.find((m) => members[m]?.gathering) ?? ours[0] ?? null
  }

  #onDefect(error: unknown): void {
    this.#options.log.error({ error }, 'core-defect')
    if (this.#options.onDefect !== undefined) {
      this.#options.onDefect(error)
      return
    }
    // Dying is safe: the guard keeps every deadline, replicas run on.
    queueMicrotask(() => {
      throw error
    })
  }
}

/** Agents whose sessions the core looks at. */
function holdersIn(state: NodeState): Set<string> {
  const holders = new Set<string>()
  for (const name in state.members) {
    const agent = state.members[name]?.holder?.agent
    if (agent !== undefined) holders.add(agent)
  }
  return holders
}
