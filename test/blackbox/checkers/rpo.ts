/**
 * B1 in async mode: what is lost stays within the declared bound. The lost rows are taken by the epoch that had
 * acknowledged them. For each: how old the oldest was when that epoch gave its last acknowledgement (from then on
 * there was nothing more to lose), and how many bytes of log lie between the last row that survived and the last that
 * did not.
 * Both are measured from outside, so they may be larger than what the subject saw by the pause of a client.
 */
import type { CheckerInput, Verdict } from '../contract.ts'
import { lostRows } from './lost.ts'
import { fieldOf, isOk, msOf, type OkOperation, operationsOf, verdictOf } from './operations.ts'
import { rowsOf } from './rows.ts'

/** What a measurement from outside may add to the time: the pause between two acknowledgements. */
const SLACK_MS = 100

interface Loss {
  readonly epoch: number
  readonly rows: number
  readonly ms: number
  /** Null when no position in the log is known. */
  readonly bytes: number | null
}

export function rpo(input: CheckerInput): Verdict {
  const losses = lossesOf(input)
  const { bound, mode } = input
  const figures = {
    failoversWithLoss: losses.length,
    rowsLost: losses.reduce((sum, { rows }) => sum + rows, 0),
    rowsLostMax: Math.max(0, ...losses.map(({ rows }) => rows)),
    lossTimeMaxMs: Math.max(0, ...losses.map(({ ms }) => ms)),
    lossBytesMax: Math.max(0, ...losses.map(({ bytes }) => bytes ?? 0)),
  }
  const findings: string[] = []
  for (const { epoch, rows, ms, bytes } of mode === 'async' && bound !== null ? losses : []) {
    const what = `epoch ${epoch} lost ${rows} acknowledged rows`
    if (ms > (bound?.lossTimeMaxMs ?? 0) + SLACK_MS)
      findings.push(`${what} over ${ms} ms; ${bound?.lossTimeMaxMs} declared`)
    if (bytes !== null && bytes > (bound?.lossBytesMax ?? 0)) {
      findings.push(`${what} in ${bytes} bytes of log; ${bound?.lossBytesMax} declared`)
    }
  }
  return verdictOf('rpo', figures, findings)
}

function lossesOf(input: CheckerInput): readonly Loss[] {
  const byEpoch = new Map<number, { rows: number; first: OkOperation; operations: Set<OkOperation> }>()
  for (const { operation } of lostRows(input)) {
    if (!isOk(operation)) continue
    const loss = byEpoch.get(operation.epoch)
    if (loss === undefined) {
      byEpoch.set(operation.epoch, { rows: 1, first: operation, operations: new Set([operation]) })
      continue
    }
    loss.rows += 1
    loss.operations.add(operation)
    if (operation.endedNs < loss.first.endedNs) loss.first = operation
  }
  const oks = operationsOf(input.history).filter(isOk)
  return [...byEpoch].map(([epoch, { rows, first, operations }]) => {
    const last = oks.filter((one) => one.epoch === epoch).reduce((max, { endedNs }) => Math.max(max, endedNs), 0)
    return { epoch, rows, ms: msOf(last - first.endedNs), bytes: bytesOf(input, epoch, operations) }
  })
}

function bytesOf(input: CheckerInput, epoch: number, lost: ReadonlySet<OkOperation>): number | null {
  const positions = [...lost].map(({ value }) => fieldOf(value, 'lsn')).filter((lsn) => typeof lsn === 'number')
  const [first] = positions
  if (first === undefined) return null
  const earliest = positions.reduce((min, lsn) => Math.min(min, lsn), first)
  let survived = 0
  for (const { operation } of rowsOf(input.history).values()) {
    const lsn = fieldOf(operation.value, 'lsn')
    if (!isOk(operation) || operation.epoch !== epoch || typeof lsn !== 'number' || lost.has(operation)) continue
    if (lsn < earliest) survived = Math.max(survived, lsn)
  }
  const last = positions.reduce((max, lsn) => Math.max(max, lsn), first)
  return last - (survived === 0 ? earliest : survived)
}
