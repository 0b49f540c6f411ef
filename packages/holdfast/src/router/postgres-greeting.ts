/**
 * The first bytes of a PostgreSQL connection, as far as a door must know them: to answer in the client's language when
 * there is no backend, and to try another backend while the client has seen nothing of the first. Everything after the
 * greeting passes unread. (Protocol 3, "Message Flow: Start-up" and "Error and Notice Message Fields".)
 */

/** PostgreSQL itself refuses longer start-up packets (MAX_STARTUP_PACKET_LENGTH). */
export const GREETING_BYTES_MAX = 10_000
const SSL_REQUEST = 80_877_103
const GSS_REQUEST = 80_877_104
const CANCEL_REQUEST = 80_877_102
const PROTOCOL_3 = 3

/** `probe`: asks for encryption, one byte is the answer. `foreign`: not PostgreSQL's protocol; passed on unread. */
export type GreetingKind = 'probe' | 'startup' | 'cancel' | 'foreign'

export interface Greeting {
  readonly kind: GreetingKind
  /** Length of the packet. */
  readonly bytes: number
}

/** What the bytes begin with; null when more are needed to tell. */
export function greetingOf(bytes: Buffer): Greeting | null {
  if (bytes.length < 8) {
    // The first byte of a length below 10,000 is 0; anything else is no PostgreSQL client.
    return bytes.length > 0 && bytes[0] !== 0 ? { kind: 'foreign', bytes: bytes.length } : null
  }
  const length = bytes.readUInt32BE(0)
  const code = bytes.readUInt32BE(4)
  if (length < 8 || length > GREETING_BYTES_MAX) return { kind: 'foreign', bytes: bytes.length }
  const kind = kindOf(length, code)
  if (kind === 'foreign') return { kind, bytes: bytes.length }
  return bytes.length < length ? null : { kind, bytes: length }
}

function kindOf(length: number, code: number): GreetingKind {
  if (length === 8 && (code === SSL_REQUEST || code === GSS_REQUEST)) return 'probe'
  if (code === CANCEL_REQUEST) return 'cancel'
  return code >>> 16 === PROTOCOL_3 ? 'startup' : 'foreign'
}

/** "No encryption here": the answer to a probe when the door itself must speak. */
export const NO_ENCRYPTION = Buffer.from('N')
const ERROR_RESPONSE = 'E'.charCodeAt(0)

export interface RefusalText {
  readonly sqlState: string
  /** The word a client of Redis reads in its place. Default: by the SQLSTATE. */
  readonly redis?: string
  readonly message: string
  readonly detail: string
  readonly hint: string
}

/** `57P03` cannot_connect_now: what PostgreSQL itself says while it starts or stops; drivers know to try again. */
export const NOT_NOW = '57P03'
/** `53300` too_many_connections. */
export const TOO_MANY = '53300'

/** An ErrorResponse of severity FATAL. */
export function refusalPacket(text: RefusalText): Buffer {
  const { sqlState, message, detail, hint } = text
  const fields = ['SFATAL', 'VFATAL', `C${sqlState}`, `M${message}`, `D${detail}`, `H${hint}`]
  const body = Buffer.from(`${fields.map((field) => `${field.replaceAll('\0', '')}\0`).join('')}\0`, 'utf8')
  const head = Buffer.alloc(5)
  head[0] = ERROR_RESPONSE
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** True when a backend's first bytes after a start-up packet say "not now": it starts, stops or recovers. */
export function saysNotNow(bytes: Buffer): boolean {
  return bytes[0] === ERROR_RESPONSE && bytes.includes(`\0C${NOT_NOW}\0`)
}
