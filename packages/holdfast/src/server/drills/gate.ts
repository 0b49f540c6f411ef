/** Yes to a gate of a drill: of the run and the gate that were looked at, by somebody its file names. Pure. */
import type { Gate } from '../../core/drill/model.ts'
import type { ActiveDrill, DrillRecord } from '../../drills/ledger.ts'
import { HoldfastError } from '../../errors.ts'

export interface Yes {
  /** Of the run. */
  readonly id: string
  readonly gate: Gate
  readonly user: string
}

/** Null: that gate was opened already, and once is enough. */
export function withYes(record: DrillRecord, { id, gate, user }: Yes): DrillRecord | null {
  const { active } = record
  if (active?.id === id && active.approvals.some((one) => one.gate === gate)) return null
  if (active === null || active.waiting === null || active.id !== id || active.waiting.gate !== gate) {
    const message = `that drill of ${record.group} does not wait before the ${gate}: ${nowWords(active)}`
    throw new HoldfastError('HF_DRILL_REFUSED', message, 'look at what waits now, and approve that')
  }
  const { by } = active.waiting
  if (!by.includes(user)) throw notAllowed(`${user} is none of ${by.join(', ')}`)
  if (accountOf(active.by) === user) throw notAllowed(`${user} asked for this drill`)
  return { ...record, active: { ...active, approvals: [...active.approvals, { gate, by: user }] } }
}

function nowWords(active: ActiveDrill | null): string {
  if (active === null) return 'no drill runs'
  const waits = active.waiting === null ? 'waits for nobody' : `waits before the ${active.waiting.gate}`
  return `${active.drill} (run ${active.id}) ${waits}`
}

/** Of `account@host`. */
function accountOf(by: string): string {
  const at = by.lastIndexOf('@')
  return at < 0 ? by : by.slice(0, at)
}

function notAllowed(because: string): HoldfastError {
  return new HoldfastError('HF_DRILL_REFUSED', because, 'somebody whom the drill file names has to approve')
}
