/** What a caller reads when something goes wrong: a row of the one table, never the inside of the server. */
import { ERRORS, HoldfastError } from '../../errors.ts'
import type { Log } from '../../io/log.ts'

export interface ErrorAnswer {
  readonly status: number
  readonly body: object
}

export function errorAnswer(error: unknown, log: Log): ErrorAnswer {
  const known = knownError(error, log)
  const row = ERRORS[known.code]
  if (known.cause !== undefined) log.warn({ error: known.cause, code: known.code }, 'request-failed')
  const { code, message, next } = known
  const doc = `docs/reference/errors.md#${code.toLowerCase()}`
  return { status: row.status, body: { error: { code, message, next, retryable: row.retryable, doc } } }
}

function knownError(error: unknown, log: Log): HoldfastError {
  if (error instanceof HoldfastError) return error
  const { code = '', statusCode = 500 } = (typeof error === 'object' && error !== null ? error : {}) as {
    code?: string
    statusCode?: number
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new HoldfastError('HF_BODY_TOO_LARGE', 'the body is too long', 'send only the fields named')
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const next = 'send it with content-type: application/json'
    return new HoldfastError('HF_BODY_INVALID', 'the body is not said to be JSON', next)
  }
  if (statusCode >= 400 && statusCode < 500) {
    return new HoldfastError('HF_BODY_INVALID', 'the request is not well-formed', 'send one JSON object')
  }
  log.error({ error }, 'request-defect')
  return new HoldfastError('HF_INTERNAL', 'something unexpected happened', "see the server's log and report it")
}
