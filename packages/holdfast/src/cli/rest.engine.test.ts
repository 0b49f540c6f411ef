/** What an agent with its guard takes while nothing happens, as users start it; also one that cloned its member. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMsOf, footprintOf } from '../io/footprint.ts'
import { type Hosts, startHosts } from './demo/hosts.ts'
import { type Layout, makeLayout } from './demo/layout.ts'
import { startWatcher } from './demo/watcher.ts'

const READY_MS = 60_000
const REST_MS = 8_000
const COUNT_MS = 10_000
/** Agent and guard, pages of the program they share counted in both (docs/reference/measurements.md). */
const RSS_MB_MAX = 152
/** Tests share their machine with each other, which makes the same work dearer; the objective is 2. */
const CPU_PERCENT_MAX = 3
const MEGABYTE = 1e6

let layout: Layout | null = null
let hosts: Hosts | null = null
after(async () => {
  await hosts?.close()
  if (layout !== null) rmSync(layout.folder, { recursive: true, force: true })
})

test('agents that created or cloned their member stay small and quiet', { skip: noProc() }, async () => {
  layout = await makeLayout('sync', 'normal')
  hosts = startHosts(layout)
  hosts.startStore()
  for (const { agent } of layout.members) hosts.startAgent(agent)
  const watcher = startWatcher(layout, () => {})
  const well = await watcher.waitFor(() => watcher.well(true), READY_MS)
  const guards = new Map(watcher.statuses().map((s) => [s.agent, s.guard.pid ?? -1]))
  watcher.stop()
  assert.ok(well, hosts.fallen.join('\n'))
  await sleep(REST_MS)
  const pairs = layout.members.map(({ agent }) => ({
    agent,
    pids: [hosts?.agentPid(agent) ?? -1, guards.get(agent) ?? -1],
  }))
  const spentMs = (): number[] => pairs.map(({ pids }) => pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0))
  const before = spentMs()
  await sleep(COUNT_MS)
  const spent = spentMs().map((ms, at) => ms - (before[at] ?? 0))
  for (const [at, { agent, pids }] of pairs.entries()) {
    const rssMb = pids.reduce((sum, pid) => sum + (footprintOf(pid)?.rssBytes ?? Number.NaN), 0) / MEGABYTE
    const cpuPercent = (100 * (spent[at] ?? Number.NaN)) / COUNT_MS
    assert.ok(rssMb <= RSS_MB_MAX, `${agent}: ${rssMb.toFixed(1)} MB resident with its guard`)
    assert.ok(cpuPercent <= CPU_PERCENT_MAX, `${agent}: ${cpuPercent.toFixed(1)} % of a core with its guard`)
  }
})

function noProc(): string | false {
  return process.platform === 'linux' ? false : 'counts in /proc'
}
