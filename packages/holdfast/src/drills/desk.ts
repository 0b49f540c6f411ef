/** What everybody who has to do with drills needs: the description, its store, its agents, and ways to ask them. */
import type { AgentClient } from '@holdfast/client'
import { createAgentClient } from '@holdfast/client'
import { Agent as HttpAgent, fetch as undiciFetch } from 'undici'
import { pemText } from '../config/pem.ts'
import { type AgentSpec, agentUrl, type GroupSpec, type Platform } from '../config/platform.ts'
import { storeSettings } from '../config/settings.ts'
import type { Store } from '../store/contract.ts'
import { openStore } from '../store/open.ts'
import { DrillLedger } from './ledger.ts'
import type { TargetOptions } from './targets.ts'

/** One attempt at one agent; a busy one answers in a few milliseconds. */
const ATTEMPT_MS = 2_000
/** A frozen agent must not hide what the others say. */
const WATCH_MS = 700
/** Two dead-men on a busy host; below what the drill waits for its fault. */
const ORDER_MS = 15_000

export interface Desk {
  readonly platform: Platform
  readonly ledger: DrillLedger
  readonly clientOf: (agent: AgentSpec) => AgentClient
  /** For orders that start processes before they are answered. */
  readonly patientOf: (agent: AgentSpec) => AgentClient
  readonly client: (group: GroupSpec) => AgentClient
  readonly watcher: (group: GroupSpec) => AgentClient
  readonly fetch: TargetOptions['fetch']
  close(): Promise<void>
}

export function agentsBeside({ agents }: Platform, { members }: GroupSpec): readonly AgentSpec[] {
  return agents.filter(({ name }) => members.some(({ agent }) => agent === name))
}

/** Needs the store's secrets, as agents have them. Opens nothing before it is asked. */
export function openDesk(platform: Platform): Desk {
  const store: Store = openStore(storeSettings(platform))
  const first = platform.agents.find((agent) => agent.tls !== null)?.tls ?? null
  const dispatcher =
    first === null ? null : new HttpAgent({ connect: { ca: pemText(first.caFile) }, keepAliveTimeout: 1_000 })
  const clientTo = (agents: readonly AgentSpec[], timeoutMs: number): AgentClient =>
    createAgentClient({
      urls: agents.map(agentUrl),
      token: platform.agents[0]?.token.reveal() ?? '',
      timeoutMs,
      ...(dispatcher === null ? {} : { fetch: (url, init) => undiciFetch(url, { ...init, dispatcher }) }),
    })
  return {
    platform,
    ledger: new DrillLedger(store),
    clientOf: (agent) => clientTo([agent], ATTEMPT_MS),
    patientOf: (agent) => clientTo([agent], ORDER_MS),
    client: (group) => clientTo(agentsBeside(platform, group), ATTEMPT_MS),
    watcher: (group) => clientTo(agentsBeside(platform, group), WATCH_MS),
    fetch: (url, init) => (dispatcher === null ? fetch(url, init) : undiciFetch(url, { ...init, dispatcher })),
    close: async () => {
      await store.close()
      await dispatcher?.destroy()
    },
  }
}
