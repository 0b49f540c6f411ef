/** What a freeze stops and in which order it lets it run again; shared by its dead-man and the agent's next start. */
import { isAlive, type ProcessId, treeOf } from '../io/process-tree.ts'

/** An engine is known by its folder: which processes it has is looked up at the very moment they are signalled. */
export interface EngineHome {
  readonly dataDir: string
  readonly mainPid: number | null
}

/**
 * So long the guard and the agent run again before their engine does: a lease that ended meanwhile is found on waking,
 * by a timer that is due, and the engine is killed while it stands. A quarter of a second is enough on a busy host.
 */
export const FENCERS_FIRST_MS = 250

export function processesOf(engines: readonly EngineHome[]): readonly ProcessId[] {
  return engines.flatMap(({ dataDir, mainPid }) => treeOf(dataDir, mainPid))
}

/** False: it is gone, or it is not ours to signal. */
export function signalOne(one: ProcessId, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): boolean {
  try {
    return isAlive(one) && process.kill(one.pid, signal)
  } catch {
    return false
  }
}
