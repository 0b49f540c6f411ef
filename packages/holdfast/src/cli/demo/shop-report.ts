/** What a scenario prints at its end: the table of steps, what the service paid, and the one line of JSON. */
import { tableLines } from '../table.ts'
import type { Account } from './shop-figures.ts'

export interface GroupResult {
  readonly group: string
  /** Longest time without an acknowledged write at the doors. */
  readonly writeOutageMs: number
  readonly twoWritersMs: number
}

export interface StepResult {
  readonly name: string
  readonly predictedMs: number
  readonly measuredMs: number | null
}

export interface MoveResult {
  readonly move: string
  /** Longest time without a whole order. */
  readonly rtoMs: number
  readonly groups: readonly GroupResult[]
  readonly steps: readonly StepResult[]
  readonly planPhase: string
  /** Orders acknowledged since it began, and those of them that were lost, or lost their reservation. */
  readonly acked: number
  readonly ackedLost: number
  /** Attempts of customers that were refused or cut, and made again. */
  readonly refused: number
  readonly newPrimary: string
  readonly reason: string
  readonly healed: boolean
}

export interface Sums extends Account {
  readonly placed: number
  readonly soldOut: number
  readonly moves: readonly MoveResult[]
}

export interface ShopOutcome extends Sums {
  readonly ok: boolean
}

/** Nothing acknowledged is lost, nothing sold twice, nobody writes beside another, every move came to its end. */
export function sound({ lostOrders, lostReservations, oversold, moves }: Sums): boolean {
  const kept = lostOrders === 0 && lostReservations === 0 && oversold === 0
  return kept && moves.every((move) => move.healed && move.groups.every((group) => group.twoWritersMs === 0))
}

const STEP_COLUMNS = [
  { title: 'move' },
  { title: 'step' },
  { title: 'predicted', align: 'right' },
  { title: 'measured', align: 'right' },
] as const

const GROUP_COLUMNS = [
  { title: 'move' },
  { title: 'group' },
  { title: 'writes refused', align: 'right' },
  { title: 'two writers', align: 'right' },
] as const

export function shopText(outcome: ShopOutcome): string {
  const { moves, placed, soldOut, lostOrders, lostReservations, oversold, ok } = outcome
  const steps = moves.flatMap(({ move, steps }) =>
    steps.map(({ name, predictedMs, measuredMs }) => [move, name, msText(predictedMs), msText(measuredMs)]),
  )
  const groups = moves.flatMap(({ move, groups }) =>
    groups.map((one) => [move, one.group, msText(one.writeOutageMs), msText(one.twoWritersMs)]),
  )
  const services = moves.map(({ move, rtoMs, newPrimary, planPhase, healed }) => {
    const end = healed ? '' : `, NOT WHOLE AGAIN (plan: ${planPhase})`
    return `${move}: no order for ${rtoMs} ms at most, then ${newPrimary}${end}`
  })
  const books = `${placed} acknowledged orders, ${lostOrders} lost; ${lostReservations} reservations lost; `
  return [
    ...tableLines(STEP_COLUMNS, steps),
    '',
    ...tableLines(GROUP_COLUMNS, groups),
    '',
    ...services,
    `${books}${oversold} pieces oversold, ${soldOut} customers told "sold out".`,
    ok ? 'Nothing was lost or oversold, and there never were two writers.' : 'NOT as promised: see above.',
  ].join('\n')
}

function msText(ms: number | null): string {
  return ms === null ? '-' : `${Math.round(ms)} ms`
}

export function shopJson(scenario: string, profile: string, outcome: ShopOutcome): string {
  const { ok, moves, placed, soldOut, lostOrders, lostReservations, oversold } = outcome
  const faults = moves.map((one) => ({
    fault: one.move,
    writeOutageMs: one.rtoMs,
    acked: one.acked,
    ackedLost: one.ackedLost,
    twoWritersMs: Math.max(...one.groups.map(({ twoWritersMs }) => twoWritersMs)),
    newPrimary: one.newPrimary,
    reason: one.reason,
    refused: one.refused,
    healed: one.healed,
  }))
  return JSON.stringify({
    ok,
    mode: 'sync',
    profile,
    scenario,
    faults,
    groups: moves.flatMap(({ move, groups }) => groups.map((group) => ({ move, ...group }))),
    steps: moves.flatMap(({ move, steps }) =>
      steps.map((step) => ({
        move,
        ...step,
        measuredMs: step.measuredMs === null ? null : Math.round(step.measuredMs),
      })),
    ),
    service: {
      rtoMs: Math.max(...moves.map(({ rtoMs }) => rtoMs)),
      rpoLostOrders: lostOrders,
      lostReservations,
      oversold,
      placed,
      soldOut,
    },
  })
}
