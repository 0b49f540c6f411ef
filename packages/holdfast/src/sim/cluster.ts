/** Builds the whole world of a scenario by hand: network, store, hosts, clients, operator, checkers. Starts it. */
import type { PeerReport, Reason } from '../core/model.ts'
import type { NodeEvent, NodeSettings } from '../core/node.ts'
import type { Action } from '../core/protocol.ts'
import type { ShellHooks } from './agent-process.ts'
import { Client } from './clients.ts'
import { HostClock } from './clock.ts'
import type { CorePort } from './core-port.ts'
import { Database, type DatabaseHooks } from './database.ts'
import { Engine } from './engine.ts'
import { Host } from './host.ts'
import { Checker } from './invariants.ts'
import { Network } from './network.ts'
import { Operator } from './operator.ts'
import { streamOf } from './prng.ts'
import { GROUP, type Scenario, settingsOf } from './scenario.ts'
import { Shell } from './shell.ts'
import { notice, type Sometimes, sometimes } from './sometimes.ts'
import { SimStore } from './store.ts'
import { World } from './world.ts'

/** Planted bugs: ways to make the world around the core wrong. All off by default. */
export interface Defects {
  readonly settings?: (settings: NodeSettings) => NodeSettings
  readonly guardNeverFires?: boolean
  readonly guardLateMs?: number
  readonly trustFromAnswer?: boolean
  readonly streamsWithoutRewind?: boolean
  readonly diskLossUnnoticed?: boolean
  readonly startsByItself?: boolean
  readonly promoteSkipsSync?: boolean
  readonly applySyncLies?: boolean
  readonly stopWaitsForSilent?: boolean
  readonly releasesLate?: boolean
  readonly storeReadsLocally?: boolean
}

export interface ClusterParts {
  readonly core: CorePort
  readonly defects: Defects
  readonly seen: Sometimes
  readonly onStep?: (host: number, event: NodeEvent, actions: readonly Action[], reasons: readonly Reason[]) => void
}

export class Cluster {
  readonly scenario: Scenario
  readonly world = new World()
  readonly network: Network
  readonly store: SimStore
  readonly hosts: readonly Host[]
  readonly clients: readonly Client[]
  readonly operator: Operator
  readonly checker: Checker
  readonly seen: Sometimes
  /** End points of the network after the hosts. */
  readonly storeEnd: number
  readonly clientsEnd: number
  /** The store's own ends: one, or one for each of its members. */
  readonly storeEnds: readonly number[]
  /** Faults that began, by kind. */
  readonly struck = new Map<string, number>()
  /** Undoing a fault counts only in the phase in which it began. */
  phase = 1
  private readonly parts: ClusterParts
  private readonly shells: Shell[] = []

  constructor(scenario: Scenario, parts: ClusterParts) {
    const { seed, sites } = scenario
    this.scenario = scenario
    this.parts = parts
    this.seen = parts.seen
    this.storeEnd = sites.length
    this.clientsEnd = sites.length + 1
    const size = scenario.storeMembers ?? 1
    const siteCount = Math.max(...sites) + 1
    const others = Array.from({ length: size - 1 }, (_, i) => (scenario.storeSite + 1 + i) % siteCount)
    this.storeEnds = [this.storeEnd, ...others.map((_, i) => this.clientsEnd + 1 + i)]
    this.network = new Network(this.world, seed, [...sites, scenario.storeSite, 0, ...others], scenario.network)
    this.checker = new Checker(this.world, scenario, parts.seen)
    const hooks = { applied: this.checker.applied.bind(this.checker) }
    const memberEnds = size > 1 ? this.storeEnds : []
    this.store = new SimStore(this.network, this.storeEnd, sites.length, { seed, hooks, memberEnds })
    this.checker.store = this.store
    this.store.readsLocally = parts.defects.storeReadsLocally === true
    this.hosts = sites.map((_, index) => this.makeHost(index))
    this.checker.databases = this.hosts.map((host) => host.db)
    this.operator = new Operator(this.world, this.store, this.clientsEnd, GROUP)
    this.clients = Array.from({ length: scenario.clients }, (_, index) => this.makeClient(index))
  }

  start(): void {
    for (const host of this.hosts) host.shell.start()
    for (const client of this.clients) client.start()
  }

  private makeHost(index: number): Host {
    const { scenario, parts, world, network } = this
    const { defects } = parts
    const member = `m${index + 1}`
    const db = new Database({
      host: index,
      member,
      network,
      random: streamOf(scenario.seed, `database:${index}`),
      timing: scenario.engine,
      hooks: this.databaseHooks(index),
    })
    db.peer = (name) => this.hosts[Number(name.slice(1)) - 1]?.db ?? null
    db.ignoresDivergence = defects.streamsWithoutRewind === true
    const engine = new Engine(db)
    engine.redoFactor = scenario.redoFactor
    db.hidesDiskLoss = defects.diskLossUnnoticed === true
    engine.bug.promoteSkipsSync = defects.promoteSkipsSync === true
    engine.bug.applySyncLies = defects.applySyncLies === true
    engine.bug.stopWaitsForSilent = defects.stopWaitsForSilent === true
    engine.bug.releasesLate = defects.releasesLate === true
    const settings = settingsOf(scenario, index)
    const shell = new Shell({
      host: index,
      member,
      group: GROUP,
      settings: defects.settings?.(settings) ?? settings,
      world,
      network,
      clock: new HostClock(scenario.rates[index] ?? 1, 1_000 * (index + 1)),
      store: this.store,
      engine,
      random: streamOf(scenario.seed, `agent:${index}`),
      core: parts.core,
      sharesReads: scenario.sharedSession === true,
      hooks: this.shellHooks(),
      guardBug: { neverFires: defects.guardNeverFires === true, lateMs: defects.guardLateMs ?? 0 },
      bug: { trustFromAnswer: defects.trustFromAnswer === true },
      peer: (name) => this.shells[Number(name.slice(1)) - 1] ?? null,
    })
    this.shells.push(shell)
    const guardThawMs = scenario.guardThawMs ?? 0
    return new Host(shell, engine, network, { startsByItself: defects.startsByItself === true, guardThawMs })
  }

  private databaseHooks(index: number): DatabaseHooks {
    const { checker } = this
    return {
      writable: (db, thawed) => checker.writable(db, thawed),
      acknowledged: (db, point) => {
        this.world.note(point.index)
        checker.acknowledged(db, point)
      },
      confirmed: (primary, standby, at) => checker.confirmed(primary, standby, at),
      logReplaced: (db, before) => checker.logReplaced(db, before),
      spoiled: (db) => {
        if (db.diskId !== null) checker.lostDisks.add(db.diskId)
      },
      guardFired: () => sometimes(this.seen, 'guard-fired'),
      exited: (_db, asked) => {
        if (!asked) this.shells[index]?.engineExited()
      },
    }
  }

  private shellHooks(): ShellHooks {
    const { onStep } = this.parts
    return {
      stepped: (shell, event, actions, reasons) => {
        this.world.note(actions.length * 8 + reasons.length)
        this.checker.holds(shell)
        for (const action of actions) this.checker.performed(shell, action)
        for (const reason of reasons) notice(this.seen, reason.code)
        onStep?.(shell.parts.host, event, actions, reasons)
      },
      defect: (shell, error) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        this.checker.fail('core-threw', `${shell.parts.member}: ${text}`)
      },
    }
  }

  private makeClient(index: number): Client {
    return new Client({
      index,
      end: this.clientsEnd,
      world: this.world,
      network: this.network,
      databases: this.hosts.map((host) => host.db),
      shells: this.shells,
      random: streamOf(this.scenario.seed, `client:${index}`),
      thinkMs: this.scenario.thinkMs,
      hooks: { told: () => undefined },
    })
  }

  reports(): (PeerReport | null)[] {
    return this.shells.map((shell) => {
      const { core, member, settings } = shell.parts
      return shell.state === null ? null : core.report(shell.state, member, settings, shell.localMs)
    })
  }
}
