/** Looks once at each thing a drill file names. A look that fails is "does not hold", never an error. */
import { spawn } from 'node:child_process'
import type { GroupSpec } from '../config/platform.ts'
import { bytesText } from '../config/quantities.ts'
import type { ProbeSpec } from '../core/drill/model.ts'
import type { Canary, CanaryDoor } from './canary.ts'
import type { Seen } from './scene.ts'

/** A write that was acknowledged this recently is "just now". */
const FRESH_MS = 1_000
const HTTP_MS = 3_000
const COMMAND_MS = 30_000

export interface ProbeScene {
  readonly group: GroupSpec
  readonly canary: Canary
  readonly door: CanaryDoor
  readonly seen: () => Seen | null
  readonly nowMs: () => number
}

export async function look(probe: ProbeSpec, scene: ProbeScene): Promise<boolean> {
  try {
    return await holds(probe, scene)
  } catch {
    return false
  }
}

async function holds(probe: ProbeSpec, { group, canary, door, seen, nowMs }: ProbeScene): Promise<boolean> {
  switch (probe.probe) {
    case 'writable': {
      const { lastAckMs } = canary.view()
      return lastAckMs !== null && nowMs() - lastAckMs <= FRESH_MS
    }
    case 'readable':
      await door.read()
      return true
    case 'one-primary':
      return seen()?.writers.length === 1
    case 'members':
      return (seen()?.well.length ?? 0) >= (probe.atLeast ?? group.members.length)
    case 'lag': {
      const lagBytes = seen()?.lagBytes ?? null
      return lagBytes !== null && lagBytes <= probe.belowBytes
    }
    case 'sql':
      return (await door.query(probe.query)) === probe.expect
    case 'http': {
      const answer = await fetch(probe.url, { signal: AbortSignal.timeout(HTTP_MS), redirect: 'manual' })
      await answer.body?.cancel()
      return answer.status === probe.status
    }
    case 'command':
      return (await exitOf(probe.run)) === 0
  }
}

function exitOf([program = '', ...words]: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: 'ignore', timeout: COMMAND_MS, killSignal: 'SIGKILL' })
    child.on('error', reject)
    child.on('exit', resolve)
  })
}

/** As the report and the screen name it. */
export function probeWords(probe: ProbeSpec, group: Pick<GroupSpec, 'members'>): string {
  switch (probe.probe) {
    case 'writable':
      return 'a write through the door was acknowledged within the last second'
    case 'readable':
      return 'a read through the door is answered'
    case 'one-primary':
      return 'exactly one member may write'
    case 'members':
      return `${probe.atLeast ?? group.members.length} of ${group.members.length} members are open or follow`
    case 'lag':
      return `no replica is more than ${bytesText(probe.belowBytes)} behind, by its own counters`
    case 'sql':
      return `${probe.query} gives ${probe.expect}`
    case 'http':
      return `${probe.url} answers ${probe.status}`
    case 'command':
      return `${probe.run.join(' ')} ends with 0`
  }
}
