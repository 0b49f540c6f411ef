/** How long a fault is left on. */
import type { DrillSettings } from './model.ts'

/** A planned move answers within its intent's validity. */
export const MOVE_MS = 70_000
/** A killed process is seen gone within the agent's next look. */
export const KILL_MS = 10_000

/** How long the fault is left on; one that ends by itself is only waited for. */
export function lastsMs({ fault }: Pick<DrillSettings, 'fault'>): number {
  if (fault.kind === 'switchover') return MOVE_MS
  return fault.kind === 'kill' ? KILL_MS : fault.forMs
}
