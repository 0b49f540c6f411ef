/** What the agents say about their groups, asked past every cut. Answers that do not come are nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentStatus } from '@holdfast/client'
import { Agent, fetch } from 'undici'
import { createAgentClient } from '../../../packages/client/src/agent-client.ts'
import type { GroupPlace, Layout } from './holdfast-files.ts'

const ASK_MS = 1_000
/** A report is a beat old, so under load everybody looks behind; who takes over knows its own position. */
const BEHIND = 'below-acknowledged-floor'
const LOOK_MS = 100
/** In async mode "without loss" means: as good as nothing behind. */
const LAG_BYTES_MAX = 65_536

type Statuses = readonly (AgentStatus | null)[]

export class HoldfastView {
  readonly #layout: Layout
  readonly #http: Agent
  readonly #client: ReturnType<typeof createAgentClient>

  constructor(layout: Layout) {
    const { world, agents, secrets } = layout
    this.#layout = layout
    const dispatcher = new Agent({ connect: { ca: secrets.ca }, keepAliveTimeout: 4_000 })
    this.#http = dispatcher
    this.#client = createAgentClient({
      urls: agents.map(({ host, port }) => `https://${world.addressOf(host)}:${port}`),
      token: secrets.token,
      timeoutMs: ASK_MS,
      fetch: (url, init) => fetch(url, { ...init, dispatcher }),
    })
  }

  async statuses(): Promise<Statuses> {
    const all = await this.#client.statusOfEach()
    return all.map(({ result }) => (result.ok ? result.value : null))
  }

  async primary(group: string): Promise<string | null> {
    const writers = writersOf(await this.statuses(), group)
    return writers.length === 1 ? (writers[0] ?? null) : null
  }

  /** The primaries, in the order of the groups. `lack`: what else is missing; asked only when the groups are whole. */
  async whole(boundMs: number, lack: () => Promise<string | null>): Promise<string> {
    const endMs = performance.now() + boundMs
    for (;;) {
      const statuses = await this.statuses()
      const missing = (await this.#lackOf(statuses)) ?? (await lack())
      if (missing === null) return this.#layout.groups.map(({ group }) => writersOf(statuses, group)[0]).join(', ')
      if (performance.now() > endMs) throw new Error(`not whole within ${boundMs} ms: ${missing}`)
      await sleep(LOOK_MS)
    }
  }

  async close(): Promise<void> {
    await this.#http.destroy()
  }

  /** What is missing; null when nothing is. */
  async #lackOf(statuses: Statuses): Promise<string | null> {
    for (const [index, status] of statuses.entries()) {
      const name = this.#layout.agents[index]?.agent ?? ''
      if (status === null) return `agent ${name} does not answer`
      if (!status.guard.alive) return `agent ${name} has no guard`
      if (!status.store.reachable) return `agent ${name} does not reach the store`
    }
    for (const place of this.#layout.groups) {
      const writer = writersOf(statuses, place.group)[0] ?? ''
      const lack = lackOfGroup(statuses, place) ?? (await this.#verdictLack(place, writer))
      if (lack !== null) return this.#layout.groups.length === 1 ? lack : `${place.group}: ${lack}`
    }
    return null
  }

  /**
   * The list names members; whether this very copy is the confirmed one only the verdicts tell. A member that was just
   * copied anew may stand in the list and count for nothing. In quorum mode one such can keep all from being elected.
   */
  async #verdictLack({ group, mode }: GroupPlace, writer: string): Promise<string | null> {
    if (mode === 'async') return null
    const answer = await this.#client.explain(group)
    if (!answer.ok) return 'no agent explains'
    const others = answer.value.candidates.filter(({ member }) => member !== writer)
    const lacking = others.filter(({ because }) => because.some(({ code }) => code !== BEHIND))
    const enough = mode === 'quorum' ? lacking.length === 0 : lacking.length < others.length
    const words = lacking.map(({ member, because }) => `${member}: ${because.map(({ code }) => code).join(', ')}`)
    return enough ? null : words.join('; ')
  }
}

function lackOfGroup(statuses: Statuses, { group, mode }: GroupPlace): string | null {
  const writers = writersOf(statuses, group)
  const [writer] = writers
  if (writer === undefined || writers.length > 1) return `writers: ${writers.join(', ') || 'none'}`
  const members = statuses.flatMap((status) => status?.members.filter((one) => one.group === group) ?? [])
  const own = statuses.find((status) => status?.members.some(({ member }) => member === writer))
  const seen = own?.groups.find((one) => one.group === group)
  if (seen?.phase !== 'open' || seen.failsafe) return `the group is ${seen?.phase}, failsafe ${seen?.failsafe}`
  if (seen.paused !== null) return `it is held by ${seen.paused.by}`
  const others = members.filter(({ member }) => member !== writer)
  const strays = others.filter(({ engine }) => engine?.receiving !== true || engine.upstream !== writer)
  if (strays.length > 0) return `${strays.map(({ member }) => member).join(', ')} does not follow ${writer}`
  if (mode === 'async') {
    return others.some(({ lagBytes }) => lagBytes !== null && lagBytes <= LAG_BYTES_MAX) ? null : 'everybody lags'
  }
  return others.some(({ member }) => seen.eligible.includes(member)) ? null : 'nobody is listed to take over'
}

function writersOf(statuses: Statuses, group: string): readonly string[] {
  const members = statuses.flatMap((status) => status?.members ?? [])
  return members.filter((one) => one.group === group && one.writableForMs > 0).map(({ member }) => member)
}
