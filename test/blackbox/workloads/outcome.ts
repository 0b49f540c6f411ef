/**
 * What an error of a statement says about its effect. Only what surely did not happen is `fail`; everything else is
 * `info`. Wrong in this direction costs sharpness, wrong in the other makes a checker accuse the innocent.
 */

export interface Outcome {
  readonly type: 'fail' | 'info'
  /** The server answered and goes on with this connection. */
  readonly alive: boolean
  readonly error: string
}

/**
 * Classes of SQLSTATE in which PostgreSQL has undone the transaction when it reports severity ERROR: data, constraint,
 * transaction state (25006 read only), rollback, syntax, resources, object state. Once its commit record is written no
 * such error is possible any more: it would be a PANIC.
 */
const UNDONE = new Set(['22', '23', '25', '40', '42', '53', '55'])
/** Statement cancelled before its commit; a cancelled wait for a replica is no error but a warning. */
const CANCELLED = '57014'
/** Statement completion unknown. */
const UNKNOWN = '40003'

export function outcomeOf(error: unknown): Outcome {
  const code = textOf(error, 'code')
  const severity = textOf(error, 'severity')
  const message = error instanceof Error ? error.message : String(error)
  const text = code === '' ? message : `${code} ${message}`
  const answered = severity === 'ERROR'
  const undone = answered && code !== UNKNOWN && (UNDONE.has(code.slice(0, 2)) || code === CANCELLED)
  return { type: undone ? 'fail' : 'info', alive: answered, error: text }
}

/**
 * PostgreSQL committed locally and gave up waiting for its replica: the row may be lost with this server. It says so in
 * a warning beside an answer that is otherwise good.
 */
export function isUnconfirmed(notice: unknown): boolean {
  const message = textOf(notice, 'message')
  return textOf(notice, 'code') === '57P01' || /cancel\w* .*wait for synchronous replication/.test(message)
}

function textOf(thing: unknown, field: string): string {
  if (typeof thing !== 'object' || thing === null || !(field in thing)) return ''
  return String((thing as Record<string, unknown>)[field] ?? '')
}
