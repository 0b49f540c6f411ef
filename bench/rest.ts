/**
 * Measures what an agent with its guard takes while nothing happens: starts the demo's group through the command line
 * as users do, waits until all is well, lets it rest, then reads memory and counts time on a core. Writes
 * `bench/results/rest.json` and the table of `docs/reference/measurements.md`.
 *
 *   npm run bench:rest -- [--profile fast] [--rest 20] [--measure 30] [--dry]
 */
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Hosts, signalAll, startHosts } from '../packages/holdfast/src/cli/demo/hosts.ts'
import { type DemoMember, type DemoProfile, type Layout, makeLayout } from '../packages/holdfast/src/cli/demo/layout.ts'
import { sleep } from '../packages/holdfast/src/cli/demo/ledger.ts'
import { startWatcher } from '../packages/holdfast/src/cli/demo/watcher.ts'
import { cpuMsOf, footprintOf } from '../packages/holdfast/src/io/footprint.ts'
import { treeOf } from '../packages/holdfast/src/io/process-tree.ts'
import { loadNow, machineNow, round, tableOf, writeResult, writeTable } from './page.ts'

interface Row {
  readonly profile: DemoProfile
  readonly member: string
  readonly role: string
  /** What it did since its start: `created`, `cloned`, `rejoined`. */
  readonly history: string
  readonly agentRssMb: number
  readonly guardRssMb: number
  readonly rssMb: number
  readonly pssMb: number
  /** Share of one core, agent and guard together. */
  readonly cpuPercent: number
  readonly guardCpuPercent: number
  /** Every process of the server; at rest it works for nobody but the agents and its own replication. */
  readonly serverCpuPercent: number
}

const READY_MS = 90_000
const MEGABYTE = 1e6
const MEMORY_MB_MAX = 150
const CPU_PERCENT_MAX = 2

const { values } = parseArgs({
  options: {
    profile: { type: 'string', multiple: true },
    rest: { type: 'string', default: '20' },
    measure: { type: 'string', default: '30' },
    dry: { type: 'boolean', default: false },
  },
})

/** A group at rest, then the same group after its primary's host crashed and came back. */
async function measureProfile(profile: DemoProfile): Promise<Row[]> {
  const layout = await makeLayout('sync', profile)
  const hosts = startHosts(layout)
  try {
    hosts.startStore()
    for (const { agent } of layout.members) hosts.startAgent(agent)
    hosts.startRouter()
    const { primary: founder } = await well(layout)
    const history = new Map(layout.members.map((m) => [m.member, m.member === founder ? 'created' : 'cloned']))
    const first = await measure(profile, layout, hosts, history)
    const lost = layout.members.find((m) => m.member === founder)
    if (lost === undefined) return first
    signalAll(hosts.hostPids(lost), 'SIGKILL')
    await sleep(5_000)
    hosts.startAgent(lost.agent)
    await well(layout)
    history.set(lost.member, 'rejoined')
    return [...first, ...(await measure(profile, layout, hosts, history))]
  } finally {
    for (const line of hosts.fallen) console.error(line)
    await hosts.close()
    rmSync(layout.folder, { recursive: true, force: true })
  }
}

interface Well {
  readonly primary: string
  /** Process id of each agent's guard. */
  readonly guards: ReadonlyMap<string, number>
}

/** Watches until all is well, then stops looking: nobody asks the agents anything afterwards. */
async function well(layout: Layout): Promise<Well> {
  const watcher = startWatcher(layout, () => {})
  try {
    if (!(await watcher.waitFor(() => watcher.well(true), READY_MS))) throw new Error('the group was not well in time')
    const guards = new Map(watcher.statuses().map((s) => [s.agent, s.guard.pid ?? -1] as const))
    return { primary: watcher.primary()?.member ?? '', guards }
  } finally {
    watcher.stop()
  }
}

interface Watched {
  readonly member: DemoMember
  readonly agent: number
  readonly guard: number
}

async function measure(
  profile: DemoProfile,
  layout: Layout,
  hosts: Hosts,
  history: ReadonlyMap<string, string>,
): Promise<Row[]> {
  const { primary, guards } = await well(layout)
  await sleep(Number(values.rest) * 1_000)
  const watched = layout.members.map((member): Watched => {
    const agent = hosts.agentPid(member.agent) ?? -1
    return { member, agent, guard: guards.get(member.agent) ?? -1 }
  })
  const spent = (): { agent: number; guard: number; server: number }[] =>
    watched.map(({ member, agent, guard }) => ({
      agent: cpuMsOf(agent),
      guard: cpuMsOf(guard),
      server: treeOf(member.dataDir, hosts.postmasterPid(member)).reduce((sum, { pid }) => sum + cpuMsOf(pid), 0),
    }))
  const before = spent()
  const startedMs = performance.now()
  await sleep(Number(values.measure) * 1_000)
  const tookMs = performance.now() - startedMs
  const after = spent()
  return watched.map(({ member, agent, guard }, at): Row => {
    const percent = (part: 'agent' | 'guard' | 'server'): number =>
      round((100 * ((after[at]?.[part] ?? 0) - (before[at]?.[part] ?? 0))) / tookMs, 2)
    const [a, g] = [footprintOf(agent), footprintOf(guard)]
    if (a === null || g === null) throw new Error(`the agent or the guard of ${member.member} is gone`)
    return {
      profile,
      member: member.member,
      role: member.member === primary ? 'primary' : 'replica',
      history: history.get(member.member) ?? '',
      agentRssMb: mb(a.rssBytes),
      guardRssMb: mb(g.rssBytes),
      rssMb: mb(a.rssBytes + g.rssBytes),
      pssMb: mb(a.pssBytes + g.pssBytes),
      cpuPercent: round(percent('agent') + percent('guard'), 2),
      guardCpuPercent: percent('guard'),
      serverCpuPercent: percent('server'),
    }
  })
}

function mb(bytes: number): number {
  return round(bytes / MEGABYTE, 1)
}

const loadBefore = loadNow()
const rows: Row[] = []
for (const profile of values.profile ?? ['fast', 'normal']) {
  if (profile !== 'fast' && profile !== 'normal') throw new Error(`--profile is fast or normal, not ${profile}`)
  rows.push(...(await measureProfile(profile)))
}
const table = tableOf(
  [
    ...['profile', 'member', 'agent RSS', 'guard RSS', 'sum RSS', 'sum PSS', 'agent + guard CPU', 'of it guard'],
    'PostgreSQL CPU',
  ],
  rows.map((r) => [
    ...[r.profile, `${r.role}, ${r.history}`, `${r.agentRssMb} MB`, `${r.guardRssMb} MB`, `**${r.rssMb} MB**`],
    ...[`${r.pssMb} MB`, `**${r.cpuPercent} %**`, `${r.guardCpuPercent} %`, `${r.serverCpuPercent} %`],
  ]),
)
const ok = rows.every((r) => r.rssMb <= MEMORY_MB_MAX && r.cpuPercent <= CPU_PERCENT_MAX)
console.log(table)
if (!values.dry) {
  const machine = { ...machineNow(), loadBefore, loadAfter: loadNow() }
  writeResult('rest', { machine, ok, rows })
  writeTable('rest', table)
}
process.exitCode = ok ? 0 : 1
