/**
 * What the nemesis can do to processes and links, each with its way back. Signals only processes that the subject named
 * a moment before, each by its id; links belong to the world. Which fault does what stands in `faults.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { identify, isAlive } from '../../../packages/holdfast/src/io/process-tree.ts'
import type { Lane, LinkShape, Part, Subject, World } from '../contract.ts'

/** A killed process needs a turn on a core to end. */
const DEAD_MS = 10_000
const DEAD_LOOK_MS = 5

/** What a fault is done with. */
export interface Field {
  readonly world: World
  readonly subject: Subject
  /** The group that faults are aimed at. */
  readonly lane: Lane
  /** Hosts of members, in the order of the subject. */
  readonly memberHosts: readonly string[]
  /** By host, empty where there are none: disks of engines to be filled, wall clocks of agents to be set. */
  readonly disks: ReadonlyMap<string, { fill(leaveBytes?: number): void; free(): void }>
  readonly clocks: ReadonlyMap<string, { step(offset: string): void; back(): void }>
}

/** Undoes what was done; may be called twice, and when part of it is gone. */
export type Back = () => Promise<void>

export interface Place {
  readonly host: string
  readonly part: Part
  /** Only what belongs to this group; absent: of all. */
  readonly group?: string
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): number {
  let reached = 0
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
      reached += 1
    } catch {
      // It ended by itself between the look and the signal.
    }
  }
  return reached
}

/**
 * All at once: everything is stopped before anything is killed, so that nobody sees another one die. The way back waits
 * for the dead: on a busy machine a process lives on for a while after its signal, and what lives is not started.
 */
export function kill(field: Field, places: readonly Place[]): Back {
  const pids = places.flatMap(({ host, part, group }) => field.subject.pids(host, part, group))
  const struck = pids.flatMap((pid) => identify(pid) ?? [])
  if (pids.length > 1) signalAll(pids, 'SIGSTOP')
  signalAll(pids, 'SIGKILL')
  return async () => {
    const endMs = performance.now() + DEAD_MS
    while (struck.some(isAlive) && performance.now() < endMs) await sleep(DEAD_LOOK_MS)
    restart(field, places)
  }
}

/** Starts what is not running. A part that another part starts (guard, engine) is left to that one. */
export function restart(field: Field, places: readonly Place[]): void {
  for (const { host, part } of places) {
    if (field.subject.pids(host, part).length === 0) field.subject.restart(host, part)
  }
}

/** Stops processes; the way back lets exactly those go on, in an order of the caller's choice. */
export function freeze(field: Field, places: readonly Place[], order: (pids: number[]) => number[]): Back {
  const frozen = new Set<number>()
  // Twice: a process may have been born between the look and the stop of its parent.
  for (let look = 0; look < 2; look += 1) {
    const all = places.flatMap(({ host, part, group }) => field.subject.pids(host, part, group))
    const pids = all.filter((pid) => !frozen.has(pid))
    signalAll(pids, 'SIGSTOP')
    for (const pid of pids) frozen.add(pid)
  }
  return async () => {
    signalAll(order([...frozen]), 'SIGCONT')
    frozen.clear()
  }
}

export type Link = readonly [from: string, to: string]

/** Both directions between one host and each of the others. */
export function between(host: string, others: readonly string[]): readonly Link[] {
  return others
    .filter((other) => other !== host)
    .flatMap((other): Link[] => [
      [host, other],
      [other, host],
    ])
}

export async function cut(field: Field, links: readonly Link[]): Promise<Back> {
  await Promise.all(links.map(([from, to]) => field.world.cut(from, to)))
  return () => field.world.heal()
}

export async function shape(field: Field, links: readonly Link[], how: LinkShape): Promise<Back> {
  await Promise.all(links.map(([from, to]) => field.world.shape(from, to, how)))
  return () => field.world.heal()
}
