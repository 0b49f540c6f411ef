/** The first leadership of a group: which member makes the data set, and when the others may step in. */
import type { GroupRecord } from '../model.ts'
import { freshReport } from './eligibility.ts'
import { creation } from './record.ts'
import { because, patch, standing, type Turn, wake, writeRecord } from './turn.ts'

/** Each next member in line waits this many ttls longer for the ones before it. */
const PATIENCE_TTLS = 10

/** The store has no record of the group. It is only a new group if nobody has data (R22: a store may have lost it). */
export function foundGroup(turn: Turn): void {
  const fact = turn.state.record
  if (fact === null || fact.value !== null || fact.readSentAtMs < 0) return
  creationTurn(turn, null)
}

export function creationTurn(turn: Turn, record: GroupRecord | null): void {
  const { state, settings, nowMs } = turn
  const { view } = state
  if (view === null || turn.session === null || !state.guard.alive || state.storeWentBack) return
  const holdsData = settings.members.find((m) => {
    const engine = m.member === settings.self.member ? view : freshReport(state, settings, m.member, nowMs)?.engine
    // A copy that was made but never opened holds nothing that anybody was told is safe.
    return engine?.data === 'ready' && engine.unopenedEpoch === null
  })
  if (holdsData !== undefined) {
    standing(turn, 'founding', 'store-empty-but-data-exists', { rule: 'R22', member: holdsData.member })
    return
  }
  if (view.data === 'foreign') {
    standing(turn, 'founding', 'data-directory-not-ours', { rule: 'R28' })
    return
  }
  const line = [...settings.members].filter((m) => !m.noFailover).sort((a, b) => b.priority - a.priority)
  const rank = line.findIndex((m) => m.member === settings.self.member)
  if (rank < 0) return
  const others = settings.members.filter((m) => m.member !== settings.self.member)
  const allHeard = others.every((m) => freshReport(state, settings, m.member, nowMs)?.engine != null)
  const turns = allHeard ? rank : rank + 1
  const fromMs = (state.record?.firstSeenAtMs ?? nowMs) + turns * PATIENCE_TTLS * settings.timing.ttlMs
  if (nowMs < fromMs) {
    wake(turn, fromMs)
    return
  }
  if (!writeRecord(turn, 'create', creation(turn, record))) return
  because(turn, 'creates-group', { rule: 'R7', rank })
  patch(turn, { role: 'claiming' })
}
