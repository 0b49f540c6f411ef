/**
 * The only way to a supervised Redis, Sentinel or cluster node: a connection for one short conversation, every word
 * held against `permitted.ts`. A peer that drips, floods or talks nonsense costs one deadline and little memory.
 */
import assert from 'node:assert/strict'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { encode, type Reply, ReplyError, ReplyReader } from '../io/resp.ts'
import { isRedisAsk, isRedisRead } from './permitted.ts'
import type { Endpoint, Login, SupervisorTls } from './supervisor.ts'

/** A cluster of a thousand nodes describes itself in some 150 kB. */
const ANSWER_BYTES_MAX = 2 * 1024 * 1024
const WORD_MAX = 512

export interface Far extends Endpoint {
  readonly login: Login | null
  readonly tls: SupervisorTls | null
}

export type Talk =
  | { readonly ok: true; readonly replies: readonly Reply[] }
  /** `sent` false: nothing of it can have been carried out. */
  | { readonly ok: false; readonly because: string; readonly sent: boolean }

/** Reads. Never rejects, never takes longer. Errors of the server are replies. */
export function readFrom(far: Far, commands: readonly (readonly string[])[], timeoutMs: number): Promise<Talk> {
  for (const words of commands) assert(isRedisRead(words), `not a reading command: ${words.slice(0, 2).join(' ')}`)
  return talk(far, commands, timeoutMs)
}

/** Asks, on an operator's word. Never repeated here. */
export function askOf(far: Far, words: readonly string[], timeoutMs: number): Promise<Talk> {
  assert(isRedisAsk(words), `nobody may ask for this: ${words.slice(0, 2).join(' ')}`)
  return talk(far, [words], timeoutMs)
}

function talk(far: Far, commands: readonly (readonly string[])[], timeoutMs: number): Promise<Talk> {
  const { login } = far
  return new Promise((resolve) => {
    // Nothing follows a login before it is accepted: a refused one may leave other rights than were meant.
    let allowed = login === null
    let sent = false
    let over = false
    const collected: Reply[] = []
    let bytes = 0
    const reader = new ReplyReader()
    const socket = open(far)
    const end = (result: Talk): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      socket.destroy()
      resolve(result)
    }
    const failed = (because: string): void => end({ ok: false, because, sent })
    const timer = setTimeout(() => failed(`no answer within ${Math.round(timeoutMs)} ms`), timeoutMs)
    const send = (): void => {
      sent = true
      socket.write(commands.map(encode).join(''))
    }
    const take = (reply: Reply): void => {
      if (allowed) {
        collected.push(reply)
        if (collected.length >= commands.length) end({ ok: true, replies: collected })
        return
      }
      const refusal = errorOf(reply)
      if (refusal !== null) {
        failed(`the login is refused: ${refusal}`)
        return
      }
      allowed = true
      send()
    }
    socket.on('error', (error) => failed(error.message === '' ? 'the connection broke' : error.message))
    socket.on('close', () => failed(sent ? 'the connection was closed before the answer' : 'the connection was closed'))
    socket.once(far.tls === null ? 'connect' : 'secureConnect', () => {
      if (login === null) send()
      else socket.write(encode(login.user === '' ? ['AUTH', login.password] : ['AUTH', login.user, login.password]))
    })
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) return failed(`the answer has more than ${ANSWER_BYTES_MAX} bytes`)
      try {
        for (const reply of reader.read(chunk)) take(reply)
      } catch (error) {
        failed(error instanceof Error ? error.message : 'the answer is not the Redis protocol')
      }
    })
  })
}

function open({ host, port, tls }: Far): Socket {
  if (tls === null) return connectTcp({ host, port, noDelay: true })
  // Members are known by their authority: they name each other by addresses that stand in no certificate.
  return connectTls({ host, port, ...tls, rejectUnauthorized: true, checkServerIdentity: () => undefined })
}

/** A reply as text; null when it is none. Errors are null. */
export function textOf(reply: Reply | undefined): string | null {
  return typeof reply === 'string' ? reply.slice(0, ANSWER_BYTES_MAX) : null
}

/** `[name, value, name, value]`, as Sentinels answer. */
export function pairsOf(reply: Reply | undefined): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  if (!Array.isArray(reply)) return pairs
  for (let at = 0; at + 1 < reply.length; at += 2) {
    const [name, value] = [reply[at], reply[at + 1]]
    if (typeof name === 'string' && typeof value === 'string') pairs.set(name, value)
  }
  return pairs
}

/** The value of a CONFIG GET with one name. */
export function settingOf(reply: Reply | undefined): string | undefined {
  return [...pairsOf(reply).values()][0]
}

export function errorOf(reply: Reply | undefined): string | null {
  return reply instanceof ReplyError ? reply.message.slice(0, WORD_MAX) : null
}

/** A number of a hostile peer: finite and whole, or null. */
export function wholeOf(text: string | undefined): number | null {
  if (text === undefined || !/^-?\d{1,16}$/.test(text)) return null
  return Number(text)
}

export function endpointOf(text: string): Endpoint | null {
  const cut = text.lastIndexOf(':')
  const port = Number(text.slice(cut + 1))
  const host = text.slice(0, cut).replace(/^\[|\]$/g, '')
  return cut > 0 && host !== '' && Number.isInteger(port) && port >= 1 && port <= 65_535 ? { host, port } : null
}

/** Name of a Redis member: its address. */
export function nameOf(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
