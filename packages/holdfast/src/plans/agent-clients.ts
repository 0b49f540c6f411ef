/** The way to the agents of a platform: their addresses, their token, and whom to trust. */
import { type AgentClient, createAgentClient } from '@holdfast/client'
import { Agent as HttpAgent, fetch as undiciFetch } from 'undici'
import { pemText } from '../config/pem.ts'
import { type AgentSpec, agentUrl } from '../config/platform.ts'

/** A client that knows these agents, in this order. They share one token and one authority. */
export function clientFor(agents: readonly AgentSpec[], timeoutMs: number): AgentClient {
  const [first] = agents
  const ca = first === undefined || first.tls === null ? null : pemText(first.tls.caFile)
  const dispatcher = ca === null ? null : new HttpAgent({ connect: { ca }, keepAliveTimeout: 1_000 })
  return createAgentClient({
    urls: agents.map(agentUrl),
    token: first?.token.reveal() ?? '',
    timeoutMs,
    ...(dispatcher === null ? {} : { fetch: (url, init) => undiciFetch(url, { ...init, dispatcher }) }),
  })
}
