/** Pairs each `invoke` with the line that ended it. Every checker begins here. Pure. */
import type { HistoryLine, OperationName, Verdict } from '../contract.ts'

export interface Operation {
  readonly f: OperationName
  readonly process: number
  readonly invokedNs: number
  /** When its answer came; null when none ever did. */
  readonly endedNs: number | null
  /** `info` also when it has no end. */
  readonly type: 'ok' | 'fail' | 'info'
  /** Of the answer, else of the question. */
  readonly value: unknown
  readonly node: string | null
  readonly epoch: number | null
}

export interface OkOperation extends Operation {
  readonly endedNs: number
  readonly node: string
  readonly epoch: number
}

const FINDINGS_MAX = 5
const known = new WeakMap<readonly HistoryLine[], readonly Operation[]>()

/** In the order of their invocation, without those of the nemesis. */
export function operationsOf(history: readonly HistoryLine[]): readonly Operation[] {
  const before = known.get(history)
  if (before !== undefined) return before
  const operations: Operation[] = []
  /** Where the open operation of a process stands in `operations`. Probes count their processes for themselves. */
  const open = new Map<number, number>()
  for (const line of [...history].sort((a, b) => a.time - b.time || a.index - b.index)) {
    const { process } = line
    if (process === 'nemesis') continue
    const slot = line.f === 'probe' ? -1 - process : process
    if (line.type === 'invoke') {
      open.set(slot, operations.length)
      const { f, value, time } = line
      const unknown = { type: 'info', endedNs: null, node: null, epoch: null } as const
      operations.push({ f, process, value, invokedNs: time, ...unknown })
      continue
    }
    const at = open.get(slot)
    const begun = at === undefined ? undefined : operations[at]
    if (at === undefined || begun === undefined || begun.f !== line.f) {
      throw new Error(`line ${line.index} of process ${process} ends what was not begun`)
    }
    open.delete(slot)
    const { type, node = null, epoch = null, value, time } = line
    operations[at] = { ...begun, type, endedNs: time, node, epoch, value: value ?? begun.value }
  }
  known.set(history, operations)
  return operations
}

export function isOk(one: Operation): one is OkOperation {
  return one.type === 'ok' && one.endedNs !== null && one.node !== null && one.epoch !== null
}

/** A read changes nothing, so one that an old primary answers is no stale write. */
export function isWrite({ f, value }: Operation): boolean {
  if (f === 'txn') return stepsOf(value).some(([kind]) => kind === 'append')
  return !(f === 'transfer' && fieldOf(value, 'read') !== undefined)
}

export type Step = readonly [kind: 'append' | 'r', key: number, value: number | readonly number[] | null]

export function stepsOf(value: unknown): readonly Step[] {
  return Array.isArray(value) ? (value as readonly Step[]) : []
}

export function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined
}

/** Content when there is nothing to say. */
export function verdictOf(checker: string, figures: Verdict['figures'], findings: readonly string[]): Verdict {
  const more = findings.length - FINDINGS_MAX
  const told = more > 0 ? [...findings.slice(0, FINDINGS_MAX), `and ${more} more`] : findings
  return { checker, ok: findings.length === 0, figures, findings: told }
}

export function msOf(ns: number): number {
  return Math.round(ns / 1e4) / 100
}

/** Of sorted numbers; 0 when there are none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? sorted[0] ?? 0
}
