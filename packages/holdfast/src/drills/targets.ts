/**
 * Does a drill's fault at the agents it concerns, looks whether it is on, ends it, and proves that it is gone. Where an
 * agent itself stands still its dead-man is asked.
 */
import type { AgentClient, FaultOrder, FaultStatus } from '@holdfast/client'
import type { AgentSpec, GroupSpec } from '../config/platform.ts'
import type { FaultSpec } from '../core/drill/model.ts'

export interface TargetOptions {
  readonly id: string
  readonly by: string
  readonly group: GroupSpec
  readonly agents: readonly AgentSpec[]
  /** A client of one agent only. */
  readonly clientOf: (agent: AgentSpec) => AgentClient
  /** The same, for an order that starts processes before it is answered. */
  readonly patientOf: (agent: AgentSpec) => AgentClient
  /** A client of all agents of the group. */
  readonly client: AgentClient
  /** Through the authority that the agents' certificates come from. */
  readonly fetch: (
    url: string,
    init: { method: string; headers: Record<string, string>; signal: AbortSignal },
  ) => Promise<{
    readonly status: number
    json(): Promise<unknown>
  }>
}

export type Told = { readonly ok: true; readonly proof: string } | { readonly ok: false; readonly because: string }

type Deadman = NonNullable<FaultStatus['deadman']>

const DEADMAN_MS = 2_000

export class Targets {
  readonly #options: TargetOptions
  #orders: readonly { readonly agent: AgentSpec; readonly order: FaultOrder }[] = []
  readonly #deadmen = new Map<string, Deadman>()
  #doing: Promise<unknown> = Promise.resolve()
  #intent: string | null = null
  #over = false

  constructor(options: TargetOptions) {
    this.#options = options
  }

  get members(): readonly string[] {
    return this.#orders.flatMap(({ order }) => order.members)
  }

  /** Asks every agent; one that says no makes the whole fail, and what is on elsewhere is lifted by the caller. */
  do(fault: FaultSpec, members: readonly string[]): Promise<Told> {
    const work = fault.kind === 'switchover' ? this.#move(fault.to) : this.#begin(fault, members)
    this.#doing = work
    return work
  }

  async #move(to: string | null): Promise<Told> {
    const { client, group, by } = this.#options
    const result = await client.switchover(group.name, { by, ...(to === null ? {} : { to }) })
    if (!result.ok) return { ok: false, because: result.kind === 'refused' ? result.message : `no certain answer` }
    this.#intent = result.value.id
    return { ok: true, proof: `switchover ${result.value.id} was taken` }
  }

  async #begin(fault: Exclude<FaultSpec, { kind: 'switchover' }>, members: readonly string[]): Promise<Told> {
    const { agents, group, id, by } = this.#options
    const forMs = fault.kind === 'kill' ? 0 : fault.forMs
    const what = fault.kind === 'freeze' ? { what: fault.what } : {}
    this.#orders = agents.flatMap((agent) => {
      const here = group.members.filter((one) => one.agent === agent.name && members.includes(one.name))
      const order = { id, kind: fault.kind, ...what, members: here.map((one) => one.name), forMs, by }
      return here.length === 0 ? [] : [{ agent, order }]
    })
    const answers = await Promise.all(
      this.#orders.map(async ({ agent, order }) => {
        const result = await this.#options.patientOf(agent).fault(order)
        if (result.ok) {
          if (result.value.deadman !== null) this.#deadmen.set(agent.name, result.value.deadman)
          return { ok: true as const, proof: `${agent.name}: ${result.value.proof}` }
        }
        return { ok: false as const, because: `${agent.name}: ${wordsOf(result)}` }
      }),
    )
    const no = answers.flatMap((answer) => (answer.ok ? [] : [answer.because]))
    if (no.length > 0) return { ok: false, because: no.join('; ') }
    return { ok: true, proof: answers.flatMap((answer) => (answer.ok ? [answer.proof] : [])).join('; ') }
  }

  /** Whether the fault is on everywhere; null while that is not known. `over`: it is off everywhere. */
  async look(): Promise<{ readonly on: boolean; readonly over: boolean; readonly proof: string } | null> {
    if (this.#intent !== null) return this.#lookAtMove(this.#intent)
    const all = await Promise.all(this.#orders.map(({ agent }) => this.#statusAt(agent)))
    if (all.some((one) => one === null) || all.length === 0) return null
    const known = all.filter((one) => one !== null)
    const proof = this.#orders.map(({ agent }, at) => `${agent.name}: ${known[at]?.proof ?? ''}`).join('; ')
    return { on: known.every((one) => one.state === 'on'), over: known.every((one) => one.state === 'off'), proof }
  }

  /** Ends it, after the order has been answered: a late order must not follow its own end. */
  async lift(): Promise<Told> {
    await this.#doing.catch(() => undefined)
    this.#over = true
    if (this.#intent === null) await Promise.all(this.#orders.map(({ agent }) => this.#liftAt(agent)))
    if (this.#orders.length === 0 && this.#intent === null) return { ok: true, proof: 'nothing was done' }
    const look = await this.look()
    if (look === null) return { ok: false, because: 'not every target answers' }
    return look.over ? { ok: true, proof: look.proof } : { ok: false, because: look.proof }
  }

  get lifting(): boolean {
    return this.#over
  }

  async #lookAtMove(id: string) {
    const { client, group } = this.#options
    const state = await client.intent(group.name, id)
    if (!state.ok) {
      const gone = state.kind === 'refused' && state.code === 'HF_INTENT_UNKNOWN'
      return gone ? { on: false, over: true, proof: 'the group has forgotten the switchover' } : null
    }
    const over = state.value.state === 'done' || state.value.state === 'refused'
    const proof = `switchover ${state.value.state}: ${state.value.because}; primary ${state.value.holder ?? 'none'}`
    return { on: !over, over, proof }
  }

  async #statusAt(agent: AgentSpec): Promise<Pick<FaultStatus, 'state' | 'proof'> | null> {
    const deadman = this.#deadmen.get(agent.name)
    if (deadman !== undefined) {
      const view = await this.#askDeadman(deadman, 'GET')
      if (view !== null) return view
    }
    const result = await this.#options.clientOf(agent).faults()
    if (!result.ok) return null
    const { id } = this.#options
    const mine = result.value.faults.find((one) => one.id === id)
    // An agent that started anew has no fault on: its start lets run whatever was left.
    return mine ?? { state: 'off', proof: 'the agent has no fault of this drill' }
  }

  async #liftAt(agent: AgentSpec): Promise<void> {
    const { id, by } = this.#options
    const deadman = this.#deadmen.get(agent.name)
    if (deadman !== undefined) await this.#askDeadman(deadman, 'POST')
    await this.#options.clientOf(agent).liftFault({ id, by })
  }

  async #askDeadman(
    { url, secret }: Deadman,
    method: 'GET' | 'POST',
  ): Promise<Pick<FaultStatus, 'state' | 'proof'> | null> {
    try {
      const answer = await this.#options.fetch(`${url}${method === 'POST' ? '/lift' : '/'}`, {
        method,
        headers: { authorization: `Bearer ${secret}` },
        signal: AbortSignal.timeout(DEADMAN_MS),
      })
      if (answer.status !== 200) return null
      const view = (await answer.json()) as {
        state: FaultStatus['state']
        stopped: number
        running: number
        gone: number
      }
      const { state, stopped, running, gone } = view
      const still = `${stopped - running - gone} of ${stopped} processes are stopped`
      const over = `${running} of ${stopped} processes run again, ${gone} are gone, none is stopped`
      return { state, proof: state === 'off' ? over : still }
    } catch {
      return null
    }
  }
}

function wordsOf(result: Exclude<Awaited<ReturnType<AgentClient['fault']>>, { ok: true }>): string {
  if (result.kind === 'refused') return result.message
  return result.kind === 'uncertain' ? result.because : (result.tried[0]?.because ?? 'no answer')
}
