/**
 * Where plans are kept, through whichever agent answers best just now: those first that were heard and reach the store.
 * A frozen host would cost each question its time-out; here it only comes last.
 */
import type { AgentClient, ApiAgent } from '@holdfast/client'
import type { Platform } from '../../config/platform.ts'
import { clientFor } from '../../plans/agent-clients.ts'
import { type PlanPort, portOver } from '../../plans/plan-port.ts'

/** The agent asks its store, and may wait three of its requests for it. */
const ATTEMPT_MS = 3_000
/** Orders in which agents were asked; each has a client of its own, and few orders come up. */
const CLIENTS_MAX = 32

export function agentsPort(platform: Platform, agents: () => readonly ApiAgent[]): PlanPort {
  const clients = new Map<string, AgentClient>()
  const best = (): PlanPort => {
    const standing = new Map(agents().map((one) => [one.agent, one]))
    const rank = (name: string): number => {
      const agent = standing.get(name)
      return agent?.reachable !== true ? 2 : agent.store?.reachable === false ? 1 : 0
    }
    const order = platform.agents.toSorted((a, b) => rank(a.name) - rank(b.name))
    const key = order.map(({ name }) => name).join(' ')
    let client = clients.get(key)
    if (client === undefined) {
      if (clients.size >= CLIENTS_MAX) clients.clear()
      client = clientFor(order, ATTEMPT_MS)
      clients.set(key, client)
    }
    return portOver(client)
  }
  return {
    read: (scope) => best().read(scope),
    write: (plan, ifRevision) => best().write(plan, ifRevision),
    pastRuns: (scope) => best().pastRuns(scope),
    keepRuns: (scope, change) => best().keepRuns(scope, change),
  }
}
