/**
 * What a run is made of, put together: world, subject, tables, probes, workloads, last read, checkers. The harness
 * itself reaches every host past every cut, so it looks; what is measured is done by processes on the hosts.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { checkAll } from './checkers/all.ts'
import type { CheckerInput, FinalMember, FinalState, Lane, Subject, SubjectMember, Verdict, World } from './contract.ts'
import { HistoryWriter } from './history.ts'
import { FAULTS } from './nemesis/faults.ts'
import type { Field } from './nemesis/ways.ts'
import type { RunSettings } from './settings.ts'
import { startHoldfast } from './subjects/holdfast.ts'
import { patroniSubject } from './subjects/patroni.ts'
import { readMember } from './workloads/final-read.ts'
import type { Confirmation } from './workloads/redis-client.ts'
import { makeStock, readRedisMember } from './workloads/redis-final.ts'
import { ANSWER_MS, CONNECT_MS, DEFAULT_WORKLOADS, type WorkloadSettings } from './workloads/settings.ts'
import { TABLES_SQL } from './workloads/tables.ts'
import { type MadeWorld, makeWorld } from './world/make-world.ts'
import { startProbes } from './world/probes.ts'

export interface Running {
  /** The workloads' history. */
  readonly file: string
  /** Ends them with everything written down. May be called twice. */
  stop(): Promise<void>
}

export interface Stage {
  readonly world: MadeWorld
  readonly lane: Lane
  /** Host of the clients. */
  readonly edge: string
  readonly folder: string
  /** Stands in the names of its files; empty where there is one group only. */
  readonly tag: string
  readonly settings: RunSettings
}

const WORKLOADS_PROGRAM = fileURLToPath(new URL('./workloads/main.ts', import.meta.url))
/** Longer than the workloads' own bound for what is under way. */
const WORKLOADS_STOP_MS = CONNECT_MS + 2 * ANSWER_MS + 10_000
const TABLES_MS = 30_000
const AGAIN_MS = 200

export function stageWorld(hosts: readonly string[], folder: string, { world }: RunSettings): Promise<MadeWorld> {
  return makeWorld({ hosts, folder, kind: world })
}

export interface StagedSubject {
  readonly subject: Subject
  readonly disks: Field['disks']
  readonly clocks: Field['clocks']
}

/** Room for data, log, what the run writes, and the lost tails that every rejoin keeps. */
const DISK_MIB = 1_024
const DISK_PARAMETERS = {
  ...{ max_wal_size: '160MB', min_wal_size: '80MB' },
  ...{ wal_keep_size: '96MB', max_slot_wal_keep_size: '256MB' },
}

export async function stageSubject(world: World, folder: string, settings: RunSettings): Promise<StagedSubject> {
  const { scenario, engine, mode, profile, store, program, stretch } = settings
  if (settings.subject === 'holdfast') {
    const needs = new Set(settings.faults.map((fault) => FAULTS[fault]?.needs))
    const subject = await startHoldfast({
      ...{ world, folder, engine, mode, profile, store, stretch },
      ...{ clocks: needs.has('clocks'), shop: scenario === 'shop' },
      ...(program === null ? {} : { program }),
      ...(needs.has('disks') ? { diskMiB: DISK_MIB } : {}),
      ...(needs.has('disks') ? { parameters: DISK_PARAMETERS } : {}),
    })
    return { subject, disks: subject.disks, clocks: subject.clocks }
  }
  if (mode === 'quorum') throw new Error('patroni is run in mode sync or async')
  const subject = await patroniSubject({ world, folder, mode, profile: profile === 'fast' ? 'tight' : 'default' })
  return { subject, disks: new Map(), clocks: new Map() }
}

/** Through the door, as a client; again until it works, for a router may still be looking for its primary. */
export async function makeTables(lane: Lane): Promise<void> {
  const endMs = performance.now() + TABLES_MS
  while (lane.engine === 'redis') {
    if (await makeStock(lane.door, lane.login, confirmationOf(lane))) return
    if (performance.now() > endMs) throw new Error('the stock could not be made')
    await sleep(AGAIN_MS)
  }
  for (;;) {
    const client = new pg.Client({ ...lane.door, ...lane.login, connectionTimeoutMillis: CONNECT_MS })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(TABLES_SQL)
      return
    } catch (error) {
      if (performance.now() > endMs) throw error
      await sleep(AGAIN_MS)
    } finally {
      await client.end().catch(() => {})
    }
  }
}

/** What a Redis client waits for. */
function confirmationOf({ mode, alone }: Pick<Lane, 'mode' | 'alone'>): Confirmation {
  return { confirmations: mode === 'async' ? 0 : 1, alone }
}

export async function runProbes({ world, lane, folder, tag }: Stage): Promise<Running> {
  const file = join(folder, `probes${tag}.jsonl`)
  const history = new HistoryWriter(file)
  let stopped = false
  const onLine = (line: Parameters<HistoryWriter['write']>[0]): void => {
    if (!stopped) history.write(line)
  }
  const redis = lane.engine === 'redis' ? { redis: confirmationOf(lane) } : {}
  const probes = await startProbes(world, { members: lane.members, login: lane.login, onLine, ...redis })
  const stop = async (): Promise<void> => {
    if (stopped) return
    await probes.stop()
    stopped = true
    history.close()
  }
  return { file, stop }
}

export async function runWorkloads({ world, lane, edge, folder, tag, settings }: Stage): Promise<Running> {
  const file = join(folder, `workloads${tag}.jsonl`)
  const words: WorkloadSettings = {
    door: lane.door,
    login: lane.login,
    history: file,
    seed: settings.seed,
    workloads: DEFAULT_WORKLOADS,
    ...{ engine: lane.engine, redis: confirmationOf(lane) },
    nodes: Object.fromEntries(lane.members.map(({ member, own }) => [`${own.host}:${own.port}`, member])),
  }
  const wordsFile = join(folder, `workloads${tag}.json`)
  writeFileSync(wordsFile, JSON.stringify(words))
  const child = world.spawn({
    host: edge,
    command: process.execPath,
    args: [WORKLOADS_PROGRAM, `@${wordsFile}`],
    cwd: folder,
    log: join(folder, `workloads${tag}.log`),
  })
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const late = new AbortController()
    const bound = sleep(WORKLOADS_STOP_MS, 'late', { signal: late.signal }).catch(() => 'ended')
    const outcome = await Promise.race([ended, bound])
    late.abort()
    if (outcome === 'late') child.kill('SIGKILL')
    else if (child.exitCode !== 0)
      throw new Error(`the workloads ended with ${child.exitCode}: see workloads${tag}.log`)
  }
  return { file, stop }
}

export interface LastRead {
  readonly final: FinalState
  /** Members that could not be read, and why. */
  readonly unread: readonly string[]
}

/** The primary first, then the others once they have what it has. Throws when the primary cannot be read. */
export async function readMembers(lane: Lane, primary: string): Promise<LastRead> {
  const { login, members } = lane
  const at = members.find(({ member }) => member === primary)
  if (at === undefined) throw new Error(`no member is called ${primary}`)
  if (lane.engine === 'redis') return readRedis(lane, at)
  const first = await readMember({ address: at.own, login })
  const states: Record<string, FinalMember> = { [primary]: first.state }
  const unread: string[] = []
  for (const { member, own } of members) {
    if (member === primary) continue
    try {
      states[member] = (await readMember({ address: own, login, untilLsn: first.lsn })).state
    } catch (error) {
      unread.push(`${member} could not be read: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { final: { primary, members: states }, unread }
}

async function readRedis({ login, members }: Lane, primary: SubjectMember): Promise<LastRead> {
  const first = await readRedisMember(primary.own, login)
  const states: Record<string, FinalMember> = { [primary.member]: first.state }
  const unread: string[] = []
  for (const { member, own } of members) {
    if (member === primary.member) continue
    try {
      states[member] = (await readRedisMember(own, login, first.end)).state
    } catch (error) {
      unread.push(`${member} could not be read: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { final: { primary: primary.member, members: states }, unread }
}

/** What is said without a last read, which a group that has no primary at the end does not allow. */
const HISTORY_ONLY: ReadonlySet<string> = new Set(['stale-write', 'two-writers', 'false-failover', 'outage'])

export function checkWithoutFinal(input: Omit<CheckerInput, 'final'>): readonly Verdict[] {
  const final = { primary: '', members: {} }
  return checkAll({ ...input, final }).filter(({ checker }) => HISTORY_ONLY.has(checker))
}

export function check(input: CheckerInput): readonly Verdict[] {
  return checkAll(input)
}
