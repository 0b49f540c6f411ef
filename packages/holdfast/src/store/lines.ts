/**
 * Cuts a byte stream into lines of newline-delimited JSON. Pure: no sockets, no timers. A line longer than the bound
 * is an error, so that a server that never ends a line cannot fill the memory.
 */
const NEWLINE = 10

export type LinesResult =
  | { readonly ok: true; readonly lines: readonly string[] }
  | { readonly ok: false; readonly because: string }

export class LineCutter {
  readonly #lineBytesMax: number
  #parts: Buffer[] = []
  #pendingBytes = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** Complete lines that `chunk` finished, without empty ones. After an error the cutter must not be used again. */
  push(chunk: Buffer): LinesResult {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      if (!this.#keep(chunk.subarray(start, end))) return this.#tooLong()
      const line = Buffer.concat(this.#parts).toString('utf8').trim()
      if (line !== '') lines.push(line)
      this.#parts = []
      this.#pendingBytes = 0
      start = end + 1
    }
    return this.#keep(chunk.subarray(start)) ? { ok: true, lines } : this.#tooLong()
  }

  #keep(part: Buffer): boolean {
    this.#pendingBytes += part.length
    if (this.#pendingBytes > this.#lineBytesMax) return false
    if (part.length > 0) this.#parts.push(part)
    return true
  }

  #tooLong(): LinesResult {
    return { ok: false, because: `a line of the stream is longer than ${this.#lineBytesMax} bytes` }
  }
}
