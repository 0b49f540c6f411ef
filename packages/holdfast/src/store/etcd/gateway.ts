/**
 * One request to etcd over its members: attempts beside each other, log-in, and R22's checks of every answer. A member
 * whose raft term or revision is older than what was known when it was asked is not believed, and the next is asked.
 */
import { systemClock } from '../../io/clock.ts'
import { type Attempt, type AttemptResult, Attempts, type Outcome } from '../attempts.ts'
import { Channel, quote, type Stream, type StreamHandlers } from '../channel.ts'
import type { KeyRevision } from '../contract.ts'
import { type Stamp, StoreHistory } from '../history.ts'
import { type Credentials, Login } from './login.ts'
import { isLasting, readError, readHeader, wantsNewToken } from './protocol.ts'

export interface GatewayOptions {
  readonly endpoints: readonly string[]
  readonly credentials: Credentials | null
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
  readonly attemptMs: number
}

type Json = Readonly<Record<string, unknown>>

export interface GatewayRequest<T> {
  readonly path: string
  readonly body: Json
  readonly deadlineMs: number
  readonly bytesMax?: number
  /** A revision the caller knows to exist; an answer of a store that has not reached it is refused. */
  readonly knownRevision?: KeyRevision
  /** Null: the answer makes no sense. A text: it makes sense but must not be believed. */
  read(json: Json, stamp: Stamp, attempt: Attempt): T | string | null
}

export class Gateway {
  readonly #channels: readonly Channel[]
  readonly #attempts: Attempts
  readonly #login: Login
  readonly #history = new StoreHistory()

  constructor({ endpoints, credentials, tls, attemptMs }: GatewayOptions) {
    this.#channels = endpoints.map((url) => new Channel({ url, ...tls }))
    this.#attempts = new Attempts(endpoints.length, attemptMs)
    this.#login = new Login(credentials)
  }

  ask<T extends object>(request: GatewayRequest<T>): Promise<Outcome<T>> {
    return this.#attempts.run<Outcome<T>>(request.deadlineMs, (attempt) => this.#attempt(request, attempt))
  }

  /** A stream on the member that answered last. A broken one makes the next calls and streams try another member. */
  async openStream(path: string, body: Json, timeoutMs: number, handlers: StreamHandlers): Promise<Stream> {
    const endpoint = this.#attempts.preferred()
    const channel = this.#channels[endpoint]
    const broke = (because: string) => {
      this.#attempts.avoid(endpoint)
      handlers.onEnd(because)
    }
    if (channel === undefined) {
      handlers.onEnd('no endpoint of etcd is given')
      return { close: () => {} }
    }
    const token = await this.#login.headers(channel, timeoutMs)
    if (token.kind === 'failed') {
      broke(token.because)
      return { close: () => {} }
    }
    const asked = this.#history.floor()
    return channel.stream(
      { path, body, headers: token.headers },
      {
        onEnd: broke,
        onLine: (json) => {
          const error = readError(json)
          if (error !== null) {
            if (wantsNewToken(error)) this.#login.forget(token.headers)
            return broke(`${channel.url}: ${quote(error.message)}`)
          }
          const stamp = readHeader(isResult(json) ? json.result : {})
          if (stamp === null) return broke(`${channel.url}: the watch sent fields of wrong types`)
          // A watch may lag behind; only another cluster or a term that went back is a reason not to believe it.
          const doubt = this.#history.judge({ ...stamp, revision: asked.revision }, asked)
          if (doubt !== null) return broke(`${channel.url}: ${doubt}`)
          handlers.onLine(json)
        },
      },
    )
  }

  async close(): Promise<void> {
    this.#attempts.close()
    await Promise.all(this.#channels.map((channel) => channel.close()))
  }

  async #attempt<T extends object>(request: GatewayRequest<T>, attempt: Attempt): Promise<AttemptResult<Outcome<T>>> {
    const channel = this.#channels[attempt.endpoint]
    if (channel === undefined) return lasting('no endpoint of etcd is given')
    const untilMs = systemClock.nowMs() + attempt.timeoutMs
    const token = await this.#login.headers(channel, attempt.timeoutMs)
    if (token.kind === 'failed') {
      return token.lasting ? lasting(token.because) : { kind: 'failed', because: token.because, sent: false }
    }
    const { path, body, bytesMax, knownRevision = 0 } = request
    const floor = this.#history.floor()
    const asked = { ...floor, revision: Math.max(floor.revision, knownRevision) }
    const leftMs = Math.max(1, untilMs - systemClock.nowMs())
    const answer = await channel.call({ path, body, headers: token.headers }, leftMs, bytesMax)
    if (answer.kind === 'failed') return answer
    const failed = (because: string) => ({ kind: 'failed', because: `${channel.url}: ${because}`, sent: true }) as const
    const error = readError(answer.json)
    if (error !== null) {
      const because = `${quote(error.message)} (gRPC code ${error.code})`
      if (wantsNewToken(error)) {
        this.#login.forget(token.headers)
        return { ...failed(because), sent: false }
      }
      return isLasting(error) ? lasting(`${channel.url}: ${because}`) : failed(because)
    }
    const stamp = readHeader(answer.json)
    if (answer.status !== 200 || stamp === null) return failed(`it answered ${answer.status} and not as etcd does`)
    const doubt = this.#history.judge(stamp, asked)
    if (doubt !== null) return failed(doubt)
    const result = request.read(answer.json, stamp, attempt)
    if (result === null) return failed('it answered with fields of wrong types')
    return typeof result === 'string' ? failed(result) : { kind: 'done', result }
  }
}

function isResult(json: Json): json is { readonly result: Json } {
  return typeof json.result === 'object' && json.result !== null
}

function lasting(because: string): { kind: 'done'; result: { kind: 'unknown'; because: string } } {
  return { kind: 'done', result: { kind: 'unknown', because } }
}
