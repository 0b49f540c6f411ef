/**
 * A group on the stage: Holdfast or Patroni, behind one face, so that faults, clients and figures are the same code for
 * both. Every process is a real one on loopback; everything lives in a temporary folder and is taken down by `close`.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgentClient } from '@holdfast/client'
import { startHosts } from '../packages/holdfast/src/cli/demo/hosts.ts'
import { type DemoMode, type DemoProfile, type Layout, makeLayout } from '../packages/holdfast/src/cli/demo/layout.ts'
import { startWatcher, type Watcher } from '../packages/holdfast/src/cli/demo/watcher.ts'
import { type PatroniSubject, patroniSubject } from '../test/blackbox/subjects/patroni.ts'
import type { PatroniProfile } from '../test/blackbox/subjects/patroni-files.ts'
import { loopbackWorld } from './loopback.ts'

export type StageName = 'patroni-default' | 'patroni-tight' | 'holdfast-normal' | 'holdfast-fast'
export const STAGES: readonly StageName[] = ['patroni-default', 'holdfast-normal', 'patroni-tight', 'holdfast-fast']

/** Processes of one member, by what they are; an empty list for what it does not have. */
export interface MemberPids {
  readonly agent: readonly number[]
  readonly guard: readonly number[]
  /** Main process first. */
  readonly engine: readonly number[]
}

export interface Stage {
  readonly name: StageName
  readonly mode: DemoMode
  /** What the clients must know. */
  readonly layout: Layout
  /** The beat of its loop; a fault is put at a random moment within it. */
  readonly beatMs: number
  start(): Promise<void>
  /** The primary, once all others follow it. */
  whole(): Promise<string>
  primary(): Promise<string | null>
  pids(member: string): MemberPids
  routerPids(): readonly number[]
  storePids(): readonly number[]
  /** Starts the agent of a host that was killed. */
  revive(member: string): void
  switchover(): Promise<void>
  /** Nobody looks at it from outside until somebody asks again. */
  unwatch(): void
  close(): Promise<void>
}

const WHOLE_MS = 120_000

export async function makeStage(name: StageName, mode: DemoMode): Promise<Stage> {
  if (name === 'holdfast-fast') return new HoldfastStage(name, mode, await makeLayout(mode, 'fast'))
  if (name === 'holdfast-normal') return new HoldfastStage(name, mode, await makeLayout(mode, 'normal'))
  return patroniStage(name, mode)
}

const HOLDFAST_BEAT_MS: Readonly<Record<DemoProfile, number>> = { fast: 1_000, normal: 3_000 }

class HoldfastStage implements Stage {
  readonly name: StageName
  readonly mode: DemoMode
  readonly layout: Layout
  readonly beatMs: number
  readonly #hosts: ReturnType<typeof startHosts>
  #watcher: Watcher | null = null

  constructor(name: StageName, mode: DemoMode, layout: Layout) {
    this.name = name
    this.mode = mode
    this.layout = layout
    this.beatMs = HOLDFAST_BEAT_MS[name === 'holdfast-fast' ? 'fast' : 'normal']
    this.#hosts = startHosts(layout)
  }

  async start(): Promise<void> {
    this.#hosts.startStore()
    for (const { agent } of this.layout.members) this.#hosts.startAgent(agent)
    this.#hosts.startRouter()
    await this.whole()
  }

  async whole(): Promise<string> {
    const watcher = this.#watch()
    if (await watcher.waitFor(() => watcher.well(this.mode === 'sync'), WHOLE_MS)) return (await this.primary()) ?? ''
    throw new Error(`${this.name}: not whole within ${WHOLE_MS} ms\n${this.#hosts.fallen.join('\n')}`)
  }

  async primary(): Promise<string | null> {
    return this.#watch().primary()?.member ?? null
  }

  pids(member: string): MemberPids {
    const own = this.#member(member)
    const agent = this.#hosts.agentPid(own.agent)
    const main = this.#hosts.postmasterPid(own)
    const all = this.#hosts.hostPids(own)
    const guard = this.#watch()
      .statuses()
      .flatMap((one) => (one.agent === own.agent && one.guard.pid !== null ? [one.guard.pid] : []))
    const engine = all.filter((pid) => pid !== agent && !guard.includes(pid))
    const sorted = main === null ? engine : [main, ...engine.filter((pid) => pid !== main)]
    return { agent: agent === null ? [] : [agent], guard, engine: sorted }
  }

  routerPids(): readonly number[] {
    return this.#pidsOf('router-1')
  }

  storePids(): readonly number[] {
    return this.#pidsOf('store')
  }

  revive(member: string): void {
    this.#hosts.startAgent(this.#member(member).agent)
  }

  async switchover(): Promise<void> {
    const urls = this.layout.members.map((m) => m.agentUrl)
    const asked = await createAgentClient({ urls, token: this.layout.token }).switchover(this.layout.group, {
      by: 'bench',
    })
    if (!asked.ok) throw new Error(`the switchover was not accepted: ${JSON.stringify(asked)}`)
  }

  unwatch(): void {
    this.#watcher?.stop()
    this.#watcher = null
  }

  async close(): Promise<void> {
    this.unwatch()
    await this.#hosts.close()
    rmSync(this.layout.folder, { recursive: true, force: true })
  }

  #watch(): Watcher {
    this.#watcher ??= startWatcher(this.layout, () => {})
    return this.#watcher
  }

  #member(name: string) {
    const found = this.layout.members.find((one) => one.member === name)
    if (found === undefined) throw new Error(`there is no member ${name}`)
    return found
  }

  /** The demo knows every process it started by its name. */
  #pidsOf(name: string): readonly number[] {
    const pid = this.#hosts.agentPid(name)
    return pid === null ? [] : [pid]
  }
}

async function patroniStage(name: StageName, mode: DemoMode): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  chmodSync(folder, 0o755)
  const profile: PatroniProfile = name === 'patroni-tight' ? 'tight' : 'default'
  const world = loopbackWorld(['h1', 'h2', 'h3', 's1', 'edge'])
  const subject = await patroniSubject({ world, folder, mode, profile })
  return {
    name,
    mode,
    layout: clientLayout(subject, folder),
    beatMs: profile === 'tight' ? 1_000 : 10_000,
    start: () => subject.start(),
    whole: () => subject.whole(WHOLE_MS),
    primary: () => subject.primary(),
    pids: (member) => ({ agent: subject.pids(member, 'agent'), guard: [], engine: subject.pids(member, 'engine') }),
    routerPids: () => subject.pids(subject.edge, 'router'),
    storePids: () => subject.pids('s1', 'store'),
    revive: (member) => subject.restart(member, 'agent'),
    switchover: async () => {
      const { ok, text } = await subject.switchover()
      if (!ok) throw new Error(`the switchover was not accepted: ${text}`)
    },
    unwatch: () => {},
    close: async () => {
      await subject.stop()
      await world.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The clients of the demo know a group by this. */
function clientLayout(subject: PatroniSubject, folder: string): Layout {
  const members = subject.members.map(({ member, own, dataDir }) => ({
    ...{ member, agent: member, site: 'here', agentUrl: '', port: own.port, dataDir },
  }))
  const { door, login } = subject
  const routerPort = door.port
  const none = { file: '', token: '', dashboardPort: null }
  return { ...none, folder, password: login.password, members, routerPort, group: 'orders' }
}
