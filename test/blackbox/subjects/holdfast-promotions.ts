/**
 * Who became primary when and why, read from the agents' logs as they grow: an agent that is killed or cut off has
 * written them all the same. A line's wall clock gives its time; when that clock was set, the moment it was seen does.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { Promotion } from '../contract.ts'

const LOOK_MS = 200
const CHUNK_BYTES = 262_144
/** A line is never this long. */
const REST_BYTES_MAX = 1_048_576
/** A clock further off than this was set by somebody. */
const CLOCK_TRUST_MS = 1_500
const WANTED = /"code":"(holder-[a-z-]+|claims|opens|is-primary|releases)"/

interface Line {
  readonly time: number
  readonly code: string
  readonly member: string
  readonly detail: Readonly<Record<string, unknown>>
}

interface Tail {
  readonly file: string
  offset: number
  rest: string
  /** The newest reason to think that the holder is gone. */
  gone: string
  claim: string
  claimedNs: number | null
}

interface Opened {
  readonly member: string
  readonly epoch: number
  readonly atNs: number
  readonly claimedNs: number | null
  readonly reason: string
}

export class PromotionLog {
  readonly #tails: readonly Tail[]
  readonly #found: Promotion[] = []
  /** Epochs that were given away cleanly, with whom they were given to. */
  readonly #given = new Map<number, string>()
  readonly #timelines = new Map<number, number>()
  readonly #opened: Opened[] = []
  readonly #members: ReadonlySet<string>
  #timer: NodeJS.Timeout | null = null
  #seen = 0

  /** `members`: those of the group; the agents write of others, too. */
  constructor(files: readonly string[], members: readonly string[]) {
    this.#members = new Set(members)
    this.#tails = files.map((file) => ({ file, offset: 0, rest: '', gone: '', claim: '', claimedNs: null }))
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** From now on; the first primary of a group is no promotion. */
  forget(): void {
    this.#look()
    this.#seen = this.#opened.length
  }

  list(): readonly Promotion[] {
    this.#look()
    const byEpoch = [...this.#opened].sort((a, b) => a.epoch - b.epoch)
    const known = new Set(this.#opened.slice(0, this.#seen).map(({ epoch }) => epoch))
    this.#found.length = 0
    for (const [index, { member, epoch, atNs, claimedNs, reason }] of byEpoch.entries()) {
      if (known.has(epoch) || byEpoch[index - 1]?.member === member) continue
      const planned = this.#given.get(epoch - 1) === member
      const timeline = this.#timelines.get(epoch) ?? epoch
      this.#found.push({
        member,
        epoch: timeline,
        time: atNs,
        claimedNs: claimedNs ?? atNs,
        planned,
        reason: planned ? `handed over; ${reason}` : reason,
      })
    }
    return [...this.#found]
  }

  #look(): void {
    for (const tail of this.#tails) this.#read(tail)
  }

  #read(tail: Tail): void {
    let file: number
    try {
      file = openSync(tail.file, 'r')
    } catch {
      // Not started yet.
      return
    }
    try {
      const { size } = fstatSync(file)
      const buffer = Buffer.alloc(CHUNK_BYTES)
      while (tail.offset < size) {
        const read = readSync(file, buffer, 0, CHUNK_BYTES, tail.offset)
        if (read === 0) break
        tail.offset += read
        const lines = (tail.rest + buffer.toString('utf8', 0, read)).split('\n')
        tail.rest = (lines.pop() ?? '').slice(-REST_BYTES_MAX)
        for (const text of lines) if (WANTED.test(text)) this.#take(tail, text)
      }
    } finally {
      closeSync(file)
    }
  }

  #take(tail: Tail, text: string): void {
    let line: Line
    try {
      line = JSON.parse(text) as Line
    } catch {
      // The process was killed in the middle of it.
      return
    }
    const { code, member, detail } = line
    if (!this.#members.has(member)) return
    const words = `${code} ${JSON.stringify(detail)}`
    const epoch = Number(detail?.epoch)
    if (code.startsWith('holder-')) tail.gone = words
    else if (code === 'claims') Object.assign(tail, { claim: words, claimedNs: monotonicNs(line.time) })
    else if (code === 'opens') this.#timelines.set(epoch, Number(detail.timeline))
    else if (code === 'releases' && detail.clean === true) this.#given.set(epoch, String(detail.to))
    else if (code === 'is-primary') {
      const reason = [tail.gone, tail.claim].filter((part) => part !== '').join('; ')
      this.#opened.push({ member, epoch, atNs: monotonicNs(line.time), claimedNs: tail.claimedNs, reason })
      tail.claimedNs = null
    }
  }
}

function monotonicNs(wallMs: number): number {
  const nowNs = Number(process.hrtime.bigint())
  const agoMs = Date.now() - wallMs
  return agoMs >= -CLOCK_TRUST_MS && agoMs <= CLOCK_TRUST_MS ? nowNs - agoMs * 1e6 : nowNs
}
