/**
 * JSON lines between agent and guard: splitting with a bound, and checking each line by hand. No library: the guard
 * must stay small, and what it does not understand it drops and counts.
 */
import type { FromGuard, ToGuard } from './protocol.ts'

/** The longest honest line carries one path (4,096 bytes at most on Linux) and a few numbers. */
export const LINE_BYTES_MAX = 8_192

export interface LineSplitter {
  /** Feeds bytes; each whole line comes out once, `null` for one that was longer than the bound. */
  push(chunk: Buffer): readonly (string | null)[]
}

export function lineSplitter(bytesMax = LINE_BYTES_MAX): LineSplitter {
  let rest: Buffer = Buffer.alloc(0)
  let skipping = false
  return {
    push(chunk) {
      const lines: (string | null)[] = []
      let from = 0
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
        const piece = chunk.subarray(from, at)
        from = at + 1
        if (skipping || rest.length + piece.length > bytesMax) lines.push(null)
        else lines.push(Buffer.concat([rest, piece]).toString('utf8'))
        rest = Buffer.alloc(0)
        skipping = false
      }
      const tail = chunk.subarray(from)
      if (skipping || rest.length + tail.length > bytesMax) {
        skipping = true
        rest = Buffer.alloc(0)
      } else {
        rest = Buffer.concat([rest, tail])
      }
      return lines
    },
  }
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(line: string): Fields | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
  } catch {
    return null
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
/** Pids 0 and 1 and negative numbers mean groups, everybody or init to `kill`; none is ever an engine. */
const isPid = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 1
/** The root directory is the working directory of half the machine. */
const isDirectory = (value: unknown): value is string =>
  isText(value) && value.startsWith('/') && value.replaceAll('/', '') !== ''

/** One line for the guard, or null when it is not one. */
export function toGuardOf(line: string): ToGuard | null {
  const f = fieldsOf(line)
  if (!f) return null
  if (f.do === 'ping') return isCount(f.n) ? { do: 'ping', n: f.n } : null
  if (f.do === 'watchdog') {
    if (!isText(f.device) || typeof f.required !== 'boolean' || !isCount(f.timeoutMaxMs)) return null
    return { do: 'watchdog', device: f.device, required: f.required, timeoutMaxMs: f.timeoutMaxMs }
  }
  if (!isText(f.member)) return null
  const member = f.member
  if (f.do === 'disarm' || f.do === 'fence') return { do: f.do, member }
  if (f.do === 'arm') {
    return isCount(f.epoch) && isNumber(f.untilMs) ? { do: 'arm', member, epoch: f.epoch, untilMs: f.untilMs } : null
  }
  if (f.do === 'watch' && isDirectory(f.dataDir) && (f.mainPid === null || isPid(f.mainPid))) {
    return { do: 'watch', member, dataDir: f.dataDir, mainPid: f.mainPid }
  }
  return null
}

/** One answer of the guard, or null when it is not one. */
export function fromGuardOf(line: string): FromGuard | null {
  const f = fieldsOf(line)
  if (!f) return null
  if (f.is === 'ready') return isPid(f.pid) ? { is: 'ready', pid: f.pid } : null
  if (f.is === 'pong') return isCount(f.n) ? { is: 'pong', n: f.n } : null
  if (f.is === 'watchdog') {
    return typeof f.ok === 'boolean' ? { is: 'watchdog', ok: f.ok, because: String(f.because) } : null
  }
  if (!isText(f.member)) return null
  const member = f.member
  if (f.is === 'disarmed') return { is: 'disarmed', member }
  if (f.is === 'armed') return isNumber(f.untilMs) ? { is: 'armed', member, untilMs: f.untilMs } : null
  if (f.is === 'stuck') return isCount(f.alive) ? { is: 'stuck', member, alive: f.alive } : null
  if (f.is === 'fired' && isCount(f.killed) && isNumber(f.lateMs)) {
    return { is: 'fired', member, killed: f.killed, lateMs: f.lateMs }
  }
  return null
}
