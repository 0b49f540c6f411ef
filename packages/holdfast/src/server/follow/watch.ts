/**
 * The platform as this server sees it: follows every agent, keeps the newest of what each says, and tells what became
 * different, as one small batch every few milliseconds. Each server does so for itself; only the leader writes.
 */
import type { ApiAgent, ApiGroup } from '@holdfast/client'
import type { GroupSpec, Platform } from '../../config/platform.ts'
import type { Clock } from '../../io/clock.ts'
import { type AgentFollower, followAgent, type Sighting } from './agent-follower.ts'
import { agentOf, groupOf } from './state.ts'

export interface WatchOptions {
  readonly platform: Platform
  readonly clock: Clock
  readonly incidentOf: (group: string) => string | null
  readonly onSighting: (sighting: Sighting) => void
  readonly onChanged: (agents: readonly ApiAgent[], groups: readonly ApiGroup[]) => void
}

/** Answers that arrive together are told together. */
const GATHER_MS = 15
/** One missed answer is a hiccup; the agent itself is watched by its peers. */
const MISSES_MAX = 2

export class Watch {
  readonly #options: WatchOptions
  readonly #sightings = new Map<string, Sighting>()
  readonly #misses = new Map<string, number>()
  readonly #groups = new Map<string, ApiGroup>()
  readonly #agents = new Map<string, ApiAgent>()
  readonly #gists = new Map<string, string>()
  readonly #groupsOf = new Map<string, readonly GroupSpec[]>()
  readonly #dirty = new Set<string>()
  #followers: readonly AgentFollower[] = []
  #timer: NodeJS.Timeout | null = null
  #newestMs: number

  constructor(options: WatchOptions) {
    const { platform } = options
    this.#options = options
    this.#newestMs = options.clock.nowMs()
    for (const { name } of platform.agents) {
      const own = platform.groups.filter(({ members }) => members.some((member) => member.agent === name))
      this.#groupsOf.set(name, own)
      this.#agents.set(name, agentOf(platform, name, this.#sightings))
    }
    for (const group of platform.groups) this.#groups.set(group.name, groupOf(platform, group, this.#sightings, null))
  }

  start(): void {
    const { agents } = this.#options.platform
    const used = agents.filter(({ name }) => (this.#groupsOf.get(name) ?? []).length > 0)
    this.#followers = used.map((spec) => followAgent(spec, (sighting) => this.#saw(sighting)))
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    await Promise.all(this.#followers.map((follower) => follower.close()))
  }

  groups(): readonly ApiGroup[] {
    return [...this.#groups.values()]
  }

  group(name: string): ApiGroup | null {
    return this.#groups.get(name) ?? null
  }

  agents(): readonly ApiAgent[] {
    return [...this.#agents.values()]
  }

  /** Milliseconds since any agent answered. */
  ageMs(): number {
    return this.#options.clock.nowMs() - this.#newestMs
  }

  /** Every agent was asked once. */
  get complete(): boolean {
    return this.#sightings.size >= this.#followers.length
  }

  #saw(sighting: Sighting): void {
    const { agent } = sighting
    const misses = sighting.status === null ? (this.#misses.get(agent) ?? 0) + 1 : 0
    this.#misses.set(agent, misses)
    if (misses > 0 && misses < MISSES_MAX && this.#sightings.get(agent)?.status != null) return
    if (misses === 0) this.#newestMs = this.#options.clock.nowMs()
    this.#sightings.set(agent, sighting)
    this.#options.onSighting(sighting)
    this.#dirty.add(agent)
    this.#timer ??= setTimeout(() => this.#tell(), GATHER_MS)
  }

  #tell(): void {
    this.#timer = null
    const { platform, incidentOf, onChanged } = this.#options
    const agents: ApiAgent[] = []
    const groups = new Set<GroupSpec>()
    for (const name of this.#dirty) {
      const agent = agentOf(platform, name, this.#sightings)
      this.#agents.set(name, agent)
      if (this.#isNews(`agent/${name}`, agentGist(agent))) agents.push(agent)
      for (const group of this.#groupsOf.get(name) ?? []) groups.add(group)
    }
    this.#dirty.clear()
    const changed: ApiGroup[] = []
    for (const spec of groups) {
      const group = groupOf(platform, spec, this.#sightings, incidentOf(spec.name))
      this.#groups.set(spec.name, group)
      if (this.#isNews(`group/${spec.name}`, groupGist(group))) changed.push(group)
    }
    onChanged(agents, changed)
  }

  #isNews(key: string, gist: string): boolean {
    if (this.#gists.get(key) === gist) return false
    this.#gists.set(key, gist)
    return true
  }
}

function agentGist({ reachable, because, store, guardAlive, version }: ApiAgent): string {
  return JSON.stringify([reachable, because, store?.reachable, guardAlive, version])
}

/** Without what moves all the time: that goes out as figures. */
function groupGist(group: ApiGroup): string {
  const still = (because: string): string => because.replace(/[\d.]+ ?\w+/g, '')
  const { paused, loss, verdict } = group
  const members = group.members.map((member) => ({ ...member, lsn: 0, lagBytes: 0, writableForMs: 0 }))
  const pause = paused === null ? null : { ...paused, forMs: 0 }
  return JSON.stringify({
    ...group,
    members,
    paused: pause,
    loss: loss.kind,
    verdict: [verdict.safe, still(verdict.because)],
  })
}
