/**
 * Measures failover as clients see it: runs the demo several times and writes minimum, median and maximum of each fault
 * to `bench/results/` and into the table of `docs/reference/measurements.md`.
 *
 *   npm run bench:failover -- --runs 5 --profile fast --mode sync [--fault host-crash]
 */
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { loadNow, machineNow, ROOT, summary, tableOf, writeResult, writeTable } from './page.ts'

interface FaultLine {
  readonly fault: string
  readonly writeOutageMs: number
  readonly acked: number
  readonly ackedLost: number
  readonly doubled: number
  readonly twoWritersMs: number
  readonly failedConnects: number
}

interface RunLine {
  readonly ok: boolean
  readonly faults: readonly FaultLine[]
}

/** One demo takes about a minute; more than this and it hangs. */
const RUN_MS_MAX = 300_000

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    profile: { type: 'string', default: 'fast' },
    mode: { type: 'string', default: 'sync' },
    fault: { type: 'string', multiple: true },
  },
})

async function demo(): Promise<RunLine> {
  const only = (values.fault ?? []).flatMap((f) => ['--fault', f])
  const words = ['demo', '--output', 'json', '--profile', values.profile, '--mode', values.mode, ...only]
  const child = spawn(process.execPath, [`${ROOT}packages/holdfast/bin/holdfast.js`, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: RUN_MS_MAX,
  })
  let text = ''
  for await (const chunk of child.stdout) text += String(chunk)
  const last = text.trim().split('\n').at(-1) ?? ''
  if (!last.startsWith('{')) throw new Error(`the demo printed no result:\n${text.slice(-2_000)}`)
  return JSON.parse(last) as RunLine
}

const runs: RunLine[] = []
const loadBefore = loadNow()
for (let i = 1; i <= Number(values.runs); i += 1) {
  const result = await demo()
  runs.push(result)
  const figures = result.faults.map((f) => `${f.fault} ${f.writeOutageMs}`).join(', ')
  console.log(`run ${i}: ${result.ok ? 'ok' : 'NOT OK'}; ${figures}`)
}
const names = runs[0]?.faults.map((f) => f.fault) ?? []
const rows = names.map((name) => {
  const lines = runs.flatMap((r) => r.faults.filter((f) => f.fault === name))
  const sum = (pick: (f: FaultLine) => number): number => lines.reduce((s, f) => s + pick(f), 0)
  return {
    fault: name,
    runs: lines.length,
    outageMs: summary(lines.map((f) => f.writeOutageMs)),
    acked: sum((f) => f.acked),
    lost: sum((f) => f.ackedLost),
    doubled: sum((f) => f.doubled),
    twoWritersMs: Math.max(0, ...lines.map((f) => f.twoWritersMs)),
    failedConnects: sum((f) => f.failedConnects),
  }
})
const machine = { ...machineNow(), loadBefore, loadAfter: loadNow() }
const result = { mode: values.mode, profile: values.profile, machine, ok: runs.every((r) => r.ok), rows }
writeResult(`failover-${values.mode}-${values.profile}`, result)

const table = tableOf(
  [
    ...['fault', 'runs', 'write outage ms, min / median / max', 'acked', 'lost', 'doubled', 'two writers ms'],
    'failed connects',
  ],
  rows.map((r) => {
    const { min, median, max } = r.outageMs
    const outage = `${Math.round(min)} / **${Math.round(median)}** / ${Math.round(max)}`
    return [r.fault, r.runs, outage, r.acked, r.lost, r.doubled, r.twoWritersMs, r.failedConnects].map(String)
  }),
)
writeTable(`failover ${values.mode} ${values.profile}`, table)
console.log(table)
process.exitCode = result.ok ? 0 : 1
