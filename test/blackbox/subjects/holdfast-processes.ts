/**
 * The processes of a Holdfast platform, found as a person on each host would find them. An agent starts its guard and
 * its engine itself; both may outlive it, so they are remembered by process id and start time.
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify, isAlive, type ProcessId, treeOf } from '../../../packages/holdfast/src/io/process-tree.ts'
import type { Part } from '../contract.ts'
import type { SkewedClock } from '../world/skewed-clock.ts'
import { homeOf, type Layout } from './holdfast-files.ts'

type OwnPart = 'agent' | 'router' | 'store'

/** What a guard calls itself, and what it is called before it does. */
const GUARD = /^holdfast guard|--jitless/
const GONE_MS = 10_000
const LOOK_MS = 20

export class HoldfastProcesses {
  readonly #layout: Layout
  readonly #command: (host: string, part: OwnPart) => readonly string[]
  readonly #clocks: ReadonlyMap<string, SkewedClock>
  readonly #children = new Map<string, ChildProcess>()
  readonly #guards = new Map<string, ProcessId[]>()

  constructor(
    layout: Layout,
    how: { command(host: string, part: OwnPart): readonly string[]; clocks: ReadonlyMap<string, SkewedClock> },
  ) {
    this.#layout = layout
    this.#command = how.command
    this.#clocks = how.clocks
  }

  pids(host: string, part: Part, group?: string): readonly number[] {
    // Whoever asks may kill the agent next; then nobody else knows its guard.
    const guards = this.#guardsOf(host)
    if (part === 'guard') return guards
    if (part !== 'engine') return this.#living(host, part)
    const places = this.#layout.groups.filter((place) => group === undefined || place.group === group)
    const own = places.flatMap(({ members }) => members.filter((member) => member.host === host))
    return own.flatMap(({ dataDir }) => enginePids(dataDir))
  }

  restart(host: string, part: Part): void {
    if (part === 'guard' || part === 'engine' || !this.#runs(host, part)) return
    if (this.#living(host, part).length > 0) return
    this.#guardsOf(host)
    const [command = '', ...args] = this.#command(host, part)
    const cwd = homeOf(this.#layout, host)
    const env = part === 'agent' ? (this.#clocks.get(host)?.env() ?? {}) : {}
    const how = { host, command, args, cwd, log: join(cwd, `${part}.log`), env }
    this.#children.set(`${host} ${part}`, this.#layout.world.spawn(how))
  }

  /** Everything of ours but the engines, which are found by their folders. */
  async stop(): Promise<void> {
    const guards = this.#layout.agents.flatMap(({ host }) => this.#guardsOf(host))
    const own = [...this.#children.values()].flatMap(({ pid }) => pid ?? [])
    const ids = [...own, ...guards].flatMap((pid) => identify(pid) ?? [])
    for (const id of ids) {
      try {
        if (isAlive(id)) process.kill(id.pid, 'SIGKILL')
      } catch {
        // It ended in between.
      }
    }
    const endMs = performance.now() + GONE_MS
    while (ids.some(isAlive) && performance.now() < endMs) await sleep(LOOK_MS)
  }

  #runs(host: string, part: OwnPart): boolean {
    const { agents, stores, edge } = this.#layout
    if (part === 'router') return host === edge
    return (part === 'agent' ? agents : stores).some((one) => one.host === host)
  }

  #living(host: string, part: OwnPart): readonly number[] {
    const child = this.#children.get(`${host} ${part}`)
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return []
    return identify(child.pid) === null ? [] : [child.pid]
  }

  #guardsOf(host: string): readonly number[] {
    const before = (this.#guards.get(host) ?? []).filter(isAlive)
    const known = new Set(before.map(({ pid }) => pid))
    const born = this.#living(host, 'agent')
      .flatMap(childrenOf)
      .filter((pid) => !known.has(pid) && GUARD.test(wordsOf(pid)))
      .flatMap((pid) => identify(pid) ?? [])
    // The agent's own guard first: one of a former agent may still be there.
    const all = [...born, ...before]
    this.#guards.set(host, all)
    return all.map(({ pid }) => pid)
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function wordsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** The main process first, where it can be known. */
function enginePids(dataDir: string): readonly number[] {
  const main = postmasterOf(dataDir)
  const pids = treeOf(dataDir, main).map(({ pid }) => pid)
  return pids.sort((a, b) => Number(b === main) - Number(a === main))
}

function postmasterOf(dataDir: string): number | null {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0])
    return Number.isInteger(pid) && pid > 1 ? pid : null
  } catch {
    return null
  }
}
