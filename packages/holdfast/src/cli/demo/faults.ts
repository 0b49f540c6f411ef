/** The seven faults of the demo: what is done, what is waited for, how it is undone. */
import { createAgentClient } from '@holdfast/client'
import { type Hosts, signalAll } from './hosts.ts'
import type { DemoMember, DemoProfile, Layout } from './layout.ts'
import { sleep } from './ledger.ts'
import type { Watcher } from './watcher.ts'

export interface FaultContext {
  readonly layout: Layout
  readonly hosts: Hosts
  readonly watcher: Watcher
  readonly profile: DemoProfile
  /** The primary's host when the fault began. */
  readonly target: DemoMember
  readonly say: (line: string) => void
}

export interface Fault {
  readonly name: string
  readonly title: string
  /** Does the fault, waits until service goes on, and undoes it. */
  readonly run: (context: FaultContext) => Promise<void>
}

export const TTL_MS: Readonly<Record<DemoProfile, number>> = { fast: 1_000, normal: 3_000 }
/** Waiting longer than this for a new primary means that the failover failed. */
const TAKEOVER_BOUND_MS = 20_000
/** A frozen host thaws this long after another took over: long enough for its old clients to try. */
const THAW_AFTER_MS = 1_000

export const FAULTS: readonly Fault[] = [
  {
    name: 'postmaster-kill',
    title: 'SIGKILL of the database server process on the primary',
    run: async ({ hosts, target, watcher }) => {
      const before = watcher.primary()
      signalAll(numbers(hosts.postmasterPid(target)), 'SIGKILL')
      await watcher.waitFor(() => hosts.postmasterPid(target) === null || watcher.primary() !== before, 1_000)
      await watcher.waitFor(() => watcher.primary() !== null, TAKEOVER_BOUND_MS)
    },
  },
  {
    name: 'host-crash',
    title: 'SIGKILL of agent, guard and database of the primary at once',
    run: async ({ hosts, target, watcher, say }) => {
      signalAll(hosts.hostPids(target), 'SIGKILL')
      await watcher.waitFor(() => leadsElsewhere(watcher, target), TAKEOVER_BOUND_MS)
      await sleep(300)
      say(`${target.member}: its host comes back`)
      hosts.startAgent(target.agent)
    },
  },
  {
    name: 'host-freeze',
    title: 'SIGSTOP of agent, guard and database of the primary; later they thaw',
    run: async ({ hosts, target, watcher, say }) => {
      const pids = hosts.hostPids(target)
      signalAll(pids, 'SIGSTOP')
      await watcher.waitFor(() => leadsElsewhere(watcher, target), TAKEOVER_BOUND_MS)
      await sleep(THAW_AFTER_MS)
      say(`${target.member}: its host thaws`)
      signalAll([...pids].reverse(), 'SIGCONT')
    },
  },
  {
    name: 'agent-freeze',
    title: "SIGSTOP of the primary's agent alone; the database goes on, the guard does not let it",
    run: async ({ hosts, target, watcher, say }) => {
      const pids = numbers(hosts.agentPid(target.agent))
      signalAll(pids, 'SIGSTOP')
      await watcher.waitFor(() => leadsElsewhere(watcher, target), TAKEOVER_BOUND_MS)
      await sleep(THAW_AFTER_MS)
      say(`${target.agent} thaws`)
      signalAll(pids, 'SIGCONT')
    },
  },
  {
    name: 'switchover',
    title: 'a planned move to another member',
    run: async ({ layout, watcher, target }) => {
      const urls = layout.members.map((m) => m.agentUrl)
      const client = createAgentClient({ urls, token: layout.token })
      const asked = await client.switchover(layout.group, { by: 'demo' })
      if (!asked.ok) throw new Error(`the switchover was not accepted: ${JSON.stringify(asked)}`)
      await watcher.waitFor(() => leadsElsewhere(watcher, target), TAKEOVER_BOUND_MS)
    },
  },
  {
    name: 'store-blip',
    title: 'the store does not answer for less than the ttl',
    run: async ({ hosts, profile }) => {
      hosts.signalStore('SIGSTOP')
      await sleep(TTL_MS[profile] * 0.5)
      hosts.signalStore('SIGCONT')
      await sleep(TTL_MS[profile])
    },
  },
  {
    name: 'store-outage',
    title: 'the store does not answer for three ttls; every member agrees that the primary goes on',
    run: async ({ hosts, profile }) => {
      hosts.signalStore('SIGSTOP')
      await sleep(TTL_MS[profile] * 3)
      hosts.signalStore('SIGCONT')
      await sleep(TTL_MS[profile])
    },
  },
]

function leadsElsewhere(watcher: Watcher, target: DemoMember): boolean {
  const leader = watcher.primary()
  return leader !== null && leader.member !== target.member
}

function numbers(pid: number | null): number[] {
  return pid === null ? [] : [pid]
}
