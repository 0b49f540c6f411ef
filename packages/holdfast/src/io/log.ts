/**
 * The only place that knows the log library. One JSON line an event; values of fields that hold secrets are replaced.
 * What is worth a line is decided by the caller; a decision's line carries its `Reason` as it is.
 */
import { pino } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export interface LogOptions {
  readonly level: LogLevel
  /** Who speaks: `agent a1`, `guard`, `router orders`. */
  readonly name: string
  /** File descriptor, or whatever takes lines. Standard error when absent: standard output belongs to results. */
  readonly destination?: number | { write(line: string): void }
}

const STANDARD_ERROR = 2
const REPLACEMENT = '[not shown]'
const SECRET_FIELD = /token|password|secret/i
/** Deeper values are not looked into but written as `[deep]`: a log line is no place for a tree. */
const DEPTH_MAX = 6

/** Lines are written before the call returns: a process that dies right after has said why. */
export function createLog(options: LogOptions): Log {
  const destination = options.destination ?? STANDARD_ERROR
  const stream = typeof destination === 'number' ? pino.destination({ dest: destination, sync: true }) : destination
  const logger = pino({ level: options.level, name: options.name, base: {} }, stream)
  const write = (level: Exclude<LogLevel, 'silent'>, fields: LogFields, message: string): void => {
    if (logger.isLevelEnabled(level)) logger[level](withoutSecrets(fields, 0) as object, message)
  }
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
  }
}

/** A copy in which every field whose name speaks of a token, password or secret is replaced, at any depth. */
function withoutSecrets(value: unknown, depth: number): unknown {
  if (value instanceof Error) return errorFields(value, depth)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return value
  if (depth >= DEPTH_MAX) return '[deep]'
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1))
  const copy: Record<string, unknown> = {}
  for (const [name, item] of Object.entries(value)) {
    const hidden = SECRET_FIELD.test(name) && typeof item !== 'boolean' && item !== null && item !== undefined
    copy[name] = hidden ? REPLACEMENT : withoutSecrets(item, depth + 1)
  }
  return copy
}

function errorFields(error: Error, depth: number): unknown {
  if (depth >= DEPTH_MAX) return '[deep]'
  const { name, message, stack } = error
  return { name, message, stack, ...(withoutSecrets({ ...error, cause: error.cause }, depth + 1) as object) }
}
