/**
 * Stops processes and lets them go on: each by its id and its start time, so that a number used again is never hit.
 * Their children go on running unless they are in the list.
 */
import { identify, isAlive, type ProcessId } from '../../../packages/holdfast/src/io/process-tree.ts'

export class Freezer {
  readonly #frozen: ProcessId[] = []

  freeze(pids: readonly number[]): void {
    for (const pid of pids) {
      const id = identify(pid)
      if (id === null || !signalled(id, 'SIGSTOP')) continue
      this.#frozen.push(id)
    }
  }

  /** May be called twice. */
  thaw(): void {
    for (const id of this.#frozen.splice(0)) signalled(id, 'SIGCONT')
  }
}

function signalled(id: ProcessId, signal: NodeJS.Signals): boolean {
  try {
    return isAlive(id) && process.kill(id.pid, signal)
  } catch {
    // It ended in between.
    return false
  }
}
