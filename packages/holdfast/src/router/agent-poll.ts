/**
 * Asks every agent for its status, again and again, and keeps the last answers. What an answer means is decided in
 * `core/routing`. Answers come over the network: they are bounded, and every field that is used is checked.
 */
import { type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Phase } from '../core/model.ts'
import type { Hint } from '../core/routing/route.ts'
import type { Clock } from '../io/clock.ts'

/** A status with 200 reasons is about 60 kB. */
const STATUS_BYTES_MAX = 1_048_576

export interface MemberSeen {
  readonly member: string
  readonly group: string
  readonly role: string
  readonly answering: boolean
  readonly receiving: boolean
  readonly lagBytes: number | null
  readonly staleMs: number | null
  readonly writableForMs: number
  readonly epoch: number
}

export interface StatusSeen {
  readonly url: string
  readonly receivedMs: number
  readonly loopAgeMs: number
  readonly members: readonly MemberSeen[]
  readonly standings: readonly { readonly group: string; readonly hint: Hint }[]
}

export interface AgentPollOptions {
  readonly urls: readonly string[]
  readonly token: string | null
  /** PEM text of the authority that signed the agents' certificates. */
  readonly ca?: string
  readonly everyMs: number
  readonly requestMs: number
  readonly clock: Clock
  readonly onStatus: (status: StatusSeen) => void
}

export interface AgentPoll {
  /** The last answer of each agent, however old. */
  seen(): readonly StatusSeen[]
  close(): void
}

export function pollAgents(options: AgentPollOptions): AgentPoll {
  const seen = new Map<string, StatusSeen>()
  const timers = new Map<string, NodeJS.Timeout>()
  let closed = false

  async function ask(url: string): Promise<void> {
    const status = await statusOf(url, options)
    if (closed) return
    if (status) {
      seen.set(url, status)
      options.onStatus(status)
    }
    timers.set(
      url,
      setTimeout(() => void ask(url), options.everyMs),
    )
  }

  for (const url of options.urls) void ask(url)
  return {
    seen: () => [...seen.values()],
    close() {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
    },
  }
}

/** Null for whatever goes wrong; an agent that is away is a normal thing. */
async function statusOf(url: string, options: AgentPollOptions): Promise<StatusSeen | null> {
  const text = await textOf(new URL('/v1/status?reasons=none', url), options)
  if (text === null) return null
  try {
    return readStatus(url, JSON.parse(text), options.clock.nowMs())
  } catch {
    return null
  }
}

function textOf(url: URL, options: AgentPollOptions): Promise<string | null> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (options.token !== null) headers.authorization = `Bearer ${options.token}`
    const tls = options.ca === undefined ? {} : { ca: options.ca }
    const settings: RequestOptions = { headers, signal: AbortSignal.timeout(options.requestMs), ...tls }
    const call = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, settings, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > STATUS_BYTES_MAX) response.destroy()
        else chunks.push(chunk)
      })
      response.on('error', () => resolve(null))
      response.on('close', () => resolve(null))
      response.on('end', () => resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString('utf8') : null))
    })
    call.on('error', () => resolve(null))
    call.end()
  })
}

type Fields = Readonly<Record<string, unknown>>
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : [])
const textIn = (value: unknown): string => (typeof value === 'string' ? value : '')
const numberIn = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
const PHASES: readonly Phase[] = ['creating', 'claimed', 'open', 'released']

/** An `AgentStatus` (`@holdfast/client`) as far as a router needs it; what does not fit is left out. */
export function readStatus(url: string, body: unknown, receivedMs: number): StatusSeen | null {
  const status = fieldsOf(body)
  const loopAgeMs = numberIn(status.loopAgeMs)
  if (loopAgeMs === null) return null
  const members = listOf(status.members).map((one): MemberSeen => {
    const engine = fieldsOf(one.engine)
    return {
      member: textIn(one.member),
      group: textIn(one.group),
      role: textIn(one.role),
      answering: engine.answering === true,
      receiving: engine.receiving === true,
      lagBytes: numberIn(one.lagBytes),
      staleMs: numberIn(one.staleMs),
      writableForMs: numberIn(one.writableForMs) ?? 0,
      epoch: numberIn(one.epoch) ?? 0,
    }
  })
  const standings = listOf(status.groups).flatMap((one) => {
    const group = textIn(one.group)
    const epoch = numberIn(one.epoch)
    const phase = PHASES.find((known) => known === one.phase)
    if (epoch === null || !Number.isSafeInteger(epoch) || !phase) return []
    const member = typeof one.holder === 'string' ? one.holder : null
    const own = members.find((seen) => seen.group === group && seen.member === member)
    const writable = own?.role === 'primary' && own.epoch === epoch && own.writableForMs > 0
    return [{ group, hint: { standing: { epoch, phase, member }, writable, loopAgeMs } }]
  })
  return { url, receivedMs, loopAgeMs, members, standings }
}
