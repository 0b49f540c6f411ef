/**
 * One drill in a process of its own: `holdfast drill run`, told whose order it is. It has a pipe to this process and
 * ends the drill, with its report, when that closes; so a server that is killed leaves no drill that nobody stops.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TimelineEntry } from '../../drills/runner.ts'
import type { Log } from '../../io/log.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/holdfast.js', import.meta.url))
const OUT_MAX = 4 * 1024 * 1024

export interface ChildOptions {
  readonly file: string
  readonly platformFile: string
  readonly practice: boolean
  readonly order: {
    readonly id: string
    readonly by: string
    readonly sha256: string
    readonly configSha256: string
    readonly approvedBy: string | null
  }
  readonly onEntry: (entry: TimelineEntry) => void
  readonly log: Log
}

export interface ChildEnd {
  /** Null: it did not get as far as an outcome. */
  readonly outcome: 'passed' | 'failed' | 'aborted' | 'refused' | 'unproved' | null
  readonly because: string
}

export interface DrillChild {
  readonly ended: Promise<ChildEnd>
  /** It stops its drill and ends by itself. */
  close(): void
}

export function startChild({ file, platformFile, practice, order, onEntry, log }: ChildOptions): DrillChild {
  const words = [
    'drill',
    'run',
    file,
    '--yes',
    practice ? '--practice' : '--live',
    '--file',
    platformFile,
    '--output',
    'json',
  ]
  const child = spawn(process.execPath, [PROGRAM, ...words, '--order', JSON.stringify(order)], {
    env: { ...process.env, HOLDFAST_PARENT_PIPE: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C at the server reaches it by the pipe, and once.
    detached: true,
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    if (out.length < OUT_MAX) out += chunk.toString('utf8')
  })
  child.stdin.on('error', () => undefined)
  createInterface({ input: child.stderr }).on('line', (line) => {
    const entry = entryIn(line)
    if (entry === null) log.info({ line: line.slice(0, 500) }, 'drill-says')
    else onEntry(entry)
  })
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('error', (error) => resolve({ outcome: null, because: `it could not be started: ${error.message}` }))
    child.once('close', (code, signal) => resolve(endOf(out, code, signal)))
  })
  return { ended, close: () => child.stdin.end() }
}

function entryIn(line: string): TimelineEntry | null {
  if (!line.startsWith('{')) return null
  try {
    const value = JSON.parse(line) as Partial<TimelineEntry>
    const whole = typeof value.code === 'string' && typeof value.wallMs === 'number' && typeof value.detail === 'object'
    return whole && value.detail !== null ? (value as TimelineEntry) : null
  } catch {
    return null
  }
}

export function endOf(out: string, code: number | null, signal: string | null): ChildEnd {
  try {
    const said = JSON.parse(out.trim().split('\n').at(-1) ?? '') as {
      readonly drills?: readonly { readonly outcome: ChildEnd['outcome']; readonly because: string }[]
      readonly error?: { readonly message: string; readonly next: string }
    }
    const [one] = said.drills ?? []
    if (one !== undefined) return { outcome: one.outcome, because: one.because }
    if (said.error !== undefined) return { outcome: 'refused', because: `${said.error.message}; ${said.error.next}` }
  } catch {
    // It was ended before it could say anything.
  }
  const how = signal === null ? `with code ${code}` : `by ${signal}`
  return { outcome: null, because: `its process ended ${how} and told no outcome` }
}
