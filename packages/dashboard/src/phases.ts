/** The phases of an incident as bars: each lasts until the next begins. Pure. */
import type { ApiIncident } from '@holdfast/client'

export const PHASES = ['detect', 'decide', 'fence', 'promote', 'route', 'healthy'] as const

export interface PhaseRow {
  readonly phase: (typeof PHASES)[number]
  /** After the incident began. */
  readonly fromMs: number
  /** Of 100. */
  readonly start: number
  readonly length: number
  readonly summary: string
}

/** So that a moment can still be seen. */
const LENGTH_MIN = 0.8

export function phaseRows(incident: ApiIncident, wallMs: number): readonly PhaseRow[] {
  const inOrder = incident.phases.toSorted(
    (a, b) => a.wallMs - b.wallMs || PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase),
  )
  const first = Math.min(incident.openedMs, inOrder[0]?.wallMs ?? incident.openedMs)
  const last = Math.max(first + 1, incident.closedMs ?? wallMs, inOrder.at(-1)?.wallMs ?? 0)
  const part = (ms: number): number => (100 * (ms - first)) / (last - first)
  return inOrder.map(({ phase, wallMs: fromMs, summary }, index) => {
    const endMs = inOrder[index + 1]?.wallMs ?? last
    const length = Math.max(LENGTH_MIN, part(endMs) - part(fromMs))
    return { phase, fromMs: fromMs - first, start: Math.min(part(fromMs), 100 - LENGTH_MIN), length, summary }
  })
}
