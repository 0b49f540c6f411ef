/**
 * A refusal in the language the client speaks, told from its first byte: RESP for a client of Redis, PostgreSQL's for
 * everybody else whose start-up packet was understood. (RESP, "Simple errors"; a command is an array or a bare word.)
 */
import { type Greeting, type RefusalText, refusalPacket, TOO_MANY } from './postgres-greeting.ts'

const ARRAY = '*'.charCodeAt(0)

/** Null: the client's language is not known (TLS, say), so there is nothing it could read. */
export function refusalFor(greeting: Greeting, head: Buffer, text: RefusalText): Buffer | null {
  if (greeting.kind !== 'foreign') return refusalPacket(text)
  return speaksRedis(head) ? redisRefusal(text) : null
}

export function speaksRedis(head: Buffer): boolean {
  const first = head[0] ?? 0
  const letter = (first | 0x20) >= 0x61 && (first | 0x20) <= 0x7a
  return first === ARRAY || letter
}

/**
 * `LOADING` is what Redis itself says while it cannot serve yet; drivers know to try again. For a door that is full it
 * is the server's own text for that. `MASTERDOWN` is its word for a replica that has lost its primary, for which
 * drivers do not wait. One line, so whatever a name might hold is put on one.
 */
export function redisRefusal({ sqlState, redis, message, detail, hint }: RefusalText): Buffer {
  const code = redis ?? (sqlState === TOO_MANY ? 'ERR max number of clients reached:' : 'LOADING')
  const said = `${message}. ${detail} ${hint}`.replace(/[\r\n]+/g, ' ')
  return Buffer.from(`-${code} ${said}\r\n`, 'utf8')
}
