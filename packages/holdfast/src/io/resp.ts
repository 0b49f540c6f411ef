/**
 * The Redis serialization protocol, version 2: commands out, replies in. Pure and bounded: a peer that sends more than
 * the limits allow, or nonsense, is an error, never memory without end.
 */

/** An error the server answered with; a value, because answers like `-READONLY` are expected. */
export class ReplyError {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }

  /** The first word: `READONLY`, `NOREPLICAS`, `LOADING`, ... */
  get code(): string {
    return this.message.split(' ', 1)[0] ?? ''
  }
}

export type Reply = string | number | null | ReplyError | readonly Reply[]

/** The answers Holdfast asks for are some kilobytes; a set of a test's ids may be a megabyte. */
export const REPLY_BYTES_MAX = 32 * 1024 * 1024
const ITEMS_MAX = 1_000_000
const DEPTH_MAX = 8
const LINE_BYTES_MAX = 64 * 1024

export function encode(words: readonly string[]): string {
  let out = `*${words.length}\r\n`
  for (const word of words) out += `$${Buffer.byteLength(word)}\r\n${word}\r\n`
  return out
}

export class ReplyReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0

  /** Complete replies so far. Throws on nonsense and on too much. */
  read(chunk: Buffer): Reply[] {
    const replies: Reply[] = []
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    if (this.#bytes.length > REPLY_BYTES_MAX) throw new Error(`a reply has more than ${REPLY_BYTES_MAX} bytes`)
    for (;;) {
      this.#at = 0
      const reply = this.#one(0)
      if (reply === undefined) return replies
      this.#bytes = this.#bytes.subarray(this.#at)
      replies.push(reply)
    }
  }

  #line(): string | undefined {
    const end = this.#bytes.indexOf('\r\n', this.#at)
    if (end < 0) {
      if (this.#bytes.length - this.#at > LINE_BYTES_MAX) throw new Error('a line of the reply has no end')
      return undefined
    }
    const line = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 2
    return line
  }

  #one(depth: number): Reply | undefined {
    const line = this.#line()
    if (line === undefined) return undefined
    const rest = line.slice(1)
    switch (line[0]) {
      case '+':
        return rest
      case '-':
        return new ReplyError(rest)
      case ':':
        return Number(rest)
      case '$':
        return this.#bulk(lengthOf(rest, REPLY_BYTES_MAX))
      case '*':
        return this.#array(lengthOf(rest, ITEMS_MAX), depth)
      default:
        throw new Error('this is not the Redis protocol')
    }
  }

  #bulk(length: number): Reply | undefined {
    if (length < 0) return null
    if (this.#bytes.length < this.#at + length + 2) return undefined
    const text = this.#bytes.toString('utf8', this.#at, this.#at + length)
    this.#at += length + 2
    return text
  }

  #array(length: number, depth: number): Reply | undefined {
    if (length < 0) return null
    if (depth >= DEPTH_MAX) throw new Error('the reply is nested too deeply')
    const items: Reply[] = []
    for (let i = 0; i < length; i++) {
      const item = this.#one(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
    }
    return items
  }
}

function lengthOf(text: string, max: number): number {
  const length = Number(text)
  if (!Number.isInteger(length) || length < -1 || length > max) throw new Error(`a reply cannot have length ${text}`)
  return length
}

/** `name:value` lines of INFO, as they are. */
export function fieldsOf(info: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0 && line[0] !== '#') fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}
