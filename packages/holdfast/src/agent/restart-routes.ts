/**
 * Starts the engine of a replica beside this agent anew, on somebody's word: for new binaries, or parameters that need
 * it. Whether it may be done now is the core's to say (`core/lease/restart.ts`). A request names the process it is
 * about, so that one that arrives late or twice ends nothing else.
 */
import { HoldfastError } from '../errors.ts'
import type { Answer, Request, Route } from './door.ts'
import type { Mailbox } from './mailbox.ts'
import { fieldsOf, ok, text } from './operator.ts'
import type { Questions } from './questions.ts'

export interface RestartRouteOptions {
  readonly mailbox: Mailbox
  readonly questions: Questions
  readonly requestMs: number
  /** Names the main process of a member's engine; null: none runs. */
  readonly started: (member: string) => string | null
}

export function restartRoutes(options: RestartRouteOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/groups/:group/restart',
      open: false,
      handle: (request) => restart(options, request),
    },
  ]
}

async function restart({ mailbox, questions, requestMs, started }: RestartRouteOptions, request: Request) {
  const fields = fieldsOf(request.body)
  const member = text(fields, 'member')
  const by = text(fields, 'by')
  const ifStarted = text(fields, 'ifStarted')
  const { ifEpoch } = fields
  if (typeof ifEpoch !== 'number' || !Number.isSafeInteger(ifEpoch) || ifEpoch < 0)
    throw new HoldfastError('HF_BODY_INVALID', '"ifEpoch" must be a whole number', 'give the epoch that is meant')
  const group = request.params.group ?? ''
  if (mailbox.settingsOf(member)?.group !== group) {
    const what = `no member ${member} of group ${group.slice(0, 64)} here`
    throw new HoldfastError('HF_GROUP_UNKNOWN', what, 'ask the agent beside it')
  }
  const now = started(member)
  if (now !== ifStarted) {
    const what = now === null ? `the engine of ${member} does not run` : `the engine of ${member} was started anew`
    throw new HoldfastError('HF_GROUP_CHANGED', what, 'look again: holdfast status')
  }
  const post = (id: number): void =>
    mailbox.toMember(member, { kind: 'restart-asked', id, by, ifEpoch, nowMs: mailbox.nowMs() })
  const reply = await questions.restart(post, 2 * requestMs)
  if (reply === null) throw new HoldfastError('HF_BUSY', 'too many questions wait', 'ask again in a moment')
  if (reply.accept) return ok({ ok: true }) satisfies Answer
  const next = reply.because === 'role-primary' ? 'move the primary away first' : 'holdfast status; ask again'
  throw new HoldfastError('HF_RESTART_REFUSED', `${member} is not restarted now: ${reply.because}`, next)
}
