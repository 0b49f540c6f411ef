/** The way to the agents of a platform: their addresses, their token, and whom to trust. */
import { createRequire } from 'node:module'
import { type AgentClient, createAgentClient, type Fetch } from '@holdfast/client'
import type * as Undici from 'undici'
import { pemText } from '../config/pem.ts'
import { type AgentSpec, agentUrl } from '../config/platform.ts'

/** A client that knows these agents, in this order. They share one token and one authority. */
export function clientFor(agents: readonly AgentSpec[], timeoutMs: number): AgentClient {
  const [first] = agents
  const ca = first === undefined || first.tls === null ? null : pemText(first.tls.caFile)
  return createAgentClient({
    urls: agents.map(agentUrl),
    token: first?.token.reveal() ?? '',
    timeoutMs,
    ...(ca === null ? {} : { fetch: trusting(ca) }),
  })
}

/** Loaded on first use: an agent lives for years, and the whole library is 11 MB resident. */
function trusting(ca: string): Fetch {
  const { Agent, fetch } = createRequire(import.meta.url)('undici') as typeof Undici
  const dispatcher = new Agent({ connect: { ca }, keepAliveTimeout: 1_000 })
  return (url, init) => fetch(url, { ...init, dispatcher })
}
