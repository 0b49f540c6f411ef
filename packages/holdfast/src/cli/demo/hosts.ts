/**
 * The processes of the demo, and the faults done to them. A "host" is a member's agent, its guard and its engine; the
 * store stands on the witness. Only processes started here are ever signalled, each by its id.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { killTree, treeOf } from '../../io/process-tree.ts'
import type { DemoMember, Layout } from './layout.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/holdfast.js', import.meta.url))

export interface Hosts {
  startStore(): void
  startAgent(agent: string): void
  startRouter(name?: string): void
  /** The words it prints: where the dashboard is, and the one-time code; null when they do not come in time. */
  startServer(): Promise<string | null>
  /** Runs a command of the product to its end; null when a signal ended it. */
  command(name: string, words: readonly string[]): Promise<number | null>
  agentPid(agent: string): number | null
  /** Agent, guard and every process of the engine. */
  hostPids(member: DemoMember): number[]
  postmasterPid(member: DemoMember): number | null
  signalStore(signal: NodeJS.Signals): void
  /** Ends everything and sees it gone. */
  close(): Promise<void>
  /** Leaves everything running; the processes to end later. */
  leave(): number[]
  /** A process that ended although nobody asked it to. */
  readonly fallen: string[]
}

/** What the processes need to know of a layout. */
export type Ground = Pick<Layout, 'folder' | 'file' | 'members'>

export function startHosts(layout: Ground): Hosts {
  const children = new Map<string, ChildProcess>()
  /** All of them, also those whose name a later one has. */
  const started: ChildProcess[] = []
  const fallen: string[] = []
  const expected = new Set<number>()
  let closing = false

  const start = (name: string, words: readonly string[]): ChildProcess => {
    // A show that was interrupted goes on for a moment; what it starts now nobody would end.
    if (closing) throw new Error(`${name} is not started: the demo ends`)
    const log = openSync(join(layout.folder, `${name}.log`), 'a', 0o600)
    const child = spawn(process.execPath, [PROGRAM, ...words, '--file', layout.file], {
      stdio: ['ignore', log, log],
      detached: true,
    })
    closeSync(log)
    child.on('exit', (code, signal) => {
      const asked = closing || signal === 'SIGKILL' || (child.pid !== undefined && expected.has(child.pid))
      if (!asked)
        fallen.push(`${name} ended with ${signal ?? `code ${code}`}; see ${join(layout.folder, `${name}.log`)}`)
    })
    children.set(name, child)
    started.push(child)
    return child
  }
  const pidOf = (name: string): number | null => {
    const child = children.get(name)
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? null : (child.pid ?? null)
  }
  return {
    fallen,
    startStore: () => void start('store', ['store']),
    startAgent: (agent) => void start(agent, ['agent', '--name', agent]),
    startRouter: (name = 'router-1') => void start(name, ['router', '--name', name]),
    startServer: () => {
      start('server', ['server'])
      return serverWords(join(layout.folder, 'server.log'), () => pidOf('server') !== null)
    },
    command: (name, words) => {
      const child = start(name, words)
      if (child.pid !== undefined) expected.add(child.pid)
      return new Promise((resolve) => child.once('exit', resolve))
    },
    agentPid: pidOf,
    hostPids: (member) => {
      const agent = pidOf(member.agent)
      const own = agent === null ? [] : [agent, ...childrenOf(agent)]
      return [...own, ...treeOf(member.dataDir, postmasterPid(member)).map((p) => p.pid)]
    },
    postmasterPid,
    signalStore: (signal) => signalAll(childOrNone(pidOf('store')), signal),
    close: async () => {
      closing = true
      await endAll(layout, started)
    },
    leave: () => {
      closing = true
      for (const child of children.values()) child.unref()
      return [...children.keys()].map(pidOf).filter((pid) => pid !== null)
    },
  }
}

const SERVER_READY_MS = 30_000
const SERVER_LOOK_MS = 100

async function serverWords(log: string, runs: () => boolean): Promise<string | null> {
  for (let waitedMs = 0; waitedMs < SERVER_READY_MS && runs(); waitedMs += SERVER_LOOK_MS) {
    const text = readFileSync(log, 'utf8')
    const url = /server ready at (\S+)/.exec(text)?.[1]
    const code = /^one-time code [^:]*: (\S+)/m.exec(text)?.[1]
    if (url !== undefined && code !== undefined) return `Dashboard: ${url}   one-time code: ${code}`
    await new Promise((resolve) => setTimeout(resolve, SERVER_LOOK_MS))
  }
  return null
}

function childOrNone(pid: number | null): number[] {
  return pid === null ? [] : [pid]
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended by itself between the look and the signal.
    }
  }
}

/** The guard is a child of its agent. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function postmasterPid(member: DemoMember): number | null {
  try {
    const first = readFileSync(join(member.dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]
    const pid = Number(first)
    return Number.isInteger(pid) && pid > 1 ? pid : null
  } catch {
    return null
  }
}

/** The data is thrown away, so nothing needs a clean stop: everything is killed, and seen gone. */
async function endAll(layout: Ground, started: readonly ChildProcess[]): Promise<void> {
  const alive = started.filter((child) => child.exitCode === null && child.signalCode === null)
  const gone = alive.map((child) => new Promise<void>((resolve) => child.once('exit', () => resolve())))
  const pids = alive.flatMap((child) => (child.pid === undefined ? [] : [child.pid]))
  signalAll([...pids.flatMap(childrenOf), ...pids], 'SIGKILL')
  await Promise.all(gone)
  for (const member of layout.members) await killTree(member.dataDir, null)
}
