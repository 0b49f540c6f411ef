/**
 * etcd's tokens: fetched once for all calls, fetched again when a member no longer knows them. etcd hashes the
 * password slowly on purpose (60 ms and more), so fetching has its own time and survives the call that asked for it.
 */
import type { Channel } from '../channel.ts'
import { readError } from './protocol.ts'

/** A password's hash on a busy machine. */
const AUTHENTICATE_MS = 3_000

export interface Credentials {
  readonly username: string
  readonly password: string
}

export type TokenResult =
  | { readonly kind: 'token'; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'failed'; readonly because: string; readonly lasting: boolean }

export class Login {
  readonly #credentials: Credentials | null
  #token: string | null = null
  #fetching: Promise<TokenResult> | null = null

  constructor(credentials: Credentials | null) {
    this.#credentials = credentials
  }

  async headers(channel: Channel, timeoutMs: number): Promise<TokenResult> {
    if (this.#credentials === null) return { kind: 'token', headers: {} }
    if (this.#token !== null) return { kind: 'token', headers: { authorization: this.#token } }
    this.#fetching ??= this.#fetch(channel, this.#credentials).finally(() => {
      this.#fetching = null
    })
    return withTimeout(this.#fetching, timeoutMs, channel.url)
  }

  /** The token of these headers was refused; another one that came meanwhile is kept. */
  forget(headers: Readonly<Record<string, string>>): void {
    if (headers.authorization === this.#token) this.#token = null
  }

  async #fetch(channel: Channel, { username, password }: Credentials): Promise<TokenResult> {
    const request = { path: '/v3/auth/authenticate', body: { name: username, password }, headers: {} }
    const answer = await channel.call(request, AUTHENTICATE_MS)
    if (answer.kind === 'failed') return { ...answer, lasting: false }
    const { token } = answer.json
    if (answer.status === 200 && typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) {
      this.#token = token
      return { kind: 'token', headers: { authorization: token } }
    }
    const error = readError(answer.json)
    const message = error?.message ?? `it answered ${answer.status} without a token`
    // Unavailable is 14; the other answers are about the user, and asking again only costs etcd another hash.
    const lasting = error !== null && [3, 7, 9, 16].includes(error.code)
    return { kind: 'failed', because: `${channel.url}: log-in of ${username} failed: ${message}`, lasting }
  }
}

function withTimeout(fetching: Promise<TokenResult>, timeoutMs: number, url: string): Promise<TokenResult> {
  return new Promise((resolve) => {
    const because = `${url}: no token within ${Math.round(timeoutMs)} ms`
    const timer = setTimeout(() => resolve({ kind: 'failed', because, lasting: false }), timeoutMs)
    fetching.then((result) => {
      clearTimeout(timer)
      resolve(result)
    })
  })
}
