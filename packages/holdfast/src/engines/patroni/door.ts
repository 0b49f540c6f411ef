/**
 * The only way to a Patroni: its REST API, every request held against `permitted.ts`, every answer bounded in bytes and
 * time. Redirects are not followed. Name and password go only to the addresses the description names, and only with
 * what changes something; reading needs none.
 */
import assert from 'node:assert/strict'
import { type Bounds, type Exchange, exchange, httpPool } from '../../io/http-pool.ts'
import { isPatroniAsk, isPatroniPatch, isPatroniRead } from '../permitted.ts'
import type { Login, SupervisorTls } from '../supervisor.ts'

/** A hundred members with all their words are some 60 kB. */
const ANSWER_BYTES_MAX = 1024 * 1024
const SAID_MAX = 300

export interface PatroniAnswer {
  /** 0: none came. */
  readonly status: number
  readonly text: string
  /** Why there is none; empty when there is. */
  readonly because: string
  /** False: nothing of the request can have arrived. */
  readonly sent: boolean
}

export class PatroniDoor {
  readonly #login: Login | null
  readonly #tls: SupervisorTls | null

  constructor(login: Login | null, tls: SupervisorTls | null) {
    this.#login = login
    this.#tls = tls
  }

  read(base: string, path: string, timeoutMs: number): Promise<PatroniAnswer> {
    assert(isPatroniRead(path), `not a reading path: ${path}`)
    return this.#exchange(base, { method: 'GET', path, headers: {} }, timeoutMs)
  }

  /** On an operator's word. Never repeated here. */
  ask(
    base: string,
    what: { method: 'POST' | 'PATCH'; path: string; body: object },
    timeoutMs: number,
  ): Promise<PatroniAnswer> {
    assert(isPatroniAsk(what.method, what.path), `nobody may ask for this: ${what.method} ${what.path}`)
    assert(what.method === 'POST' || isPatroniPatch({ ...what.body }), 'nobody may change more than the pause')
    const login = this.#login
    const proof = login === null ? null : Buffer.from(`${login.user}:${login.password}`).toString('base64')
    const headers = {
      'content-type': 'application/json',
      ...(proof === null ? {} : { authorization: `Basic ${proof}` }),
    }
    const { method, path } = what
    return this.#exchange(base, { method, path, headers, body: JSON.stringify(what.body) }, timeoutMs)
  }

  async #exchange(base: string, question: Exchange, timeoutMs: number): Promise<PatroniAnswer> {
    const origin = originOf(base)
    if (origin === null) return none('its address is no http or https URL', false)
    const connect = { timeout: timeoutMs, ...(this.#tls ?? {}) }
    const bounds: Bounds = { timeoutMs, bytesMax: ANSWER_BYTES_MAX }
    const pool = httpPool(origin, { connections: 1, connect })
    try {
      const { status, text } = await exchange(pool, question, bounds)
      if (text === null) return none(`the answer has more than ${ANSWER_BYTES_MAX} bytes`, true)
      if (status >= 300 && status < 400) return none('it answers with a redirect, which is not followed', true)
      return { status, text, because: '', sent: true }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      const because = error instanceof Error && error.message !== '' ? error.message : code
      return none(
        because,
        !/^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS|UNABLE_TO|.*SELF_SIGNED|.*CERT)/.test(
          code,
        ),
      )
    } finally {
      void pool.destroy().catch(() => undefined)
    }
  }
}

function none(because: string, sent: boolean): PatroniAnswer {
  return { status: 0, text: '', because, sent }
}

export function originOf(url: string): string | null {
  try {
    const parsed = new URL(url)
    return parsed.protocol === 'http:' || parsed.protocol === 'https:' ? parsed.origin : null
  } catch {
    return null
  }
}

/** The first line of what it says, for people. */
export function saidBy(answer: PatroniAnswer): string {
  const line = answer.text.split('\n')[0]?.trim() ?? ''
  return line === '' ? `HTTP ${answer.status}` : line.slice(0, SAID_MAX)
}

/** A JSON object, or null. */
export function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
