/**
 * Write-ahead logs with their true history. A branch is one stretch written by one primary on one timeline; a point is
 * a place in the tree of branches. Two databases may give equal timeline numbers to different branches, as PostgreSQL
 * does without an archive; only the simulator's checkers see which is which.
 */
export interface Entry {
  /** End of the entry in bytes. */
  readonly lsn: number
  readonly epoch: number
  /** Number of the client's write; -1 for entries the engine makes itself. */
  readonly write: number
  readonly atMs: number
}

export class Branch {
  readonly timeline: number
  readonly parent: Branch | null
  /** Index of the parent's last entry that belongs to this history. */
  readonly forkIndex: number
  readonly startLsn: number
  readonly entries: Entry[] = []

  constructor(timeline: number, parent: Branch | null, forkIndex: number, startLsn: number) {
    this.timeline = timeline
    this.parent = parent
    this.forkIndex = forkIndex
    this.startLsn = startLsn
  }

  /** Index of the last entry written on this branch, or of the fork when there is none. */
  get lastIndex(): number {
    return this.forkIndex + this.entries.length
  }
}

/** The log up to and including `index`. Immutable. */
export interface Point {
  readonly branch: Branch
  readonly index: number
}

export function entryAt(point: Point): Entry | null {
  let branch: Branch | null = point.branch
  while (branch !== null && point.index <= branch.forkIndex) branch = branch.parent
  return branch?.entries[point.index - branch.forkIndex - 1] ?? null
}

export function lsnOf(point: Point): number {
  const entry = entryAt(point)
  if (entry !== null) return entry.lsn
  let branch = point.branch
  while (branch.parent !== null) branch = branch.parent
  return branch.startLsn
}

/** The last point both histories share; null when they never did. */
export function commonPoint(a: Point, b: Point): Point | null {
  let branchA: Branch | null = a.branch
  let indexA = a.index
  while (branchA !== null) {
    let branchB: Branch | null = b.branch
    let indexB = b.index
    while (branchB !== null) {
      if (branchA === branchB) return { branch: branchA, index: Math.min(indexA, indexB) }
      if (indexB > branchB.forkIndex) indexB = branchB.forkIndex
      branchB = branchB.parent
    }
    if (indexA > branchA.forkIndex) indexA = branchA.forkIndex
    branchA = branchA.parent
  }
  return null
}

/** True when `log` holds everything up to `point`. */
export function holds(log: Point, point: Point): boolean {
  let branch: Branch | null = log.branch
  let index = log.index
  let target = point.branch
  // A point at or before its branch's fork belongs to the parent.
  while (point.index <= target.forkIndex && target.parent !== null) target = target.parent
  while (branch !== null && branch !== target) {
    if (index > branch.forkIndex) index = branch.forkIndex
    branch = branch.parent
  }
  return branch !== null && index >= point.index
}

/** Timeline on which the point's last entry was written; what a stopped server's control file would tell. */
export function timelineOf(point: Point): number {
  return point.branch.timeline
}
