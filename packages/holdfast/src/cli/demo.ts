/**
 * `holdfast demo`: a real group on this machine - three members on two sites, a witness, a router - under load, and
 * seven faults one after the other. Prints decisions as they happen and what each fault cost, measured by the clients.
 */
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { findRedis } from '../engines/redis/binaries.ts'
import { systemClock } from '../io/clock.ts'
import { FAULTS, type Fault } from './demo/faults.ts'
import { twoWritersMs, writeOutageMs } from './demo/figures.ts'
import { type Hosts, startHosts } from './demo/hosts.ts'
import { type DemoMode, type DemoProfile, type DemoRelay, type Layout, makeLayout } from './demo/layout.ts'
import { audit, FIRST_PROBER, type Ledger, prepareLedger, sleep, startLedger } from './demo/ledger.ts'
import { type FaultResult, jsonText, reasonText, tableText, timelineText } from './demo/report.ts'
import { performScenario, SCENARIOS, type ScenarioName } from './demo/scenarios.ts'
import { makeShopLayout } from './demo/shop-layout.ts'
import { shopJson, shopText } from './demo/shop-report.ts'
import { startWatcher, type Watcher } from './demo/watcher.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { processTerminal, shielded } from './terminal.ts'

const HELP = `Usage: holdfast demo [options]

Starts three PostgreSQL members on two sites, a witness and a router on this
machine, puts load on them, and does seven faults in turn. Ends with a table of
what each cost. Everything lives in a temporary folder and on 127.0.0.1.

Options:
  --mode <sync|async>       replication of the group (default: sync)
  --profile <fast|normal>   length of the lease: 1 s or 3 s (default: fast)
  --postgres <15|16|17|18>  major version (default: the system's, else the one
                            that npm brought)
  --relay <router|haproxy>  who carries the clients' bytes (default: router);
                            haproxy must be installed
  --fault <name>            only this fault; may be given several times
  --no-dashboard            without the server and its dashboard
  --scenario <name>         a whole service instead: stock in Redis and orders in
                            PostgreSQL on two sites and a witness, ten times the
                            orders, and then the scenario; needs redis-server
  --keep                    leave everything running and print how to connect
  -o, --output <form>       table for people, json ends with one line of JSON
  -h, --help                this text

Faults: ${FAULTS.map((f) => f.name).join(', ')}
Scenarios: ${Object.keys(SCENARIOS).join(', ')}; with --profile, --postgres and
--output alone, and without the dashboard

Exit codes: 0 nothing acknowledged was lost or doubled and there never were two
writers, nor was stock sold that was not there; 1 something was, or a fault did
not heal; 2 usage; 130 interrupted.

Examples:
  holdfast demo
  holdfast demo --profile normal --fault host-crash
  holdfast demo --mode async --output json
  holdfast demo --scenario site-loss
  holdfast demo --keep`

interface Choice {
  readonly mode: DemoMode
  readonly profile: DemoProfile
  readonly version: number | null
  readonly relay: DemoRelay
  readonly faults: readonly Fault[]
  readonly scenario: ScenarioName | null
  readonly keep: boolean
  readonly dashboard: boolean
  readonly json: boolean
}

const VERSIONS: readonly number[] = [15, 16, 17, 18]
/** Bounds on waiting; more than any healthy machine needs, less than a person's patience. */
const READY_MS = 60_000
const HEAL_MS = 30_000
/** Load before and after each fault, so that an outage has two ends. */
const CALM_MS = 700

/** One of the two: a group and its faults, or a service and its scenario. */
interface Show {
  readonly folder: string
  readonly hosts: Hosts
  perform(): Promise<{ readonly ok: boolean; readonly json: string; readonly text: string }>
  connectText(pids: readonly number[]): string
}

export async function run(words: readonly string[], print: (line: string) => void): Promise<ExitCode> {
  const choice = choiceOf(words, print)
  if (typeof choice === 'number') return choice
  const { streams, release } = processTerminal()
  const terminal = shielded(streams)
  const redis = choice.scenario === null ? null : await findRedis()
  if (redis?.ok === false) {
    terminal.err(`holdfast: the scenario needs a Redis server: ${redis.because}\n`)
    terminal.err('    next: npm run engines, or as root: apt-get install redis-server\n')
    release()
    return EXIT.failed
  }
  const say = choice.json ? () => {} : print
  const show = await showOf(choice, say, terminal.interrupted)
  const { hosts, folder } = show
  const interrupted = new Promise<'interrupted'>((resolve) => {
    terminal.interrupted.addEventListener('abort', () => resolve('interrupted'), { once: true })
  })
  let kept = false
  try {
    const outcome = await Promise.race([show.perform(), interrupted])
    if (outcome === 'interrupted') {
      say('\nInterrupted; ending what was started.')
      return EXIT.interrupted
    }
    print(choice.json ? outcome.json : `\n${outcome.text}`)
    if (choice.keep) {
      kept = true
      print(show.connectText(hosts.leave()))
    }
    return outcome.ok ? EXIT.ok : EXIT.failed
  } catch (error) {
    terminal.err(`holdfast: the demo stopped: ${error instanceof Error ? error.message : String(error)}\n`)
    for (const line of hosts.fallen) terminal.err(`  ${line}\n`)
    terminal.err(`    next: look into the logs in ${folder}\n`)
    kept = true
    await hosts.close()
    return EXIT.failed
  } finally {
    if (!kept) {
      await hosts.close()
      rmSync(folder, { recursive: true, force: true })
    }
    release()
  }
}

async function showOf(choice: Choice, say: (line: string) => void, interrupted: AbortSignal): Promise<Show> {
  const { scenario, profile, mode } = choice
  if (scenario === null) {
    const layout = await makeLayout(mode, profile, choice)
    const hosts = startHosts(layout)
    return {
      folder: layout.folder,
      hosts,
      perform: async () => {
        const { ok, results } = await perform(choice, layout, hosts, say)
        return { ok, json: jsonText(mode, profile, ok, results), text: closing(ok, results, choice) }
      },
      connectText: (pids) => connectText(layout, pids),
    }
  }
  const layout = await makeShopLayout(choice)
  const hosts = startHosts(layout)
  return {
    folder: layout.folder,
    hosts,
    perform: async () => {
      const outcome = await performScenario({ name: scenario, profile, layout, hosts, interrupted, say })
      return { ok: outcome.ok, json: shopJson(scenario, profile, outcome), text: shopText(outcome) }
    },
    connectText: () => '',
  }
}

function choiceOf(words: readonly string[], print: (line: string) => void): Choice | ExitCode {
  const bad = (what: string): ExitCode => {
    print(`holdfast: ${what}\n    next: holdfast demo --help`)
    return EXIT.usage
  }
  let values: ReturnType<typeof parse>['values']
  try {
    values = parse(words).values
  } catch (error) {
    return bad(error instanceof Error ? error.message : String(error))
  }
  if (values.help) {
    print(HELP)
    return EXIT.ok
  }
  const { mode, profile, output, postgres, relay } = values
  if (mode !== 'sync' && mode !== 'async') return bad(`--mode is sync or async, not ${mode}`)
  if (profile !== 'fast' && profile !== 'normal') return bad(`--profile is fast or normal, not ${profile}`)
  if (relay !== 'router' && relay !== 'haproxy') return bad(`--relay is router or haproxy, not ${relay}`)
  if (output !== 'table' && output !== 'json') return bad(`--output is table or json, not ${output}`)
  const version = postgres === undefined ? null : Number(postgres)
  if (version !== null && !VERSIONS.includes(version)) {
    return bad(`--postgres is one of ${VERSIONS.join(', ')}, not ${postgres}`)
  }
  const scenario = values.scenario ?? null
  if (scenario !== null && !isScenario(scenario)) {
    return bad(`there is no scenario ${scenario}; there are ${Object.keys(SCENARIOS).join(', ')}`)
  }
  const names = values.fault ?? []
  if (scenario !== null && (names.length > 0 || values.keep || mode !== 'sync' || relay !== 'router')) {
    return bad('--scenario goes with --profile, --postgres and --output alone')
  }
  const unknown = names.find((n) => !FAULTS.some((f) => f.name === n))
  if (unknown !== undefined)
    return bad(`there is no fault ${unknown}; there are ${FAULTS.map((f) => f.name).join(', ')}`)
  // Nobody reads an address among the lines of JSON.
  const dashboard = !values['no-dashboard'] && output !== 'json'
  const faults = names.length === 0 ? FAULTS : FAULTS.filter((f) => names.includes(f.name))
  return { mode, profile, version, relay, faults, scenario, keep: values.keep, dashboard, json: output === 'json' }
}

function isScenario(name: string): name is ScenarioName {
  return Object.hasOwn(SCENARIOS, name)
}

function parse(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    allowPositionals: false,
    options: {
      mode: { type: 'string', default: 'sync' },
      profile: { type: 'string', default: 'fast' },
      postgres: { type: 'string' },
      relay: { type: 'string', default: 'router' },
      fault: { type: 'string', multiple: true },
      scenario: { type: 'string' },
      keep: { type: 'boolean', default: false },
      'no-dashboard': { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'table' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
}

interface Outcome {
  readonly ok: boolean
  readonly results: readonly FaultResult[]
}

async function perform(choice: Choice, layout: Layout, hosts: Hosts, say: (line: string) => void): Promise<Outcome> {
  const startedMs = systemClock.nowMs()
  let faultWallMs: number | null = null
  say(`A group of three on two sites and a witness, ${choice.mode}, profile ${choice.profile}, in ${layout.folder}`)
  hosts.startStore()
  for (const member of layout.members) hosts.startAgent(member.agent)
  hosts.startRouter()
  if (choice.dashboard) {
    void hosts
      .startServer()
      .then((words) => say(words ?? `The dashboard did not start; see ${layout.folder}/server.log`))
  }
  const watcher = startWatcher(layout, (line) => {
    if (faultWallMs === null) return
    const text = timelineText(line, line.wallMs - faultWallMs)
    if (text !== null) say(text)
  })
  try {
    const ready = await watcher.waitFor(() => watcher.well(choice.mode === 'sync'), READY_MS)
    if (!ready) throw new Error(`the group was not ready within ${READY_MS / 1_000} s`)
    await prepareLedger(layout)
    const tookMs = systemClock.nowMs() - startedMs
    say(`Ready after ${seconds(tookMs)}; eight connections write through 127.0.0.1:${layout.routerPort}`)
    const ledger = startLedger(layout)
    const results: FaultResult[] = []
    for (const fault of choice.faults) {
      await sleep(CALM_MS)
      say(`\n== ${fault.name}: ${fault.title}`)
      faultWallMs = systemClock.wallMs()
      results.push(await oneFault(fault, { choice, layout, hosts, watcher, ledger, say }))
      faultWallMs = null
    }
    await ledger.stop()
    return { ok: results.every((r) => fine(r, choice.mode)), results }
  } finally {
    watcher.stop()
  }
}

interface Stage {
  readonly choice: Choice
  readonly layout: Layout
  readonly hosts: Hosts
  readonly watcher: Watcher
  readonly ledger: Ledger
  readonly say: (line: string) => void
}

async function oneFault(fault: Fault, stage: Stage): Promise<FaultResult> {
  const { choice, layout, hosts, watcher, ledger, say } = stage
  const leader = watcher.primary()
  const target = layout.members.find((m) => m.member === leader?.member)
  if (target === undefined) throw new Error('there is no primary to do a fault to')
  const before = { acks: ledger.acks.length, connects: ledger.failedConnects.length, refused: ledger.refused.length }
  const wallMs = systemClock.wallMs()
  const startMs = systemClock.nowMs()
  await fault.run({
    layout,
    hosts,
    watcher,
    profile: choice.profile,
    target,
    say: (line) => say(`            ${line}`),
  })
  // An outage that has not ended is not measured: the window closes only when clients are served again.
  const faultEndMs = systemClock.nowMs()
  const served = () => ledger.acks.some((a) => a.writer < FIRST_PROBER && a.sentMs > faultEndMs)
  const servedAgain = await watcher.waitFor(served, HEAL_MS)
  const healed = servedAgain && (await watcher.waitFor(() => watcher.well(choice.mode === 'sync'), HEAL_MS))
  await sleep(CALM_MS)
  const endMs = systemClock.nowMs()
  const acks = ledger.acks.slice()
  const found = await audit(layout, acks)
  const reasons = watcher.since(wallMs)
  const during = acks.slice(before.acks)
  const result: FaultResult = {
    fault: fault.name,
    writeOutageMs: writeOutageMs(acks, { startMs, endMs }),
    acked: during.length,
    ackedLost: found.lost.filter((a) => a.sentMs >= startMs - CALM_MS).length,
    doubled: found.doubled,
    twoWritersMs: twoWritersMs(acks),
    newPrimary: watcher.primary()?.member ?? 'nobody',
    reason: reasonText(reasons),
    failedConnects: ledger.failedConnects.length - before.connects,
    refused: ledger.refused.length - before.refused,
    healed: healed && found.unbalanced === 0,
  }
  const cost = `outage ${Math.round(result.writeOutageMs)} ms, lost ${result.ackedLost}`
  say(`   ${cost}, primary ${result.newPrimary}${healed ? '' : ', NOT HEALED'}`)
  return result
}

/** Sync loses and doubles nothing; async may lose within its bound, and the number is shown. */
function fine(result: FaultResult, mode: DemoMode): boolean {
  const kept = mode === 'async' || result.ackedLost === 0
  return kept && result.doubled === 0 && result.twoWritersMs === 0 && result.healed
}

function closing(ok: boolean, results: readonly FaultResult[], choice: Choice): string {
  const acked = results.reduce((sum, r) => sum + r.acked, 0)
  const verdict = ok
    ? `Nothing acknowledged was ${choice.mode === 'sync' ? 'lost or ' : ''}doubled, and there never were two writers.`
    : 'NOT as promised: see the rows above.'
  return `${tableText(results)}\n\n${acked} acknowledged writes. ${verdict}`
}

function connectText(layout: Layout, pids: readonly number[]): string {
  const dashboard = layout.dashboardPort === null ? '' : `\n  http://127.0.0.1:${layout.dashboardPort}`
  return `
Everything goes on running. The database, through the router:
  psql "postgresql://app:${layout.password}@127.0.0.1:${layout.routerPort}/app"
What Holdfast sees and decides:${dashboard}
  npm run holdfast -- status --file ${layout.file} --watch
  npm run holdfast -- explain orders --file ${layout.file}
To end it (agents stop their databases first):
  kill ${pids.join(' ')}; sleep 10; rm -rf ${layout.folder}`
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
