/**
 * The history: one JSON object a line, appended by each process that does something to a file of its own, merged into
 * one order when the run is over, and written for Elle (elle-cli, Jepsen's checker) when asked.
 *
 * A writer holds back at most `HOLD_BYTES` or `HOLD_MS`, whichever comes first: a process that is killed loses little,
 * and one that writes thousands of lines a second makes few system calls. A line once written is never changed.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { HistoryLine } from './contract.ts'

/** What a writer adds itself: the index; and the time, unless it is given. */
export type HistoryEntry = Omit<HistoryLine, 'index' | 'time'> & { readonly time?: number }

const HOLD_BYTES = 64 * 1024
const HOLD_MS = 50
/**
 * A client that saw `info` goes on under its number plus this, so that every number of one client is the same modulo
 * this. A run has fewer clients than this, probes included.
 */
export const PROCESS_STRIDE = 1_000

/** Monotonic nanoseconds; the same clock in every process of this machine, also in other network namespaces. */
export function nowNs(): number {
  return Number(process.hrtime.bigint())
}

export function clientOf(process: HistoryLine['process']): number | null {
  return process === 'nemesis' ? null : process % PROCESS_STRIDE
}

export class HistoryWriter {
  readonly #file: number
  #held: string[] = []
  #heldBytes = 0
  #index = 0
  #timer: NodeJS.Timeout | null = null
  #closed = false

  /** Appends to `path`; the file is made when it is not there. */
  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  /** Throws when the line cannot be written: a run without its history proves nothing. */
  write(entry: HistoryEntry): HistoryLine {
    if (this.#closed) throw new Error('the history is closed')
    const line: HistoryLine = { index: this.#index, time: entry.time ?? nowNs(), ...entry }
    this.#index += 1
    const text = `${JSON.stringify(line)}\n`
    this.#held.push(text)
    this.#heldBytes += text.length
    if (this.#heldBytes >= HOLD_BYTES) this.flush()
    else if (this.#timer === null) this.#timer = setTimeout(() => this.flush(), HOLD_MS).unref()
    return line
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#held.length === 0) return
    const bytes = Buffer.from(this.#held.join(''))
    this.#held = []
    this.#heldBytes = 0
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at)
  }

  /** Writes what is held back. May be called twice. */
  close(): void {
    if (this.#closed) return
    this.flush()
    this.#closed = true
    closeSync(this.#file)
  }
}

/** A last line without its end was being written when its process was killed; it is left out. */
export function readHistory(path: string): readonly HistoryLine[] {
  const text = readFileSync(path, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const lines: HistoryLine[] = []
  let number = 0
  for (const line of whole.split('\n')) {
    number += 1
    if (line !== '') lines.push(parsed(line, `${path}:${number}`))
  }
  return lines
}

/** All files in one order by time, numbered anew. Lines of one file with the same time keep their order. */
export function mergeHistories(paths: readonly string[]): readonly HistoryLine[] {
  const all = paths.flatMap((path) => readHistory(path))
  return all.sort((a, b) => a.time - b.time).map((line, index) => ({ ...line, index }))
}

function parsed(text: string, where: string): HistoryLine {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`${where} is no line of a history`)
  }
  const line = value as Partial<HistoryLine> | null
  const known = typeof line?.time === 'number' && typeof line.f === 'string' && typeof line.type === 'string'
  if (!known) throw new Error(`${where} is no line of a history`)
  return line as HistoryLine
}

/**
 * The list-append operations as `elle-cli --model list-append` reads them: `json` for a file that ends in `.json`
 * (one array), `edn` for Jepsen's own form, one map a line.
 */
export function elleExport(history: readonly HistoryLine[], format: 'json' | 'edn'): string {
  const txns = history.filter((line) => line.f === 'txn' && line.process !== 'nemesis')
  if (format === 'edn') return txns.map((line, index) => `${ednOf(line, index)}\n`).join('')
  const lines = txns.map(({ type, f, value, process, time }, index) =>
    JSON.stringify({ index, type, f, value, process, time }),
  )
  return `[${lines.join(',\n')}]\n`
}

function ednOf(line: HistoryLine, index: number): string {
  const steps = (line.value as readonly (readonly [string, number, unknown])[]).map(
    ([kind, key, value]) => `[:${kind} ${key} ${ednValue(value)}]`,
  )
  const fields = `:type :${line.type}, :f :txn, :value [${steps.join(' ')}], :process ${line.process}`
  return `{${fields}, :time ${line.time}, :index ${index}}`
}

function ednValue(value: unknown): string {
  if (value === null) return 'nil'
  return Array.isArray(value) ? `[${value.join(' ')}]` : String(value)
}
