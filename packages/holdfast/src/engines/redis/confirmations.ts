/**
 * Puts a rule of confirmation in effect: who may be connected as a replica, and how many must be there. One server
 * thread runs it as one transaction, so when it returns nothing is accepted by the former rule any more. What Redis
 * cannot do, the client does: it waits (`WAIT n`) for its write (SPEC.md, "Who may count").
 */
import type { SyncSet } from '../../core/model.ts'
import { ReplyError } from '../../io/resp.ts'
import type { Done } from '../contract.ts'
import { CLOSED, isClosed, leastReplicas, mayReplicate, memberUser, type Title, titleText } from './config.ts'
import { type Course, type Engine, failed } from './engine.ts'
import { ASK_INFO, ASK_TITLE, infoAndTitle, parseInfo } from './info.ts'

const ASK_MS = 2_000

export async function applySync(engine: Engine, sync: SyncSet, course: Course): Promise<Done> {
  const seen = infoAndTitle(await engine.hand.ask([ASK_INFO, ASK_TITLE], course.leftMs(ASK_MS)))
  if (!seen.ok) return failed(`sync set: ${seen.because}`)
  if (seen.info.role !== 'primary') return failed('sync set: the engine is not a primary')
  if (seen.title === null) return failed('sync set: the server was not started by Holdfast')
  // Before anything can be acknowledged under it: from then on this log is no longer a fork without writes.
  if (!isClosed(sync)) {
    const opens = engine.promotionNoted.then(() => engine.note({ unopenedEpoch: null }))
    const problem = await course.written(opens)
    if (problem !== null) return failed(`sync set: cannot write that the group opens: ${problem}`)
  }
  const answer = await engine.hand.ask(ruleCommands(engine, { ...seen.title, sync }), course.leftMs(ASK_MS))
  if (!answer.ok) return failed(`sync set: ${answer.because}`)
  const results = answer.replies.at(-2)
  const wrong = Array.isArray(results) ? results.find((r) => r instanceof ReplyError) : results
  if (wrong !== undefined) return failed(`sync set: ${wrong instanceof ReplyError ? wrong.message : String(wrong)}`)
  const info = parseInfo(answer.replies.at(-1))
  if (info === null) return failed('sync set: the server does not tell its position')
  const { line } = seen.title
  const position = { timeline: line.timeline, lsn: line.base + info.offset }
  return { ok: true, position, lsn: position.lsn }
}

/** The transaction, and a look at the log's end behind it. */
export function ruleCommands(
  engine: Engine,
  title: Title,
  promoting: readonly (readonly string[])[] = [],
): readonly (readonly string[])[] {
  const { o } = engine
  const { sync } = title
  const least = leastReplicas(sync, o)
  const others = o.members.filter((m) => m.member !== o.member).map((m) => m.member)
  const out = others.filter((m) => !mayReplicate(sync, m))
  const closing: (readonly string[])[] = []
  // Who waits for a confirmation was promised it by the former rule, and nobody could tell him that it is another one
  // now: more are needed, or whoever comes may connect. Before a promotion nobody could wait.
  if (o.confirmations > 0 && least === CLOSED && promoting.length === 0) {
    closing.push(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
  }
  return [
    ['MULTI'],
    ['CONFIG', 'SET', 'min-replicas-to-write', String(least)],
    ...promoting,
    ...out.flatMap((m) => [
      ['ACL', 'SETUSER', memberUser(m), 'off'],
      ['CLIENT', 'KILL', 'USER', memberUser(m)],
    ]),
    ...closing,
    ...others.filter((m) => !out.includes(m)).map((m) => ['ACL', 'SETUSER', memberUser(m), 'on']),
    ['CONFIG', 'SET', 'proc-title-template', titleText(title)],
    ['EXEC'],
    ASK_INFO,
  ]
}
