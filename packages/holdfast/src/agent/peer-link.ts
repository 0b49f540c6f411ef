/**
 * Asks other agents. Every call has a deadline and never throws: no answer is an answer. One keep-alive pool per agent.
 * What a peer says is read strictly (`records.ts`) and re-told in this node's clock.
 *
 * A question for reports carries this agent's own, so that a pair needs one question a beat and not two. What is told
 * like that has no question whose sending would date it; the echo of the listener's last answer does (`toldAfterMs`).
 * An agent of an older version does not say that it listens and is only asked.
 */
import type { Pool } from 'undici'
import type { PeerReport } from '../core/model.ts'
import type { Clock } from '../io/clock.ts'
import { exchange, httpPool } from '../io/http-pool.ts'
import {
  type Echo,
  localReport,
  type Parsed,
  parseFailsafeAnswer,
  parseFreezeAnswer,
  parseReports,
  type Telling,
} from './records.ts'

/** A hundred reports with three standbys each; a peer that sends more is broken. */
const ANSWER_BYTES_MAX = 262_144
/** One for the polling, one for a question that must not wait behind it, one to spare. */
const CONNECTIONS_MAX = 3
const REPORTS = '/v1/peer/reports'

export interface PeerAddress {
  readonly agent: string
  /** Without a trailing slash. */
  readonly url: string
  readonly token: string
  /** Certificate authority, PEM; null for plain HTTP. */
  readonly ca: string | null
}

export interface Question {
  readonly group: string
  readonly member: string
  readonly from: string
  readonly epoch: number
}

export class PeerLink {
  readonly agent: string
  readonly #pool: Pool
  readonly #clock: Clock
  readonly #headers: Record<string, string>
  /** Of its last answer; null while it is not known to listen. */
  #listens: { readonly boot: string; readonly nowMs: number; readonly heardAtMs: number } | null = null

  constructor(address: PeerAddress, clock: Clock) {
    this.agent = address.agent
    this.#clock = clock
    this.#headers = { authorization: `Bearer ${address.token}` }
    this.#pool = httpPool(address.url, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      ...(address.ca === null ? {} : { connect: { ca: address.ca } }),
    })
  }

  /** It takes reports that are told to it. */
  get listens(): boolean {
    return this.#listens !== null
  }

  /** Reports of the members beside that agent; empty when it does not answer. Tells it `own` if it listens. */
  async reports(requestMs: number, own: Omit<Telling, 'echo'> | null = null): Promise<readonly PeerReport[]> {
    const sentAtMs = this.#clock.nowMs()
    const answer =
      own === null || this.#listens === null
        ? await this.#call('GET', REPORTS, null, requestMs)
        : await this.#call('POST', REPORTS, { ...own, echo: this.#echo(sentAtMs) }, requestMs)
    const parsed = read(answer, parseReports)
    const nowMs = this.#clock.nowMs()
    const boot = parsed?.boot ?? null
    // Without an answer it may come back as an older version.
    this.#listens = parsed === null || boot === null ? null : { boot, nowMs: parsed.nowMs, heardAtMs: nowMs }
    if (parsed === null) return []
    return parsed.reports
      .filter((report) => report.agent === this.agent)
      .map((report) => localReport(report, parsed.nowMs, sentAtMs, nowMs))
  }

  #echo(nowMs: number): Echo | null {
    const last = this.#listens
    return last === null ? null : { boot: last.boot, nowMs: last.nowMs, heldMs: nowMs - last.heardAtMs }
  }

  /** Null: it refused or did not answer. */
  async freeze(question: Question, requestMs: number): Promise<PeerReport | null> {
    const sentAtMs = this.#clock.nowMs()
    const parsed = read(await this.#call('POST', '/v1/peer/freeze', question, requestMs), parseFreezeAnswer)
    if (parsed === null || parsed.report === null || parsed.report.member !== question.member) return null
    return localReport(parsed.report, parsed.nowMs, sentAtMs, this.#clock.nowMs())
  }

  async failsafe(question: Question, requestMs: number): Promise<{ accept: boolean; because: string }> {
    const answer = await this.#call('POST', '/v1/peer/failsafe', question, requestMs)
    if (typeof answer !== 'string') return { accept: false, because: answer.because }
    return read(answer, parseFailsafeAnswer) ?? { accept: false, because: 'nonsense' }
  }

  async close(): Promise<void> {
    await this.#pool.destroy().catch(() => undefined)
  }

  async #call(
    method: 'GET' | 'POST',
    path: string,
    body: object | null,
    requestMs: number,
  ): Promise<string | { because: string }> {
    const headers = body === null ? this.#headers : { ...this.#headers, 'content-type': 'application/json' }
    const question = { method, path, headers, ...(body === null ? {} : { body: JSON.stringify(body) }) }
    try {
      const bounds = { timeoutMs: requestMs, bytesMax: ANSWER_BYTES_MAX }
      const { status, text } = await exchange(this.#pool, question, bounds)
      if (text === null) return { because: `answer above ${ANSWER_BYTES_MAX} bytes` }
      return status === 200 ? text : { because: `status ${status}` }
    } catch (error) {
      return { because: error instanceof Error ? error.message : String(error) }
    }
  }
}

function read<T>(answer: string | { because: string }, parse: (text: string) => Parsed<T>): T | null {
  if (typeof answer !== 'string') return null
  const parsed = parse(answer)
  return parsed.ok ? parsed.value : null
}
