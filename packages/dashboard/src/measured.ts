/** The words for what a canary measured. Pure; a figure that was not measured is never shown as zero. */
import type { ApiCanary, ApiIncidentCanary, ApiLoss, ApiMeasuredRisk } from '@holdfast/client'
import type { CanaryFigures } from './live/live-state.ts'
import { lossText } from './standing.ts'
import { countText, durationText, shareText } from './words.ts'

type Figures = Readonly<Record<string, CanaryFigures>>

/** Of these groups the one that would lose most; null unless it is measured in each of them. */
export function worstRisk(canary: Figures, groups: readonly string[]): ApiMeasuredRisk | null {
  let worst: ApiMeasuredRisk | null = null
  for (const group of groups) {
    const risk = canary[group]?.risk ?? null
    if (risk === null) return null
    if (worst === null || risk.ms > worst.ms || (risk.ms === worst.ms && risk.records > worst.records)) worst = risk
  }
  return worst
}

export function riskText({ records, ms }: ApiMeasuredRisk): string {
  return records === 0 ? 'Nothing' : `${countText(records, 'record')}, ${durationText(ms)} of writes`
}

export function riskBecause({ records, member, site, lookedMsAgo }: ApiMeasuredRisk): string {
  const shows = records === 0 ? 'showed every acknowledged record' : 'was the best copy elsewhere'
  return `Measured ${durationText(lookedMsAgo)} ago: ${member} in ${site} ${shows}.`
}

/** What was measured, else what counters predict; which of them it is, is always said. */
export function lostNow(canary: Figures, groups: readonly string[], loss: ApiLoss): readonly [string, string] {
  const risk = worstRisk(canary, groups)
  if (risk === null) return [lossText(loss), `A prediction, not measured: ${loss.because}.`]
  return [riskText(risk), `${riskBecause(risk)} Counters predict: ${predicted(loss)}.`]
}

function predicted(loss: ApiLoss): string {
  if (loss.kind === 'unknown') return 'not known'
  return loss.bytes === 0 ? 'nothing' : lossText(loss)
}

export type Availability = ApiCanary['availability'][number]

const NAMES: Readonly<Record<number, string>> = { 3600000: '1 h', 86400000: '24 h', 2419200000: '28 d' }

export function windowText({ windowMs }: Availability): string {
  return NAMES[windowMs] ?? durationText(windowMs)
}

export function availabilityText({ writes, downMs, unmeasuredMs }: Availability): readonly [string, string] {
  if (writes === null) return ['not measured', '']
  const down = downMs === 0 ? 'no outage' : `${durationText(downMs)} without writes`
  return [shareText(writes), unmeasuredMs === 0 ? down : `${down}; ${durationText(unmeasuredMs)} not measured`]
}

/** An incident as its clients had it. */
export function outageText(measured: ApiIncidentCanary | null): string {
  if (measured === null || measured.outageMs === null) return 'not measured'
  const { outageMs, resolutionMs } = measured
  return `${durationText(outageMs)} (± ${durationText(resolutionMs)})`
}

export function lostText(measured: ApiIncidentCanary | null): string {
  if (measured === null) return 'not measured'
  if (measured.lostRecords === null) return 'not known yet'
  if (measured.lostRecords === 0) return 'nothing acknowledged'
  return `${countText(measured.lostRecords, 'acknowledged record')}, ${durationText(measured.lostMs ?? 0)} of writes`
}
