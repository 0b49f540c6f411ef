/**
 * Follows one agent: asks for its status and waits there for the next change, over one kept connection, so that a
 * change is known as soon as it happened and an agent at rest costs a question a second. Remembers nothing but what it
 * has to ask next. Whatever an agent answers, however late or wrong, is only ever a sighting.
 */
import type { AgentStatus } from '@holdfast/client'
import type { Pool } from 'undici'
import { pemText } from '../../config/pem.ts'
import { type AgentSpec, agentUrl } from '../../config/platform.ts'
import { exchange, httpPool } from '../../io/http-pool.ts'
import { jitterMs } from '../../io/random.ts'

/** Figures are as old as this at rest. */
const WAIT_MS = 1_000
/** Beyond the wait; then the agent counts as silent. */
const ANSWER_MS = 1_500
const CONNECT_MS = 1_500
/** A status with 200 decisions is some 100 KiB. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
const RETRY_LOW_MS = 200
const RETRY_HIGH_MS = 400
/** However much happens, an agent is asked at most some thirty times a second. */
const GAP_MS = 30

export interface Sighting {
  readonly agent: string
  readonly status: AgentStatus | null
  /** Why there is none; empty when there is. */
  readonly because: string
}

export interface AgentFollower {
  close(): Promise<void>
}

export function followAgent(spec: AgentSpec, onSighting: (sighting: Sighting) => void): AgentFollower {
  const pool = httpPool(agentUrl(spec), {
    connections: 1,
    pipelining: 1,
    connectTimeout: CONNECT_MS,
    keepAliveTimeout: 30_000,
    ...(spec.tls === null ? {} : { connect: { ca: pemText(spec.tls.caFile) } }),
  })
  const closed = new AbortController()
  const ended = follow(spec, pool, { onSighting, closed: closed.signal })
  return {
    close: async () => {
      closed.abort()
      await pool.destroy()
      await ended
    },
  }
}

interface Task {
  readonly onSighting: (sighting: Sighting) => void
  readonly closed: AbortSignal
}

async function follow(spec: AgentSpec, pool: Pool, { onSighting, closed }: Task): Promise<void> {
  let mark = ''
  while (!closed.aborted) {
    const sighting = await look(spec, pool, mark)
    if (closed.aborted) return
    mark = sighting.status?.mark ?? ''
    onSighting(sighting)
    await pause(sighting.status === null ? jitterMs(RETRY_LOW_MS, RETRY_HIGH_MS) : GAP_MS, closed)
  }
}

async function look(spec: AgentSpec, pool: Pool, mark: string): Promise<Sighting> {
  const no = (because: string): Sighting => ({ agent: spec.name, status: null, because })
  // The first answer comes at once.
  const waitMs = mark === '' ? 0 : WAIT_MS
  const path = `/v1/status?after=${encodeURIComponent(mark)}&waitMs=${waitMs}`
  const headers = { authorization: `Bearer ${spec.token.reveal()}`, accept: 'application/json' }
  try {
    const bounds = { timeoutMs: waitMs + ANSWER_MS, bytesMax: ANSWER_BYTES_MAX }
    const { status, text } = await exchange(pool, { method: 'GET', path, headers }, bounds)
    if (text === null) return no('its answer is too long')
    if (status !== 200) return no(`it answers ${status}`)
    const value = JSON.parse(text) as Partial<AgentStatus> | null
    if (value?.agent !== spec.name) return no(`another agent answers at its address: ${String(value?.agent)}`)
    return isWhole(value) ? { agent: spec.name, status: value, because: '' } : no('its answer lacks what is needed')
  } catch (error) {
    return no(wordsOf(error))
  }
}

/** An agent is ours, but may be of another version. */
function isWhole(value: Partial<AgentStatus>): value is AgentStatus {
  const { members, groups, reasons, store, guard, boot, mark, reasonsTotal } = value
  const lists = Array.isArray(members) && Array.isArray(groups) && Array.isArray(reasons)
  const texts = typeof boot === 'string' && typeof mark === 'string' && typeof reasonsTotal === 'number'
  return lists && texts && typeof store === 'object' && typeof guard === 'object'
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? String(error.code) : ''
  return code === 'ECONNREFUSED' ? 'connection refused' : error.message || code
}

function pause(ms: number, closed: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      closed.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    closed.addEventListener('abort', done)
  })
}
