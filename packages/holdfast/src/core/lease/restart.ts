/**
 * A replica whose engine somebody wants to be started anew, for new binaries or parameters. It is taken up only while
 * that costs the group nothing but time: there is an open primary, this member follows it and has its log, and nothing
 * else is going on. A primary is never restarted here: it is switched away from first.
 */
import { FOLLOW_DEADLINE_MS, holderBeats } from './replica.ts'
import { pauseStands } from './restraint.ts'
import { because, command, type Turn } from './turn.ts'

/** What a replica may lack and still count as caught up: it has that much again within a moment of its return. */
export const CAUGHT_UP_BYTES = 1024 * 1024

interface Question {
  readonly id: number
  readonly by: string
  readonly ifEpoch: number
}

export function askedToRestart(turn: Turn, { id, by, ifEpoch }: Question): void {
  const refusal = restartRefusal(turn, ifEpoch)
  const record = turn.state.record?.value ?? null
  const answer = (accept: boolean, why: string): void => {
    turn.actions.push({ kind: 'answer-restart', id, accept, because: why })
  }
  if (refusal !== null || record === null) {
    answer(false, refusal ?? 'no-record')
    return
  }
  because(turn, 'restarts-replica', { rule: 'R14', by, epoch: record.epoch, alone: othersThatConfirm(turn) === 0 })
  const from = { upstream: record.holder, epoch: record.epoch, timeline: record.timeline }
  const begun = command(turn, { do: 'follow', ...from, afresh: true }, turn.nowMs + FOLLOW_DEADLINE_MS)
  answer(begun, begun ? 'begun' : 'busy')
}

function restartRefusal(turn: Turn, ifEpoch: number): string | null {
  const { state, settings, nowMs } = turn
  const { view } = state
  const record = state.record?.value ?? null
  if (settings.failover === 'observe') return 'only-observed'
  if (state.role !== 'replica') return `role-${state.role}`
  if (record === null || view === null) return 'not-ready'
  if (record.epoch !== ifEpoch) return `epoch-${record.epoch}`
  if (record.phase !== 'open' || record.holder === settings.self.member) return `phase-${record.phase}`
  if (!holderBeats(turn)) return 'primary-silent'
  if (record.intent !== null) return 'handover-under-way'
  if (pauseStands(turn, record)) return `paused-by-${record.pause?.by ?? 'somebody'}`
  if (state.op !== null) return `busy-${state.op.command.do}`
  if (state.freezeQuestion !== null || state.frozenForEpoch > record.epoch) return 'frozen'
  if (nowMs < state.promisedUntilMs) return 'promised-to-primary'
  if (!view.running || !view.answering || !view.receiving || view.upstream !== record.holder) return 'not-following'
  const published = state.holder?.published?.lsn ?? null
  const own = view.position?.lsn ?? null
  if (published === null || own === null) return 'lag-unknown'
  if (published - own > CAUGHT_UP_BYTES) return `lags-by-${published - own}-bytes`
  // One at a time: whoever is away already may be what acknowledgements or a failover hang on (R14).
  const away = settings.members.find(({ member }) => member !== record.holder && !follows(turn, member))
  return away === undefined ? null : `${away.member}-is-away`
}

function follows(turn: Turn, member: string): boolean {
  if (member === turn.settings.self.member) return true
  const fact = turn.state.peers[member]
  if (fact === undefined) return false
  const ageMs = turn.nowMs - fact.atMs + fact.report.loopAgeMs
  return ageMs <= turn.settings.timing.reportMaxAgeMs && fact.report.engine?.receiving === true
}

/** Members of the eligible set besides this one; none: writes may wait until it is back. */
function othersThatConfirm(turn: Turn): number {
  const sync = turn.state.record?.value?.sync
  return sync?.members.filter((member) => member !== turn.settings.self.member).length ?? 0
}
