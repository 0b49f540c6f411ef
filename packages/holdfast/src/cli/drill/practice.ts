/**
 * A copy of one group to practise on: the same members, agents, sites, engine, timings and replication, on loopback, in
 * a temporary folder, with a store, a router and secrets of its own, and no data. Nothing of the real platform is
 * touched; its processes end with this one, however that ends.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { loadPlatform } from '../../config/load.ts'
import { type GroupSpec, groupByName, type Platform } from '../../config/platform.ts'
import { seen, statusesOf } from '../../drills/scene.ts'
import { HoldfastError } from '../../errors.ts'
import { systemClock } from '../../io/clock.ts'
import { killTree } from '../../io/process-tree.ts'
import { freshId } from '../../io/random.ts'
import { Child, within } from '../children.ts'
import { agentsOfGroup, clientFor } from '../shell.ts'
import { pause } from '../terminal.ts'

export interface Sandbox {
  readonly platform: Platform
  readonly group: GroupSpec
  readonly folder: string
  close(): Promise<void>
}

const START_MS = 60_000
/** Copies are made one after the other on a busy machine. */
const HEALTHY_MS = 180_000
const STOP_MS = 20_000
const LOOK_MS = 300

export async function openSandbox(
  real: Platform,
  group: GroupSpec,
  { interrupted, say }: { readonly interrupted: AbortSignal; readonly say: (line: string) => void },
): Promise<Sandbox> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-practice-'))
  // The engine's account walks through; the secrets are in a folder of their own.
  chmodSync(folder, 0o755)
  const children: Child[] = []
  let sandboxed: Platform | null = null
  const close = async (): Promise<void> => {
    for (const child of [...children].reverse()) await child.stop(STOP_MS)
    for (const member of sandboxed?.groups[0]?.members ?? []) await killTree(member.dataDir, null)
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  try {
    const file = join(folder, 'holdfast.yaml')
    const ports = await freePorts(3 + 2 * group.members.length)
    writeSecrets(folder)
    writeFileSync(file, stringify(copyOf(real, group, folder, ports)))
    const loaded = loadPlatform(file, { env: process.env, secrets: 'all' })
    if (!loaded.ok) {
      const because = loaded.mistakes.map((mistake) => `${mistake.path}: ${mistake.what}`).join('; ')
      throw new HoldfastError('HF_DRILL_REFUSED', `group ${group.name} cannot be copied: ${because}`, 'drill it live')
    }
    const { platform } = loaded
    sandboxed = platform
    say(`starting a copy of ${group.name} in ${folder}`)
    await start({ platform, folder, children, interrupted })
    const copy = groupByName(platform, group.name) ?? group
    await healthy(platform, copy, interrupted)
    say(`the copy is ready: ${copy.members.map((member) => member.name).join(', ')}`)
    return { platform, group: copy, folder, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Starting {
  readonly platform: Platform
  readonly folder: string
  readonly children: Child[]
  readonly interrupted: AbortSignal
}

async function start({ platform, folder, children, interrupted }: Starting): Promise<void> {
  let hopeless = ''
  const batches = [
    [['store']],
    platform.agents.map((agent) => ['agent', '--name', agent.name]),
    platform.routers.map((router) => ['router', '--name', router.name]),
  ]
  for (const batch of batches) {
    const started = batch.map((words) => {
      const title = words.join('-').replace('--name-', '')
      const child = new Child({
        title,
        words: [...words, '--file', platform.file],
        logFile: join(folder, 'logs', `${title}.log`),
        env: process.env,
        say: () => undefined,
        onHopeless: (because) => {
          hopeless = because
        },
      })
      children.push(child)
      child.start()
      return child
    })
    for (const child of started) {
      const ready = await within(child.ready, START_MS)
      if (interrupted.aborted) throw new HoldfastError('HF_DRILL_REFUSED', 'interrupted', 'begin again')
      if (ready) continue
      throw new HoldfastError('HF_DRILL_REFUSED', `${child.title} of the copy does not start: ${hopeless}`, 'see above')
    }
  }
}

async function healthy(platform: Platform, group: GroupSpec, interrupted: AbortSignal): Promise<void> {
  const client = clientFor(agentsOfGroup(platform, group))
  const agents = agentsOfGroup(platform, group)
  const endMs = systemClock.nowMs() + HEALTHY_MS
  let because = 'nobody answers'
  while (systemClock.nowMs() < endMs) {
    const { facts, well } = seen(platform, group, statusesOf(agents, await client.statusOfEach()))
    if (facts.healthy && well.length === group.members.length) return
    because = facts.healthy ? `${well.length} of ${group.members.length} members are well` : facts.because
    if (!(await pause(LOOK_MS, interrupted))) throw new HoldfastError('HF_DRILL_REFUSED', 'interrupted', 'begin again')
  }
  throw new HoldfastError('HF_DRILL_REFUSED', `the copy did not become healthy: ${because}`, 'look at its logs')
}

const SECRETS = ['token', 'superuser', 'replication', 'application'] as const

function writeSecrets(folder: string): void {
  mkdirSync(join(folder, 'secrets'), { mode: 0o700 })
  for (const name of SECRETS)
    writeFileSync(join(folder, 'secrets', name), `${freshId()}${freshId()}\n`, { mode: 0o600 })
}

function copyOf(real: Platform, group: GroupSpec, folder: string, ports: readonly number[]): object {
  const next = [...ports]
  const listen = (): string => `127.0.0.1:${next.pop() ?? 0}`
  const secret = (name: (typeof SECRETS)[number]) => ({ file: `secrets/${name}` })
  const agents = real.agents.filter((agent) => group.members.some((member) => member.agent === agent.name))
  const read = real.routers.flatMap((router) => router.doors).find((door) => door.group === group.name)?.read ?? null
  return {
    version: 1,
    platform: real.name,
    sites: real.sites.map((site) => ({ name: site.name, ...(site.witness ? { witness: true } : {}) })),
    store: { kind: 'embedded', listen: listen(), dir: 'store', token: secret('token') },
    agentDefaults: { token: secret('token'), drills: 'allowed' },
    agents: agents.map((agent) => ({ name: agent.name, site: agent.site, listen: listen() })),
    groups: [
      {
        name: group.name,
        engine: group.engine,
        ...(group.version === null ? {} : { version: group.version }),
        ...(group.binDir === null ? {} : { binDir: group.binDir }),
        profile: group.profile,
        timing: timingOf(group),
        whenAlone: group.whenAlone,
        replication: replicationOf(group),
        members: group.members.map((member) => ({
          name: member.name,
          agent: member.agent,
          listen: listen(),
          dataDir: join(folder, 'engines', member.name),
          priority: member.priority,
          noFailover: member.noFailover,
        })),
        parameters: group.parameters,
        application: {
          user: group.application?.user ?? 'app',
          ...(group.engine === 'redis' ? {} : { database: group.application?.database || 'app' }),
          password: secret('application'),
        },
        secrets: { superuser: secret('superuser'), replication: secret('replication') },
      },
    ],
    routers: [
      {
        name: 'practice',
        site: agents[0]?.site ?? '',
        doors: [
          {
            group: group.name,
            listen: listen(),
            ...(read === null ? {} : { read: { listen: listen(), lagBytesMax: `${read.lagBytesMax}B` } }),
          },
        ],
      },
    ],
  }
}

function timingOf({ timing }: GroupSpec): object {
  return {
    ttl: `${timing.ttlMs}ms`,
    beat: `${timing.beatMs}ms`,
    request: `${timing.requestMs}ms`,
    fence: `${timing.fenceMs}ms`,
    margin: `${timing.marginMs}ms`,
    promote: `${timing.promoteMs}ms`,
    stop: `${timing.stopMs}ms`,
    engineSilent: `${timing.engineSilentMs}ms`,
    reportMaxAge: `${timing.reportMaxAgeMs}ms`,
  }
}

function replicationOf({ replication }: GroupSpec): object | string {
  if (replication.kind === 'sync') return 'sync'
  if (replication.kind === 'quorum') return { quorum: replication.need }
  return { async: { lossBytesMax: `${replication.lossBytesMax}B`, lossTimeMax: `${replication.lossMsMax}ms` } }
}

/** The kernel names ports nobody uses; they stay free for the moment it takes to use them. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
