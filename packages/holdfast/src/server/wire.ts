/** Builds one server by hand and starts it; ends it in the opposite order. Nothing in the data path waits for it. */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { ApiGroup, ApiIncident } from '@holdfast/client'
import { keyText, pemText } from '../config/pem.ts'
import { type AgentSpec, type GroupSpec, groupByName, type Platform, type ServerSpec } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { openSigningKey } from '../io/signing.ts'
import { clientFor } from '../plans/agent-clients.ts'
import { freshCode, userCount } from './access/accounts.ts'
import type { Services } from './access/grants.ts'
import { Oidc } from './access/oidc.ts'
import { Passwords } from './access/passwords.ts'
import { Tries } from './access/tries.ts'
import { Watchman } from './alerts/watchman.ts'
import { appendAudit, writeCheckpoint } from './audit/audit-log.ts'
import { CanaryKeeper } from './canary/keeper.ts'
import { figuresOf as canaryFigures } from './canary/now.ts'
import { type Database, openDatabase } from './database/database.ts'
import { Leader } from './database/leader.ts'
import { DrillConductor } from './drills/conductor.ts'
import { drillParts } from './drills/parts.ts'
import { forgetOldEvents } from './events.ts'
import { EventFeed } from './follow/feed.ts'
import { Hub } from './follow/hub.ts'
import { Recorder } from './follow/recorder.ts'
import { serviceGist, serviceOf } from './follow/standing.ts'
import { Watch } from './follow/watch.ts'
import { actionHandlers } from './handlers/actions.ts'
import { alertHandlers } from './handlers/alerts.ts'
import { auditHandlers } from './handlers/audit.ts'
import { canaryHandlers } from './handlers/canary.ts'
import { drillStopHandlers } from './handlers/drill-stop.ts'
import { drillHandlers } from './handlers/drills.ts'
import { faultHandlers } from './handlers/faults.ts'
import { serviceHandlers } from './handlers/moves.ts'
import { oidcHandlers } from './handlers/oidc.ts'
import { planHandlers } from './handlers/plans.ts'
import { figuresOf, platformHandlers } from './handlers/platform.ts'
import { reportHandlers } from './handlers/reports.ts'
import { sessionHandlers } from './handlers/session.ts'
import { userHandlers } from './handlers/users.ts'
import { type Door, openDoor, type PlainAnswer } from './http/door.ts'
import { readStatic } from './http/static-files.ts'
import { ServerMetrics } from './metrics.ts'
import { PlanDesk, scopesOf } from './plans/desk.ts'
import { groupNames, type Scene } from './scene.ts'
import { SupervisedDesk } from './supervised/desk.ts'

export interface ServerOptions {
  readonly platform: Platform
  /** Tells servers of one platform apart; default: the host and the port. */
  readonly name?: string
  /** Instead of the description's address. */
  readonly listen?: { readonly host: string; readonly port: number }
  /** `postgres://...` instead of SQLite. */
  readonly databaseUrl: string | null
  /** A new one-time code even if there are users. */
  readonly adminCode: boolean
  /** Folder of the dashboard's built files. */
  readonly dashboardDir: string
  readonly version: string
  readonly clock: Clock
  readonly log: Log
}

export interface RunningServer {
  readonly url: string
  /** Makes the first admin; null when there are users. */
  readonly code: string | null
  close(): Promise<void>
}

/** One attempt at one agent; a busy one answers in a few milliseconds. */
const ATTEMPT_MS = 2_000
/** Several times within the leader's ttl. */
const TURN_MS = 500
const FIGURES_MS = 1_000
const CHECKPOINT_MS = 2_000
const FORGET_MS = 60_000

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const spec = specOf(options.platform)
  mkdirSync(spec.dir, { recursive: true, mode: 0o700 })
  const { clock, log } = options
  const key = await openSigningKey(join(spec.dir, 'signing.pem'))
  const database = await openDatabase({ dir: spec.dir, url: options.databaseUrl, clock, log })
  const body = new Body(options, spec, database, key)
  try {
    return await body.start()
  } catch (error) {
    await body.close()
    throw error
  }
}

function specOf({ server, file }: Platform): ServerSpec {
  if (server !== null) return server
  const next = 'add `server: { listen: 127.0.0.1:7400 }`'
  throw new HoldfastError('HF_CONFIG_INVALID', `${file} describes no server`, next)
}

/** Every part of one server, in the order in which they lean on each other. */
class Body {
  readonly #options: ServerOptions
  readonly #database: Database
  readonly #leader: Leader
  readonly #hub = new Hub()
  readonly #feed: EventFeed
  readonly #recorder: Recorder
  readonly #watch: Watch
  readonly #desk: PlanDesk
  readonly #managed: SupervisedDesk
  readonly #told = new Map<string, string>()
  readonly #canary: CanaryKeeper
  readonly #metrics = new ServerMetrics()
  readonly #scene: Scene
  readonly #drills: DrillConductor
  readonly #timers: NodeJS.Timeout[] = []
  #door: Door | null = null

  constructor(
    options: ServerOptions,
    spec: ServerSpec,
    database: Database,
    key: Awaited<ReturnType<typeof openSigningKey>>,
  ) {
    const { platform, clock, log } = options
    const listen = options.listen ?? spec.listen
    const name = options.name ?? `${hostname()}:${listen.port}`
    this.#options = options
    this.#database = database
    this.#leader = new Leader({ database, name, clock })
    const read = database.read
    this.#feed = new EventFeed({ read, log, onEvents: (events) => this.#hub.events(events) })
    this.#recorder = new Recorder({
      ...{ leader: this.#leader, read, clock, log },
      onWritten: () => this.#feed.poke(),
      onIncident: (incident) => this.#onIncident(incident),
    })
    this.#watch = new Watch({
      platform,
      clock,
      incidentOf: (group) => this.#recorder.incidentOf(group),
      onSighting: (sighting) => this.#recorder.saw(sighting),
      onChanged: (agents, groups) => {
        for (const group of groups) this.#recorder.changed(group)
        this.#hub.changed(agents, groups)
        this.#desk.heard(groups)
        this.#tellServices(groups)
        void this.#recorder.flush()
      },
    })
    this.#canary = this.#canaries(name)
    const services = servedGroups(platform)
    const lead = { name, leader: this.#leader, onWritten: () => this.#feed.poke() }
    this.#managed = new SupervisedDesk({
      ...{ platform, database, clock, log, ...lead },
      onGroup: (group) => this.#hub.supervised(group),
    })
    const scopes = scopesOf(platform, services)
    this.#desk = new PlanDesk({
      ...{ platform, scopes, leader: this.#leader, read, clock, log, name },
      agents: () => this.#watch.agents(),
      onPlan: (plan, groups) => this.#hub.plan(plan, groups),
      onWritten: () => this.#feed.poke(),
    })
    const drills = drillParts({ platform, database, clock, log, dir: spec.dir })
    this.#drills = new DrillConductor({ platform, database, clock, log, ...lead, ...drills })
    this.#scene = {
      drills,
      alerts: new Watchman({ platform, clock, log, env: process.env, ...lead }),
      ...{ platform, spec, name, database, clock, log },
      version: options.version,
      leader: this.#leader,
      watch: this.#watch,
      feed: this.#feed,
      hub: this.#hub,
      canary: this.#canary,
      passwords: new Passwords(),
      tries: new Tries(clock),
      signer: { key, platform: platform.name, file: join(spec.dir, 'audit-checkpoints.jsonl') },
      secure: spec.tls !== null,
      services: () => services,
      scopes,
      plans: this.#desk,
      agentsOf: agentsOfGroups(platform),
      supervised: this.#managed,
      oidcLabel: spec.oidc?.label ?? null,
    }
  }

  #onIncident(incident: ApiIncident): void {
    this.#canary.incident(incident)
    this.#hub.incident(incident)
  }

  #canaries(name: string): CanaryKeeper {
    const { platform, clock, log } = this.#options
    return new CanaryKeeper({
      ...{ platform, name, leader: this.#leader, read: this.#database.read, clock, log },
      known: (group) => this.#watch.group(group),
      onFigures: (now) => this.#hub.canary((only) => canaryFigures([...now.values()], only, clock.wallMs())),
      onIncident: (incident) => this.#hub.incident(incident),
      onWritten: () => this.#feed.poke(),
    })
  }

  async start(): Promise<RunningServer> {
    const { log } = this.#options
    const code = await this.#firstCode()
    await this.#feed.start()
    await this.#leader.turn()
    this.#watch.start()
    this.#desk.follower.start()
    this.#scene.drills.records.start()
    this.#canary.start()
    this.#managed.watch.start()
    this.#every(TURN_MS, () => this.#turn())
    this.#every(TURN_MS, () => this.#drills.turn())
    this.#every(TURN_MS, () => this.#scene.alerts.turn())
    this.#every(FIGURES_MS, async () => this.#figures())
    this.#every(CHECKPOINT_MS, () => this.#checkpoint())
    this.#every(FORGET_MS, async () => {
      await this.#leader.write((writing) => forgetOldEvents(writing))
    })
    const door = await openDoor(this.#doorOptions())
    this.#door = door
    log.info({ url: door.url, database: this.#database.kind }, 'server-ready')
    return { url: door.url, code, close: () => this.close() }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#hub.close()
    await this.#door?.close()
    await this.#desk.close()
    await this.#drills.close()
    await this.#scene.alerts.close()
    this.#scene.drills.records.close()
    await this.#canary.close().catch(() => undefined)
    await this.#managed.close()
    await this.#watch.close()
    await this.#recorder.flush().catch(() => undefined)
    await this.#checkpoint().catch(() => undefined)
    await this.#leader.resign().catch(() => undefined)
    await this.#feed.close()
    await this.#scene.drills.desk?.close()
    await this.#database.close()
  }

  #doorOptions(): Parameters<typeof openDoor>[0] {
    const { platform, clock, log, dashboardDir } = this.#options
    const { spec, secure, services } = this.#scene
    const listen = this.#options.listen ?? spec.listen
    const scheme = secure ? 'https' : 'http'
    const known = spec.publicUrl === null ? null : new URL(spec.publicUrl)
    const oidc = this.#oidc()
    return {
      ...listen,
      tls: spec.tls === null ? null : { cert: pemText(spec.tls.certFile), key: keyText(spec.tls.keyFile) },
      guard: {
        database: this.#database,
        wallMs: () => clock.wallMs(),
        secure,
        origins: (host) => new Set([`${scheme}://${host}`, ...(known === null ? [] : [known.origin])]),
        groups: () => groupNames({ platform }),
        services,
      },
      handlers: {
        ...platformHandlers(this.#scene),
        ...actionHandlers(this.#scene),
        ...serviceHandlers(this.#scene),
        ...planHandlers(this.#scene),
        ...sessionHandlers(this.#scene),
        ...userHandlers(this.#scene),
        ...auditHandlers(this.#scene),
        ...canaryHandlers(this.#scene),
        ...oidcHandlers(this.#scene, oidc),
        ...drillHandlers(this.#scene),
        ...alertHandlers(this.#scene),
        ...drillStopHandlers(this.#scene),
        ...faultHandlers(this.#scene),
        ...reportHandlers(this.#scene),
      },
      plain: {
        '/livez': async () => plain(200, 'ok\n'),
        '/readyz': () => this.#ready(),
        '/metrics': async () => {
          return { status: 200, type: 'text/plain; version=0.0.4', text: await this.#metrics.text(this.#scene) }
        },
      },
      files: readStatic(dashboardDir),
      hosts: known === null ? [] : [known.hostname],
      onAnswered: (route, status, tookMs) => this.#metrics.answered(route, status, tookMs),
      log,
    }
  }

  #oidc(): Oidc | null {
    const { spec, clock } = this.#scene
    if (spec.oidc === null) return null
    if (spec.publicUrl === null) {
      const next = 'set server.publicUrl to the address people use'
      throw new HoldfastError('HF_CONFIG_INVALID', 'with oidc the server must know its own address', next)
    }
    const redirectUrl = `${spec.publicUrl}/api/v1/session/oidc/callback`
    return new Oidc({ spec: spec.oidc, redirectUrl, database: this.#database, wallMs: () => clock.wallMs() })
  }

  async #ready(): Promise<PlainAnswer> {
    if (!this.#watch.complete) return plain(503, 'not every agent was asked yet\n')
    try {
      await this.#database.read.selectFrom('leader').select('beat').executeTakeFirstOrThrow()
    } catch {
      return plain(503, 'the database does not answer\n')
    }
    return plain(200, 'ok\n')
  }

  async #firstCode(): Promise<string | null> {
    const { adminCode, clock } = this.#options
    if (!adminCode && (await userCount(this.#database.read)) > 0) return null
    return this.#database.write(async (writing) => {
      const actor = `server ${this.#scene.name}`
      const note = {
        actor,
        action: 'adminCode',
        subject: 'first admin',
        outcome: 'done',
        address: '',
        detail: {},
      } as const
      await appendAudit(writing, note, clock.wallMs())
      return freshCode(writing, clock.wallMs())
    })
  }

  /** Beats, or watches who does; then whatever waited for it is written. */
  async #turn(): Promise<void> {
    const before = this.#leader.state
    const now = await this.#leader.turn()
    if (now.leading !== before.leading) this.#options.log.info({ ...now }, now.leading ? 'leads' : 'leads-no-longer')
    await this.#recorder.flush()
    await this.#desk.turn()
    await this.#managed.turn()
  }

  /** A service is what its groups are. */
  #tellServices(changed: readonly ApiGroup[]): void {
    const names = new Set(changed.map(({ group }) => group))
    for (const spec of this.#options.platform.services) {
      if (!spec.groups.some(({ group }) => names.has(group))) continue
      const service = serviceOf(spec, this.#watch.groups())
      if (service === null) continue
      const gist = serviceGist(service)
      if (this.#told.get(spec.name) === gist) continue
      this.#told.set(spec.name, gist)
      this.#hub.service(service)
    }
  }

  async #checkpoint(): Promise<void> {
    await this.#leader.write((writing) => writeCheckpoint(writing, this.#scene.signer, this.#options.clock.wallMs()))
  }

  #figures(): void {
    const groups = this.#watch.groups()
    const wallMs = this.#options.clock.wallMs()
    this.#hub.figures((only) =>
      figuresOf(only === null ? groups : groups.filter(({ group }) => only.has(group)), wallMs),
    )
  }

  /** Turns of one task never overlap; a failed one is told and tried again at the next. */
  #every(ms: number, task: () => Promise<void>): void {
    let running = false
    const turn = async (): Promise<void> => {
      if (running) return
      running = true
      await task().catch((error: unknown) => this.#options.log.warn({ error }, 'server-task-failed'))
      running = false
    }
    this.#timers.push(setInterval(() => void turn(), ms))
  }
}

function servedGroups({ services }: Platform): Services {
  return new Map(services.map(({ name, groups }) => [name, groups.map(({ group }) => group)] as const))
}

function agentsOfGroups(platform: Platform): Scene['agentsOf'] {
  const clients = new Map(
    platform.groups.map((group) => [group.name, clientFor(agentsBeside(platform, group), ATTEMPT_MS)] as const),
  )
  return (group) => {
    const client = groupByName(platform, group) === null ? undefined : clients.get(group)
    if (client !== undefined) return client
    throw new HoldfastError('HF_THING_UNKNOWN', `there is no group ${group}`, 'see the groups of the platform')
  }
}

function agentsBeside({ agents }: Platform, { members }: GroupSpec): readonly AgentSpec[] {
  return agents.filter(({ name }) => members.some(({ agent }) => agent === name))
}

function plain(status: number, text: string): PlainAnswer {
  return { status, type: 'text/plain; charset=utf-8', text }
}
