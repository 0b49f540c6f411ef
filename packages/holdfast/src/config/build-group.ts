/** The numbers of a group: a profile with the description's overrides. */
import { type Timing, timingOf } from '../core/settings.ts'

export type TimingKey =
  | 'ttl'
  | 'beat'
  | 'request'
  | 'fence'
  | 'margin'
  | 'promote'
  | 'stop'
  | 'engineSilent'
  | 'reportMaxAge'

/** What depends on ttl, beat or request follows them, unless it is given itself. */
export function timingOfGroup(profile: Timing, overrideMs: (key: TimingKey) => number | null): Timing {
  const base = timingOf(
    overrideMs('ttl') ?? profile.ttlMs,
    overrideMs('beat') ?? profile.beatMs,
    overrideMs('request') ?? profile.requestMs,
  )
  return {
    ...base,
    fenceMs: overrideMs('fence') ?? base.fenceMs,
    marginMs: overrideMs('margin') ?? base.marginMs,
    promoteMs: overrideMs('promote') ?? base.promoteMs,
    stopMs: overrideMs('stop') ?? base.stopMs,
    engineSilentMs: overrideMs('engineSilent') ?? base.engineSilentMs,
    reportMaxAgeMs: overrideMs('reportMaxAge') ?? base.reportMaxAgeMs,
  }
}
