/**
 * What each world of this machine has made, written down before it is made, so that the next run can remove what a
 * killed one left. Also hands out the third byte of a world's addresses: one file, one world.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify, isAlive, type ProcessId } from '../../../packages/holdfast/src/io/process-tree.ts'

/** One for each user: nobody can read or remove what another one made. */
const HOME = join(tmpdir(), `holdfast-worlds-${process.getuid?.() ?? 'user'}`)
const SUBNETS = { first: 2, last: 250 }
const GONE_MS = 5_000
const LOOK_MS = 20

export interface Claim {
  readonly owner: ProcessId
  /** Prefix of every namespace and interface: `hf` and four hexadecimal digits. */
  readonly name: string
  readonly subnet: number
  readonly namespaces: readonly string[]
  readonly folder: string
}

/** Takes a free subnet; throws when this machine has no more. */
export function claimSubnet(of: Omit<Claim, 'owner' | 'subnet'>): Claim {
  mkdirSync(HOME, { recursive: true, mode: 0o700 })
  const owner = identify(process.pid) ?? { pid: process.pid, started: '' }
  const count = SUBNETS.last - SUBNETS.first + 1
  const from = Math.floor(Math.random() * count)
  for (let i = 0; i < count; i++) {
    const subnet = SUBNETS.first + ((from + i) % count)
    const claim: Claim = { ...of, owner, subnet }
    try {
      writeFileSync(fileOf(subnet), JSON.stringify(claim), { flag: 'wx', mode: 0o600 })
      return claim
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error(`no subnet is left; see ${HOME}`)
}

function fileOf(subnet: number): string {
  return join(HOME, `subnet-${subnet}.json`)
}

export function disclaim(claim: Claim): void {
  rmSync(fileOf(claim.subnet), { force: true })
}

/** Takes down every world whose owner is dead. Returns their names. */
export async function removeLeftovers(): Promise<readonly string[]> {
  const removed: string[] = []
  for (const claim of claims()) {
    if (isAlive(claim.owner)) continue
    await takeDown(claim)
    removed.push(claim.name)
  }
  return removed
}

function claims(): readonly Claim[] {
  try {
    return readdirSync(HOME).flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(HOME, name), 'utf8')) as Claim]
      } catch {
        // Being written or removed just now.
        return []
      }
    })
  } catch {
    return []
  }
}

/** Processes, mounts and namespaces of a world, in this order; idempotent. */
export async function takeDown(claim: Claim): Promise<void> {
  const endMs = performance.now() + GONE_MS
  for (let left = killAll(claim); left > 0 && performance.now() < endMs; left = killAll(claim)) await sleep(LOOK_MS)
  takeDownAtOnce(claim)
}

/** The same without waiting, for a process that is about to end. */
export function takeDownAtOnce(claim: Claim): void {
  killAll(claim)
  for (const mount of mountsUnder(claim.folder)) quietly('umount', ['-l', mount])
  for (const namespace of claim.namespaces) quietly('ip', ['netns', 'del', namespace])
  if (claim.namespaces.length > 0) quietly('ip', ['link', 'del', claim.name])
  disclaim(claim)
}

function killAll(claim: Claim): number {
  const pids = processesOf(claim)
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended in between.
    }
  }
  return pids.length
}

/** Whoever lives in one of the namespaces, or works in the folder, whoever started it. Never ourselves. */
export function processesOf(claim: Claim): readonly number[] {
  const inside = claim.namespaces.flatMap((namespace) =>
    quietly('ip', ['netns', 'pids', namespace]).split('\n').filter(Boolean).map(Number),
  )
  const there = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => worksUnder(pid, claim.folder))
  return [...new Set([...inside, ...there])].filter((pid) => pid !== process.pid && identify(pid) !== null)
}

/** By its working folder only: a shell that merely names the folder in its words is none of ours. */
function worksUnder(pid: number, folder: string): boolean {
  try {
    const cwd = readlinkSync(`/proc/${pid}/cwd`)
    return cwd === folder || cwd.startsWith(`${folder}/`)
  } catch {
    return false
  }
}

/** Deepest first. */
function mountsUnder(folder: string): readonly string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const points = lines.map((line) => line.split(' ')[1]?.replaceAll('\\040', ' ') ?? '')
  return points.filter((point) => point.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length)
}

function quietly(command: string, words: readonly string[]): string {
  try {
    return execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: GONE_MS })
  } catch {
    return ''
  }
}
