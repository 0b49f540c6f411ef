/**
 * The canary's records in Redis: one list a run, cut by the transaction that writes the next record; it ends by itself
 * a day after the last one.
 */
import type { Address, GroupSpec } from '../config/platform.ts'
import { KEPT } from '../core/canary/model.ts'
import type { Answer, Line } from '../engines/redis/connection.ts'
import { confirmationsOf, redisLine } from './door.ts'
import { ANSWER_MS, type CanaryLine, type EngineLines, type Found, type Wrote } from './engine-lines.ts'

const PREFIX = 'holdfast:canary:'
const KEPT_S = 86_400
/** Before our own time-out, so that "not confirmed" is an answer. */
const CONFIRM_MS = ANSWER_MS - 500
/** Two writes may be under way, so the newest need not be the last. */
const NEWEST = 2
const REFUSED = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM'])
/** Our own words for what the server did not answer. */
const SILENT = new Set(['timeout', 'gone', 'closed', 'unknown'])

export function redisLines(group: GroupSpec, run: string): EngineLines {
  return { open: (at) => new RedisLine(group, at, run) }
}

class RedisLine implements CanaryLine {
  readonly #line: Line
  readonly #key: string
  readonly #need: number

  constructor(group: GroupSpec, at: Address, run: string) {
    this.#line = redisLine(group, at)
    this.#key = `${PREFIX}${run}`
    this.#need = confirmationsOf(group)
  }

  async write(_n: number, text: string): Promise<Wrote> {
    const key = this.#key
    const words = [
      ['MULTI'],
      ['RPUSH', key, text],
      ['LTRIM', key, String(-KEPT), '-1'],
      ['EXPIRE', key, String(KEPT_S)],
      ['EXEC'],
      ...(this.#need === 0 ? [] : [['WAIT', String(this.#need), String(CONFIRM_MS)]]),
    ]
    const answer = await this.#line.must(words, ANSWER_MS)
    if (!answer.ok) return { kind: kindOf(answer), because: answer.because }
    const confirmed = this.#need === 0 ? 0 : Number(answer.replies.at(-1) ?? 0)
    if (confirmed >= this.#need) return { kind: 'ok' }
    return { kind: 'info', because: `${confirmed} of ${this.#need} replicas confirmed it` }
  }

  async read(how: 'all' | 'newest'): Promise<Found> {
    const from = how === 'all' ? '0' : String(-NEWEST)
    const answer = await this.#line.must([['LRANGE', this.#key, from, '-1']], ANSWER_MS)
    if (!answer.ok) return { ok: false, because: answer.because, refused: REFUSED.has(answer.code) }
    const [list] = answer.replies
    return { ok: true, records: (Array.isArray(list) ? list : []).map((text) => ({ n: null, text: String(text) })) }
  }

  async clean(): Promise<void> {
    await this.#line.ask([['DEL', this.#key]], ANSWER_MS)
  }

  close(): void {
    this.#line.close()
  }
}

function kindOf({ code }: Exclude<Answer, { ok: true }>): 'fail' | 'info' | 'refused' {
  if (REFUSED.has(code)) return 'refused'
  return SILENT.has(code) ? 'info' : 'fail'
}
