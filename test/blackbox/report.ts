/** What a run says at its end: a table of the faults, one of the verdicts, or everything as one line of JSON. */
import { tableLines } from '../../packages/holdfast/src/cli/table.ts'
import type { Verdict } from './contract.ts'
import { FAULTS } from './nemesis/faults.ts'
import type { FaultRow, RunReport } from './run.ts'
import { subjectText } from './settings.ts'

const FIGURES_WIDTH_MAX = 90

export function reportText(report: RunReport): string {
  const { settings, verdicts, rows, acknowledged, promotions, faultMs } = report
  const planned = promotions.filter((one) => one.planned).length
  const minutes = (faultMs / 60_000).toFixed(1)
  const counts = `${rows.length} faults in ${minutes} min, ${promotions.length - planned} failovers, ${planned} planned`
  const findings = verdicts.flatMap(({ checker, findings }) => findings.map((text) => `${checker}: ${text}`))
  return [
    '',
    ...faultLines(rows),
    '',
    ...verdictLines(verdicts),
    '',
    ...findings,
    ...(findings.length === 0 ? [] : ['']),
    `seed ${settings.seed} ${subjectText(settings)}: ${counts}, ${acknowledged} acked`,
    report.ok ? 'every checker is content' : `NOT OK; everything is kept in ${report.folder ?? 'its folder'}`,
  ].join('\n')
}

function faultLines(rows: readonly FaultRow[]): readonly string[] {
  const number = { align: 'right' } as const
  const columns = [
    { title: 'no', ...number },
    { title: 'fault' },
    { title: 'at' },
    { title: 'lasts ms', ...number },
    { title: 'no writes ms', ...number },
    { title: 'whole after ms', ...number },
    { title: 'promoted' },
  ]
  const cells = rows.map((row) => [
    String(row.number),
    faultText(row),
    row.at.join(' '),
    String(row.lastsMs),
    String(row.outageMs),
    row.wholeAfterMs === null ? 'never' : String(row.wholeAfterMs),
    row.promotions.map(({ member, epoch }) => `${member}@${epoch}`).join(' '),
  ])
  return tableLines(columns, cells)
}

/** With what was asked for in its midst. */
export function faultText({ fault, asks, switchover }: FaultRow): string {
  const within = switchover === null || FAULTS[fault]?.asks !== undefined
  return within ? fault : `${fault} + ${asks}`
}

function verdictLines(verdicts: readonly Verdict[]): readonly string[] {
  const columns = [{ title: 'checker' }, { title: 'verdict' }, { title: 'figures', widthMax: FIGURES_WIDTH_MAX }]
  return tableLines(
    columns,
    verdicts.map(({ checker, ok, figures }) => [
      checker,
      ok ? 'ok' : 'FAILED',
      Object.entries(figures)
        .map(([name, value]) => `${name} ${Math.round(value * 10) / 10}`)
        .join(', '),
    ]),
  )
}
