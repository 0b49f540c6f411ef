/**
 * B8. No promotion that nobody asked for without a fault in the write path before it. A fault excuses from its way in
 * until some time after its way back, and until all was whole again where that took longer. Whether it excuses at all
 * is said by the `fault` line (`excuses`), else by its name. Promotions before the first operation of a client made the
 * group, and need no excuse.
 */
import type { CheckerInput, HistoryLine, Promotion, Verdict } from '../contract.ts'
import { fieldOf, msOf, verdictOf } from './operations.ts'

/** A member that was away, and a store that was slow, may be answered for so long after they came back. */
const AFTERMATH_MS = 15_000

/** Faults that stand in nobody's way but the clients': after these no primary may change. Every other fault excuses. */
const HARMLESS: ReadonlySet<string> = new Set(['none', 'kill-router', 'freeze-router', 'cut-clients'])

interface Excuse {
  readonly fromNs: number
  readonly toNs: number
}

export function falseFailover({ history, promotions }: CheckerInput): Verdict {
  const beganNs = history.reduce(
    (min, { process, time }) => (process === 'nemesis' ? min : Math.min(min, time)),
    Infinity,
  )
  const excuses = excusesOf(history)
  const later = promotions.filter(({ time }) => time >= beganNs)
  const unplanned = later.filter(({ planned }) => !planned)
  const wrong = unplanned.filter(({ time }) => !excuses.some(({ fromNs, toNs }) => fromNs <= time && time <= toNs))
  const findings = wrong.map((one) => findingOf(one, beganNs))
  const figures = { promotions: later.length, planned: later.length - unplanned.length, false: wrong.length }
  return verdictOf('false-failover', figures, findings)
}

function excusesOf(history: readonly HistoryLine[]): readonly Excuse[] {
  const lines = history.filter(({ process }) => process === 'nemesis')
  const excuses: Excuse[] = []
  for (const [i, line] of lines.entries()) {
    if (line.f !== 'fault' || !doesExcuse(line.value)) continue
    const later = lines.slice(i + 1).filter(({ value }) => isSame(value, line.value))
    const healedNs = later.find(({ f }) => f === 'heal')?.time ?? Infinity
    const wholeNs = later.find(({ f }) => f === 'whole')?.time ?? 0
    excuses.push({ fromNs: line.time, toNs: Math.max(healedNs + AFTERMATH_MS * 1e6, wholeNs) })
  }
  return excuses
}

function doesExcuse(value: unknown): boolean {
  const told = fieldOf(value, 'excuses')
  return typeof told === 'boolean' ? told : !HARMLESS.has(String(fieldOf(value, 'fault')))
}

function isSame(heal: unknown, fault: unknown): boolean {
  const same = (field: string): boolean =>
    JSON.stringify(fieldOf(heal, field)) === JSON.stringify(fieldOf(fault, field))
  return same('fault') && same('number')
}

function findingOf({ member, epoch, time, reason }: Promotion, beganNs: number): string {
  return `${member} was promoted to epoch ${epoch} after ${msOf(time - beganNs)} ms without a fault: ${reason}`
}
