/**
 * What each takes while nothing happens: memory and time on a core of the process that keeps a member (Patroni; agent
 * and guard), of the door and of the store. Nobody asks the group anything meanwhile but its own parts.
 */
import { sleep } from '../packages/holdfast/src/cli/demo/ledger.ts'
import { cpuMsOf, footprintOf } from '../packages/holdfast/src/io/footprint.ts'
import { round, tableOf } from './page.ts'
import type { Stage, StageName } from './stage.ts'

export interface Footprints {
  readonly stage: StageName
  /** `primary`, `replica`, `door`, `store`. */
  readonly part: string
  readonly rssMb: number
  readonly pssMb: number
  /** Share of one core. */
  readonly cpuPercent: number
  /** Of the member's database server; null for a door and a store. */
  readonly serverCpuPercent: number | null
}

export interface FootprintTimes {
  readonly restMs: number
  readonly measureMs: number
}

const MEBIBYTE = 2 ** 20

interface Watched {
  readonly part: string
  readonly pids: readonly number[]
  readonly server: readonly number[] | null
}

export async function measureFootprints(stage: Stage, times: FootprintTimes): Promise<readonly Footprints[]> {
  await stage.start()
  const primary = await stage.whole()
  const watched = stage.layout.members.map(({ member }): Watched => {
    const { agent, guard, engine } = stage.pids(member)
    return { part: member === primary ? 'primary' : 'replica', pids: [...agent, ...guard], server: engine }
  })
  watched.push({ part: 'door', pids: stage.routerPids(), server: null })
  watched.push({ part: 'store', pids: stage.storePids(), server: null })
  stage.unwatch()
  await sleep(times.restMs)
  const spent = () => watched.map(({ pids, server }) => ({ own: cpuOf(pids), server: cpuOf(server ?? []) }))
  const before = spent()
  const startedMs = performance.now()
  await sleep(times.measureMs)
  const tookMs = performance.now() - startedMs
  const after = spent()
  return watched.map(({ part, pids, server }, at) => {
    const percent = (of: 'own' | 'server'): number =>
      round((100 * ((after[at]?.[of] ?? 0) - (before[at]?.[of] ?? 0))) / tookMs, 2)
    const prints = pids.map((pid) => footprintOf(pid))
    if (prints.length === 0 || prints.includes(null)) throw new Error(`${stage.name}: a process of its ${part} is gone`)
    const mb = (of: 'rssBytes' | 'pssBytes'): number =>
      round(prints.reduce((sum, print) => sum + (print?.[of] ?? 0), 0) / MEBIBYTE, 1)
    const serverCpuPercent = server === null ? null : percent('server')
    return {
      stage: stage.name,
      part,
      rssMb: mb('rssBytes'),
      pssMb: mb('pssBytes'),
      cpuPercent: percent('own'),
      serverCpuPercent,
    }
  })
}

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0)
}

export function footprintTable(rows: readonly Footprints[]): string {
  return tableOf(
    ['group', 'part', 'RSS', 'PSS', 'CPU', 'PostgreSQL CPU'],
    rows.map((row) => [
      ...[row.stage, row.part, `**${row.rssMb} MiB**`, `${row.pssMb} MiB`, `**${row.cpuPercent} %**`],
      row.serverCpuPercent === null ? '' : `${row.serverCpuPercent} %`,
    ]),
  )
}
