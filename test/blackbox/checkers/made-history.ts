/** Histories made by hand, for the tests of the checkers: each operation in one line, times in milliseconds. */
import type { CheckerInput, FinalMember, FinalState, HistoryLine, OperationName } from '../contract.ts'

export interface Made {
  readonly f: OperationName
  readonly value: unknown
  readonly from: number
  /** Null: never answered. */
  readonly to: number | null
  readonly process?: number
  readonly type?: 'ok' | 'fail' | 'info'
  readonly node?: string
  readonly epoch?: number
}

/** Without a process each operation has one of its own. */
export function made(operations: readonly Made[], nemesis: readonly HistoryLine[] = []): readonly HistoryLine[] {
  const lines: HistoryLine[] = [...nemesis]
  for (const [i, one] of operations.entries()) {
    const { f, value, from, to, process = i, type = 'ok', node = 'a', epoch = 1 } = one
    lines.push({ index: 0, time: from * 1e6, type: 'invoke', process, f, value })
    if (to === null) continue
    const who = type === 'ok' ? { node, epoch } : { error: 'made so' }
    lines.push({ index: 0, time: to * 1e6, type, process, f, value, ...who })
  }
  return lines.sort((a, b) => a.time - b.time).map((line, index) => ({ ...line, index }))
}

export function nemesisLine(f: 'fault' | 'heal' | 'whole', atMs: number, value: unknown): HistoryLine {
  return { index: 0, time: atMs * 1e6, type: 'info', process: 'nemesis', f, value }
}

export function member(state: Partial<FinalMember> = {}): FinalMember {
  return { rows: [], balances: [], lists: {}, ...state }
}

export function finalOf(a: Partial<FinalMember>, b: Partial<FinalMember> = a): FinalState {
  return { primary: 'a', members: { a: member(a), b: member(b) } }
}

export function input(history: readonly HistoryLine[], more: Partial<CheckerInput> = {}): CheckerInput {
  return { history, final: finalOf({}), mode: 'sync', bound: null, promotions: [], ...more }
}

/** Row `n/attempt`, sent at `from` and answered 10 ms later. */
export function inserted(n: number, from: number, more: Partial<Made> & { readonly attempt?: number } = {}): Made {
  const { attempt = 1, ...rest } = more
  return { f: 'insert', value: { n, attempt }, from, to: from + 10, ...rest }
}

export function probed(name: string, from: number, more: Partial<Made> = {}): Made {
  const node = { node: name, process: name.charCodeAt(0) }
  return { f: 'probe', value: { member: name, n: from }, from, to: from + 5, ...node, ...more }
}
