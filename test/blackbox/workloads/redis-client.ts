/**
 * How the black box writes to Redis: every write is one transaction that also asks the server who leads and how far its
 * log is, so that no second question could be answered late; with `WAIT` behind it in the same packet where replicas
 * confirm. An answer that does not come, and one that fewer confirmed than should, leave a write unknown.
 *
 * It logs in as the account Holdfast itself uses: the application's may not ask which leadership it is talking to.
 */
import { parseTitle } from '../../../packages/holdfast/src/engines/redis/config.ts'
import { Line } from '../../../packages/holdfast/src/engines/redis/connection.ts'
import { parseInfo, settingOf } from '../../../packages/holdfast/src/engines/redis/info.ts'
import { type Reply, ReplyError } from '../../../packages/holdfast/src/io/resp.ts'
import type { Address } from '../contract.ts'

export type Command = readonly string[]

export type RedisOutcome =
  | ({ readonly kind: 'ok'; readonly replies: readonly Reply[] } & Who)
  /** Nothing was written. */
  | { readonly kind: 'fail'; readonly because: string }
  | { readonly kind: 'info'; readonly because: string }

/** Who answered, in which leadership, and where its log ended. */
export interface Who {
  readonly node: string
  readonly epoch: number
  readonly lsn: number
}

export interface RedisLogin {
  readonly user: string
  readonly password: string
}

/** How many replicas must confirm a write, and whether a primary that goes on alone needs none of them. */
export interface Confirmation {
  readonly confirmations: number
  readonly alone: boolean
}

const NONE: Confirmation = { confirmations: 0, alone: false }

const TITLE: Command = ['CONFIG', 'GET', 'proc-title-template']
const INFO: Command = ['INFO', 'replication', 'server']
/** Its settings lie beside its data, which is called after the member. */
const MEMBER = /^config_file:.*\/\.([^/]+)\.run\/[^/]*\r?$/m
/** While the group wants a confirmation Redis tells how many replicas are good; alone it tells nothing. */
const WANTED = /^min_slaves_good_slaves:/m
/** Within a transaction these words of the server say that none of it was done. */
const REFUSED = new Set(['NOREPLICAS', 'READONLY', 'LOADING', 'EXECABORT', 'MISCONF', 'MASTERDOWN', 'NOAUTH'])

export class RedisLink {
  readonly #line: Line
  readonly #wanted: Confirmation

  constructor(at: Address, login: RedisLogin, wanted = NONE) {
    this.#line = new Line({ ...at, user: login.user, password: login.password })
    this.#wanted = wanted
  }

  get open(): boolean {
    return this.#line.open
  }

  /** False when nobody answers there. */
  async ready(timeoutMs: number): Promise<boolean> {
    return this.#line.open || (await this.#line.must([['PING']], timeoutMs)).ok
  }

  async write(commands: readonly Command[], timeoutMs: number): Promise<RedisOutcome> {
    const waitMs = String(Math.max(1, Math.round(timeoutMs / 2)))
    const { confirmations, alone } = this.#wanted
    const wait = confirmations > 0 ? [['WAIT', String(confirmations), waitMs]] : []
    // Behind it in the same packet, unless it may not be wanted.
    const whole = [['MULTI'], ...commands, TITLE, INFO, ['EXEC'], ...(alone ? [] : wait)]
    const answer = await this.#line.ask(whole, timeoutMs)
    if (!answer.ok) return { kind: 'info', because: answer.because }
    const done = answer.replies[commands.length + 3]
    if (done instanceof ReplyError || !Array.isArray(done)) {
      const refusal = answer.replies.find((reply) => reply instanceof ReplyError)
      const because = refusal instanceof ReplyError ? refusal.message : 'no transaction'
      return { kind: done instanceof ReplyError && REFUSED.has(done.code) ? 'fail' : 'info', because }
    }
    const who = whoOf(done.at(-2), done.at(-1))
    if (who === null || done.some((reply) => reply instanceof ReplyError)) {
      return { kind: 'info', because: `an answer that cannot be: ${String(done.at(0))}` }
    }
    const isWanted = wait.length > 0 && (!alone || WANTED.test(String(done.at(-1))))
    const confirmed = isWanted && alone ? await this.#confirmedBy(wait, timeoutMs) : answer.replies.at(-1)
    if (isWanted && Number(confirmed) < confirmations) {
      return { kind: 'info', because: 'not confirmed by a replica' }
    }
    return { kind: 'ok', ...who, replies: done.slice(0, commands.length) }
  }

  /** `WAIT` on another connection would say nothing about this write. */
  async #confirmedBy(wait: readonly Command[], timeoutMs: number): Promise<Reply> {
    if (!this.#line.open) return 0
    const answer = await this.#line.must(wait, timeoutMs)
    return answer.ok ? (answer.replies[0] ?? 0) : 0
  }

  /** Answers in order; null when they do not come or one is an error. */
  async read(commands: readonly Command[], timeoutMs: number): Promise<readonly Reply[] | null> {
    const answer = await this.#line.must(commands, timeoutMs)
    return answer.ok ? answer.replies : null
  }

  drop(): void {
    this.#line.drop()
  }

  close(): void {
    this.#line.close()
  }
}

/** Of a primary only. */
function whoOf(title: Reply | undefined, info: Reply | undefined): Who | null {
  const line = parseTitle(settingOf(title, 'proc-title-template') ?? '')?.line
  const seen = parseInfo(info)
  const node = MEMBER.exec(String(info))?.[1]
  if (line === undefined || node === undefined || seen?.role !== 'primary') return null
  return { node, epoch: line.timeline, lsn: line.base + seen.offset }
}
