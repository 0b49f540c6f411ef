/**
 * `holdfast up`: everything a description names, on this machine, as child processes. Ends them in order: routers and
 * server, agents whose members are replicas, those that hold a lease, the store; so nobody takes over on the way down.
 */
import { join } from 'node:path'
import type { AgentClient } from '@holdfast/client'
import type { Command } from 'commander'
import { loadPlatform } from '../config/load.ts'
import {
  type Address,
  type AgentSpec,
  addressText,
  type GroupSpec,
  membersOfAgent,
  type Platform,
} from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { mistakesText } from '../config/report.ts'
import { systemClock } from '../io/clock.ts'
import { Child, within } from './children.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, clientFor, commonOf, fail, platformFor, type Shell } from './shell.ts'
import { type PlatformView, platformView } from './status-view.ts'
import { interruption, pause } from './terminal.ts'

const EXAMPLES = `
Starts the store (when it is embedded), the agents that have members, the
routers, and the server with its dashboard. A process that falls is started
again. Ctrl-C ends all of them, and the engines, cleanly; the data stays. Log
lines go to holdfast-data/logs beside the description.

Examples:
  holdfast up examples/one-host.yaml
  holdfast status --file examples/one-host.yaml --watch   # elsewhere`

const LOOK_MS = 300
const READY_MS = 30_000
/** A clean stop hands a lease over or stops an engine, each bounded by the group's own times. */
const GRACE_EXTRA_MS = 10_000

interface Site {
  readonly common: Common
  readonly platform: Platform
  readonly say: (line: string) => void
  readonly store: Child | null
  readonly agents: readonly { readonly spec: AgentSpec; readonly child: Child }[]
  readonly routers: readonly Child[]
  /** Null when the description has none, or nobody wants it. Nothing waits for it, and nothing ends with it. */
  readonly server: Child | null
  /** Aborted by Ctrl-C, or with why as its reason when a process cannot run at all. */
  readonly ending: AbortSignal
}

export function registerUp(program: Command, shell: Shell): void {
  program
    .command('up')
    .summary('run everything a description names, on this machine')
    .description('Runs everything a description names on this machine, until Ctrl-C.')
    .argument('<file>', 'the description')
    .option('--no-dashboard', 'without the server and its dashboard')
    .option('--no-color', 'no colours (also: NO_COLOR)')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: Record<string, unknown>) => {
      shell.finish(await up({ ...commonOf(shell, options), file }, options.dashboard !== false))
    })
}

async function up(common: Common, dashboard: boolean): Promise<ExitCode> {
  const platform = platformFor(common, 'all')
  if (platform === null) return EXIT.usage
  if (platform.groups.length === 0) {
    const what = 'every group of this description is led by another program: there is nothing to run here'
    fail(common, 'HF_MANAGER_DECIDES', what, 'holdfast status')
    return EXIT.usage
  }
  const { warnings } = loadPlatform(common.file, { env: common.terminal.env })
  if (warnings.length > 0) common.terminal.err(`${mistakesText(common.file, warnings)}\n\n`)
  const site = siteOf(common, platform, dashboard)
  const because = (await startAll(site)) ?? (await follow(site))
  if (because !== null) common.terminal.err(`holdfast: ${because}\n`)
  const clean = await downAll(site)
  return clean && because === null ? EXIT.ok : EXIT.failed
}

function siteOf(common: Common, platform: Platform, dashboard: boolean): Site {
  const startedMs = systemClock.nowMs()
  const say = (line: string) => {
    const at = durationText(systemClock.nowMs() - startedMs).padStart(8)
    common.terminal.out(`${common.paint.dim(at)}  ${line}\n`)
  }
  const hopeless = new AbortController()
  const child = (title: string, words: readonly string[], onHopeless = (because: string) => hopeless.abort(because)) =>
    new Child({
      title,
      words: [...words, '--file', platform.file],
      logFile: join(platform.folder, 'holdfast-data', 'logs', `${title.replace(' ', '-')}.log`),
      env: common.terminal.env,
      say,
      onHopeless,
    })
  return {
    common,
    platform,
    say,
    ending: AbortSignal.any([common.terminal.interrupted, hopeless.signal]),
    store: platform.store.kind === 'embedded' ? child('store', ['store']) : null,
    agents: platform.agents
      .filter((spec) => membersOfAgent(platform, spec.name).length > 0)
      .map((spec) => ({ spec, child: child(`agent ${spec.name}`, ['agent', '--name', spec.name]) })),
    routers: platform.routers.map(({ name }) => child(`router ${name}`, ['router', '--name', name])),
    server: platform.server === null || !dashboard ? null : child('server', ['server'], say),
  }
}

/** Null when all are ready or Ctrl-C came; otherwise why not. */
async function startAll({ store, agents, routers, server, ending }: Site): Promise<string | null> {
  for (const batch of [store === null ? [] : [store], agents.map(({ child }) => child), routers]) {
    for (const child of batch) child.start()
    for (const child of batch) {
      const settled = await within(Promise.race([child.ready, interruption(ending)]), READY_MS)
      if (ending.aborted) return whyEnding(ending)
      if (!settled) return `${child.title} is not ready after ${durationText(READY_MS)}`
    }
  }
  server?.start()
  return null
}

function whyEnding({ reason }: AbortSignal): string | null {
  return typeof reason === 'string' ? reason : null
}

/** Tells what happens until the end: long work of members, changes of holder, and once how to connect. */
async function follow(site: Site): Promise<string | null> {
  const { platform, ending } = site
  const client = clientFor(platform.agents)
  const told = new Map<string, string>()
  let announced = false
  while (!ending.aborted) {
    const view = platformView(platform, await client.statusOfEach())
    if (ending.aborted) break
    for (const [key, text] of newsOf(view)) {
      // Times that run down are no news.
      const gist = text.replace(/\bfor [\d.]+ (ms|s|min|h)\b/g, '')
      if (told.get(key) === gist) continue
      told.set(key, gist)
      site.say(text)
    }
    if (!announced && view.groups.every((group) => group.members.some((member) => member.writableForMs > 0))) {
      announced = true
      announce(site)
    }
    await pause(LOOK_MS, ending)
  }
  return whyEnding(ending)
}

/** What may be news, by subject. A percentage is told in steps of 20. */
function newsOf(view: PlatformView): readonly (readonly [string, string])[] {
  return view.groups.flatMap(({ group, members, verdict, record }) => [
    ...members.map(({ member, role, state, because }) => {
      const step = state.replace(/(\d+) %/, (_, percent: string) => `${Math.floor(Number(percent) / 20) * 20} %`)
      const why = because === '' ? '' : `: ${because}`
      return [`member ${member}`, `${member}: ${role}, ${step}${why}`] as const
    }),
    [`group ${group}`, `${group}: ${holderText(record)}; safe now: ${verdict.safe ? 'yes' : 'no'}, ${verdict.because}`],
  ])
}

function holderText(record: PlatformView['groups'][number]['record']): string {
  return record === null || record.holder === null
    ? 'no primary yet'
    : `epoch ${record.epoch}, ${record.holder} ${record.phase}`
}

function announce({ platform, common, server }: Site): void {
  const doors = platform.routers.flatMap((router) =>
    router.doors.flatMap((door) => {
      const group = platform.groups.find(({ name }) => name === door.group)
      const read = door.read === null ? [] : [`  read   ${addressText(door.read.listen)}`]
      return [`  write  ${clientOf(door.listen, group)}`, ...read]
    }),
  )
  const lines = [
    '',
    common.paint.bold(`${platform.name} is up.`),
    ...doors,
    ...(server === null ? [] : serverLines(platform)),
    `  watch  holdfast status --file ${common.file} --watch`,
    '  Ctrl-C ends everything cleanly; the data stays.',
    '',
  ]
  common.terminal.out(`${lines.join('\n')}\n`)
}

function serverLines({ server }: Platform): readonly string[] {
  if (server === null) return []
  const own = `${server.tls === null ? 'http' : 'https'}://${addressText(server.listen)}`
  return [`  server ${server.publicUrl ?? own}`]
}

/** The command that leads a person to the primary. */
function clientOf({ host, port }: Address, group: GroupSpec | undefined): string {
  const application = group?.application ?? null
  if (group?.engine === 'redis') {
    const user = application === null ? '' : ` --user ${application.user} --askpass`
    return `redis-cli -h ${host} -p ${port}${user}`
  }
  const role = application === null ? '' : ` user=${application.user} dbname=${application.database}`
  return `psql "host=${host} port=${port}${role}"`
}

/** True when everybody ended by himself. */
async function downAll(site: Site): Promise<boolean> {
  const { platform, say, store, agents, routers, server } = site
  const slowest = Math.max(...platform.groups.map(({ timing }) => timing.stopMs + timing.promoteMs + timing.ttlMs))
  const graceMs = slowest + GRACE_EXTRA_MS
  say('stopping')
  const results: boolean[] = []
  const stop = async (child: Child): Promise<void> => {
    const running = child.pid !== null
    const clean = await child.stop(graceMs)
    results.push(clean)
    if (running) say(`${child.title} ${clean ? 'ended' : 'did not end cleanly'}`)
  }
  await Promise.all([...routers, ...(server === null ? [] : [server])].map(stop))
  const holding = await holders(clientFor(agents.map(({ spec }) => spec)), agents)
  await Promise.all(agents.filter(({ spec }) => !holding.has(spec.name)).map(({ child }) => stop(child)))
  for (const { child } of agents.filter(({ spec }) => holding.has(spec.name))) await stop(child)
  if (store !== null) await stop(store)
  return results.every((clean) => clean)
}

/** Agents with a member that leads, or is about to. */
async function holders(client: AgentClient, agents: Site['agents']): Promise<ReadonlySet<string>> {
  const answers = await client.statusOfEach()
  const leading = agents.filter((_, index) => {
    const result = answers[index]?.result
    return result?.ok === true && result.value.members.some(({ role }) => role !== 'replica' && role !== 'idle')
  })
  return new Set(leading.map(({ spec }) => spec.name))
}
