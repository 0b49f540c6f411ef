/** Answers of agents, turned into answers of the server. */
import type { ApiGroup, Result } from '@holdfast/client'
import { ERRORS, type ErrorCode, HoldfastError } from '../../errors.ts'

export function groupOr404(group: ApiGroup | null, name: string): ApiGroup {
  if (group !== null) return group
  throw new HoldfastError('HF_THING_UNKNOWN', `there is no group ${name}`, 'see the groups of the platform')
}

/** The value, or why not as an error of ours; what agents refuse keeps its code and its next step. */
export function agentAnswer<T>(result: Result<T>): T {
  if (result.ok) return result.value
  if (result.kind === 'unreachable') {
    const tried = result.tried.map(({ url, because }) => `${url}: ${because}`).join('; ')
    const message = `no agent answers (${tried.slice(0, 400)}); nothing was changed`
    throw new HoldfastError('HF_AGENT_UNREACHABLE', message, 'start the agents, or look at their hosts')
  }
  if (result.kind === 'uncertain') {
    const message = `${result.url} took the request and did not answer (${result.because}); it may still happen`
    throw new HoldfastError('HF_AGENT_SILENT', message, 'look at the group before you ask again')
  }
  const code: ErrorCode = result.code in ERRORS ? (result.code as ErrorCode) : 'HF_INTERNAL'
  // Our own token does not fit theirs: that is nobody's log-in failing.
  if (code === 'HF_AUTH_REQUIRED') {
    throw new HoldfastError('HF_AGENT_UNREACHABLE', 'the agents do not take our token', 'compare the descriptions')
  }
  throw new HoldfastError(code, result.message, result.next)
}

/** For the audit log. */
export function outcomeOf(result: Result<unknown>): 'done' | 'refused' | 'failed' | 'unknown' {
  if (result.ok) return 'done'
  if (result.kind === 'uncertain') return 'unknown'
  return result.kind === 'refused' ? 'refused' : 'failed'
}

export function wordsOf(result: Result<unknown>): string {
  if (result.ok) return ''
  if (result.kind === 'refused') return `${result.code}: ${result.message}`
  return result.kind === 'uncertain' ? result.because : result.tried.map(({ because }) => because).join('; ')
}
