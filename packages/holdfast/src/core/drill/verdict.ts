/** Passed or failed, from what was measured and counted; with every deviation in words. */
import type { DrillSettings, DrillState, Measured, Outcome } from './model.ts'

export function verdictOf(
  state: DrillState,
  settings: DrillSettings,
  measured: Measured,
): { readonly outcome: Outcome; readonly because: string } {
  const found = deviations(state, settings, measured)
  if (found.length > 0) return { outcome: 'failed', because: found.join('; ') }
  const { rtoMs, rpoMs } = settings.objectives
  const rto = `RTO ${Math.round(measured.rtoMs)} ms of ${rtoMs} ms`
  const lost = measured.lost === 0 ? 'nothing acknowledged was lost' : `${measured.lost} acknowledged writes lost`
  return { outcome: 'passed', because: `${rto}, ${lost} (RPO ${Math.round(measured.rpoMs)} ms of ${rpoMs} ms)` }
}

/** Everything that is not as the drill file says. */
export function deviations(state: DrillState, settings: DrillSettings, measured: Measured): readonly string[] {
  const { objectives, recoverMs, during } = settings
  const found: string[] = []
  // A drill that saw no write go through has measured nothing.
  if (measured.acked === 0) found.push('no write of the drill was acknowledged at all')
  if (state.recoveredMs === null) found.push(`the probes of "after" did not all hold within ${recoverMs} ms`)
  if (measured.rtoMs > objectives.rtoMs) {
    found.push(`RTO ${Math.round(measured.rtoMs)} ms is above the objective of ${objectives.rtoMs} ms`)
  }
  if (measured.rpoMs > objectives.rpoMs) {
    found.push(`RPO ${Math.round(measured.rpoMs)} ms is above the objective of ${objectives.rpoMs} ms`)
  }
  if (measured.lost > 0 && objectives.rpoMs === 0) found.push(`${measured.lost} acknowledged writes are lost`)
  if (measured.doubled > 0) found.push(`${measured.doubled} writes stand there twice`)
  for (const [index, { rounds, held }] of state.counts.during.entries()) {
    const name = during[index]?.probe ?? 'a probe'
    if (rounds > 0 && held === 0) found.push(`"${name}" never held while the fault was on (${rounds} looks)`)
  }
  return found
}
