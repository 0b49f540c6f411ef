/** Which faults are on, as each agent says it, and the end of all. An agent that does not answer is not "off". */
import type { AgentClient, ApiFaults } from '@holdfast/client'
import type { AgentSpec } from '../../config/platform.ts'

type AgentWords = ApiFaults['agents'][number]

export interface Asking {
  readonly agents: readonly AgentSpec[]
  readonly clientOf: (agent: AgentSpec) => AgentClient
}

export async function faultsNow({ agents, clientOf }: Asking): Promise<ApiFaults> {
  const told = await Promise.all(
    agents.map(async (agent) => {
      const { name, site } = agent
      const because = 'answers what this version does not understand'
      return wordsOf(agent, clientOf(agent)).catch(() => ({ agent: name, site, off: false, because }))
    }),
  )
  return { allOff: told.every(({ off }) => off), agents: told }
}

/** Harmless where nothing is on. */
export async function liftAll({ agents, clientOf }: Asking, by: string): Promise<void> {
  // What one answers is asked again afterwards; it keeps no other one from being told.
  await Promise.allSettled(agents.map(async (agent) => clientOf(agent).liftFault({ id: '*', by })))
}

async function wordsOf({ name, site }: AgentSpec, client: AgentClient): Promise<AgentWords> {
  const result = await client.faults()
  const no = (because: string): AgentWords => ({ agent: name, site, off: false, because })
  if (!result.ok) return no(result.kind === 'refused' ? result.message : 'does not answer: not known')
  const { faults } = result.value
  if (!Array.isArray(faults)) return no('answers what this version does not understand')
  const on = faults.filter(({ state }) => state !== 'off')
  if (on.length === 0) return { agent: name, site, off: true, because: 'no fault is on' }
  const words = on.map(({ kind, members, leftMs, proof }) => {
    return `${kind} of ${members.join(', ')}, ${Math.ceil(leftMs / 1_000)} s left: ${proof}`
  })
  return no(words.join('; '))
}
