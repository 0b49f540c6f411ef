/** What the demo prints: the live timeline, the table at the end, and the one line of JSON. */
import type { ReasonLine } from '@holdfast/client'

export interface FaultResult {
  readonly fault: string
  readonly writeOutageMs: number
  readonly acked: number
  readonly ackedLost: number
  readonly doubled: number
  readonly twoWritersMs: number
  readonly newPrimary: string
  readonly reason: string
  /** New connections through the router that failed during the fault. */
  readonly failedConnects: number
  /** Statements of the workload that ended in an error. */
  readonly refused: number
  readonly healed: boolean
}

/** Decisions that explain nothing to a newcomer. */
const QUIET = new Set(['no-session', 'follows-nobody', 'sync-waits', 'engine-refused', 'failsafe-not-promised'])

/** A line of the timeline stays readable; the log has the whole text. */
const DETAIL_MAX = 90

export function timelineText(line: ReasonLine, sinceMs: number): string | null {
  if (QUIET.has(line.code)) return null
  const detail = Object.entries(line.detail)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => `${key} ${typeof value === 'number' ? Math.round(value) : value}`)
    .join(', ')
  const short = detail.length > DETAIL_MAX ? `${detail.slice(0, DETAIL_MAX)}...` : detail
  const at = `${sinceMs >= 0 ? '+' : ''}${Math.round(sinceMs)} ms`.padStart(10)
  const rule = line.rule === undefined ? '' : ` (${line.rule})`
  return `${at}  ${line.member.padEnd(9)} ${line.code}${rule}${detail === '' ? '' : `: ${short}`}`
}

/** The decision that made somebody primary, or the one that kept it. */
export function reasonText(lines: readonly ReasonLine[]): string {
  const pick = (codes: readonly string[]): ReasonLine | undefined => lines.find((l) => codes.includes(l.code))
  const cause =
    pick(['hands-over']) ??
    pick(['restarts-in-place', 'moves-away']) ??
    pick(['holder-silent', 'holder-released', 'holder-session-replaced']) ??
    pick(['failsafe-holds'])
  return cause?.code ?? 'nothing had to be decided'
}

const HEAD = ['fault', 'outage', 'acked', 'lost', 'doubled', 'two writers', 'primary then', 'why']

export function tableText(results: readonly FaultResult[]): string {
  const rows = results.map((r) => [
    r.fault,
    `${Math.round(r.writeOutageMs)} ms`,
    String(r.acked),
    String(r.ackedLost),
    String(r.doubled),
    `${Math.round(r.twoWritersMs)} ms`,
    r.newPrimary,
    r.reason,
  ])
  const widths = HEAD.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((c, i) => (i > 0 && i < 6 ? c.padStart(widths[i] ?? 0) : c.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [line(HEAD), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')
}

export function jsonText(mode: string, profile: string, ok: boolean, faults: readonly FaultResult[]): string {
  const rounded = faults.map((f) => ({
    ...f,
    writeOutageMs: Math.round(f.writeOutageMs),
    twoWritersMs: Math.round(f.twoWritersMs),
  }))
  return JSON.stringify({ ok, mode, profile, faults: rounded })
}
