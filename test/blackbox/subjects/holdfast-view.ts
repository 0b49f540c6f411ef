/** What the agents say about their group, asked by the harness past every cut. Answers that do not come are nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentStatus } from '@holdfast/client'
import { Agent, fetch } from 'undici'
import { createAgentClient } from '../../../packages/client/src/agent-client.ts'
import { GROUP, type Layout } from './holdfast-files.ts'

const ASK_MS = 1_000
/** A report is a beat old, so under load everybody looks behind; who takes over knows its own position. */
const BEHIND = 'below-acknowledged-floor'
const LOOK_MS = 100
/** In async mode "without loss" means: as good as nothing behind. */
const LAG_BYTES_MAX = 65_536

export class HoldfastView {
  readonly #layout: Layout
  readonly #http: Agent
  readonly #client: ReturnType<typeof createAgentClient>

  constructor(layout: Layout) {
    const { world, members, secrets } = layout
    this.#layout = layout
    const dispatcher = new Agent({ connect: { ca: secrets.ca }, keepAliveTimeout: 4_000 })
    this.#http = dispatcher
    this.#client = createAgentClient({
      urls: members.map(({ host, ports }) => `https://${world.addressOf(host)}:${ports.agent}`),
      token: secrets.token,
      timeoutMs: ASK_MS,
      fetch: (url, init) => fetch(url, { ...init, dispatcher }),
    })
  }

  async statuses(): Promise<readonly (AgentStatus | null)[]> {
    const all = await this.#client.statusOfEach()
    return all.map(({ result }) => (result.ok ? result.value : null))
  }

  async primary(): Promise<string | null> {
    const writers = writersOf(await this.statuses())
    return writers.length === 1 ? (writers[0] ?? null) : null
  }

  async whole(boundMs: number): Promise<string> {
    const endMs = performance.now() + boundMs
    for (;;) {
      const statuses = await this.statuses()
      const writer = writersOf(statuses)[0] ?? ''
      const lack = this.#lackOf(statuses) ?? (await this.#verdictLack(writer))
      if (lack === null) return writer
      if (performance.now() > endMs) throw new Error(`not whole within ${boundMs} ms: ${lack}`)
      await sleep(LOOK_MS)
    }
  }

  async close(): Promise<void> {
    await this.#http.destroy()
  }

  /** What is missing; null when nothing is. */
  #lackOf(statuses: readonly (AgentStatus | null)[]): string | null {
    for (const [index, status] of statuses.entries()) {
      const name = this.#layout.members[index]?.agent ?? ''
      if (status === null) return `agent ${name} does not answer`
      if (!status.guard.alive) return `agent ${name} has no guard`
      if (!status.store.reachable) return `agent ${name} does not reach the store`
    }
    const writers = writersOf(statuses)
    const [writer] = writers
    if (writer === undefined || writers.length > 1) return `writers: ${writers.join(', ') || 'none'}`
    const members = statuses.flatMap((status) => status?.members ?? [])
    const group = statuses.find((status) => status?.members[0]?.member === writer)?.groups[0]
    if (group?.phase !== 'open' || group.failsafe) return `the group is ${group?.phase}, failsafe ${group?.failsafe}`
    const others = members.filter(({ member }) => member !== writer)
    const strays = others.filter(({ engine }) => engine?.receiving !== true || engine.upstream !== writer)
    if (strays.length > 0) return `${strays.map(({ member }) => member).join(', ')} does not follow ${writer}`
    if (this.#layout.mode === 'async') {
      return others.some(({ lagBytes }) => lagBytes !== null && lagBytes <= LAG_BYTES_MAX) ? null : 'everybody lags'
    }
    return others.some(({ member }) => group.eligible.includes(member)) ? null : 'nobody is listed to take over'
  }

  /**
   * The list names members; whether this very copy is the confirmed one only the verdicts tell. A member that was just
   * copied anew may stand in the list and count for nothing. In quorum mode one such can keep all from being elected.
   */
  async #verdictLack(writer: string): Promise<string | null> {
    if (this.#layout.mode === 'async') return null
    const answer = await this.#client.explain(GROUP)
    if (!answer.ok) return 'no agent explains'
    const others = answer.value.candidates.filter(({ member }) => member !== writer)
    const lacking = others.filter(({ because }) => because.some(({ code }) => code !== BEHIND))
    const enough = this.#layout.mode === 'quorum' ? lacking.length === 0 : lacking.length < others.length
    const words = lacking.map(({ member, because }) => `${member}: ${because.map(({ code }) => code).join(', ')}`)
    return enough ? null : words.join('; ')
  }
}

function writersOf(statuses: readonly (AgentStatus | null)[]): readonly string[] {
  return statuses.flatMap((s) => s?.members.filter((m) => m.writableForMs > 0).map((m) => m.member) ?? [])
}
