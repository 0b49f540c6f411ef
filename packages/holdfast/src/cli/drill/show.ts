/** `holdfast drill list`, `due` and `report`: what runs, what ran, what it is worth today, what is due. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type DrillSpec, loadDrill } from '../../config/drill.ts'
import { type DrillEntry, drillEntries } from '../../config/drill-files.ts'
import { completedDrill } from '../../config/drill-objectives.ts'
import type { Mistake } from '../../config/mistake.ts'
import type { Platform } from '../../config/platform.ts'
import { durationText } from '../../config/quantities.ts'
import { mistakesText } from '../../config/report.ts'
import { scoreOf } from '../../core/drill/score.ts'
import { openDesk } from '../../drills/desk.ts'
import { dueOf } from '../../drills/due.ts'
import type { DrillRecord } from '../../drills/ledger.ts'
import { REPORT_BYTES_MAX } from '../../evidence/folder.ts'
import { printPdf } from '../../evidence/pdf.ts'
import { type DrillReport, reportIn } from '../../evidence/report.ts'
import { sealed, unsealed } from '../../evidence/seal.ts'
import { FILE_FORMAT, SEALED_SUFFIX } from '../../evidence/verify.ts'
import { systemClock } from '../../io/clock.ts'
import { readFileLimited, writeFileDurable } from '../../io/files.ts'
import { openSigningKey, sha256Hex } from '../../io/signing.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Common, countText, fail } from '../shell.ts'
import { tableLines } from '../table.ts'
import { evidenceFolderOf } from './run.ts'

export async function list(common: Common, platform: Platform): Promise<ExitCode> {
  const desk = openDesk(platform)
  const nowWallMs = systemClock.wallMs()
  try {
    const records: DrillRecord[] = []
    for (const group of platform.groups) records.push(await desk.ledger.read(group.name))
    if (common.output === 'json') {
      const groups = records.map((record) => ({ ...record, score: Math.round(scoreOf(record.past, nowWallMs)) }))
      common.terminal.out(`${JSON.stringify({ ok: true, groups })}\n`)
      return EXIT.ok
    }
    common.terminal.out(`${listLines(common, records, nowWallMs).join('\n')}\n`)
    return EXIT.ok
  } finally {
    await desk.close()
  }
}

function listLines({ paint }: Common, records: readonly DrillRecord[], nowWallMs: number): readonly string[] {
  const columns = [
    { title: 'GROUP' },
    { title: 'SCORE', align: 'right' as const },
    { title: 'DRILL' },
    { title: 'OUTCOME' },
    { title: 'RTO', align: 'right' as const },
    { title: 'RPO', align: 'right' as const },
    { title: 'AGO', align: 'right' as const },
    { title: 'REPORT', align: 'right' as const },
  ]
  const figure = (ms: number | null): string => (ms === null ? '-' : durationText(ms))
  const rows = records.flatMap(({ group, active, past }) => {
    const score = String(Math.round(scoreOf(past, nowWallMs)))
    const running =
      active === null
        ? []
        : [[group, score, active.drill, `runs: ${active.phase}`, '-', '-', ago(active, nowWallMs), '-']]
    const ended = past.toReversed().map((run) => {
      const outcome = run.practice ? `${run.outcome}, practice` : run.outcome
      const when = durationText(Math.max(0, nowWallMs - run.endedWallMs))
      return [group, score, run.drill, outcome, figure(run.rtoMs), figure(run.rpoMs), when, String(run.seq ?? '-')]
    })
    return running.length + ended.length > 0 ? [...running, ...ended] : [[group, '0', '-', 'never', '-', '-', '-', '-']]
  })
  const waits = records.flatMap(({ group, active }) =>
    active?.waiting
      ? [
          '',
          `${group}: ${active.drill} waits for ${active.waiting.by.join(' or ')} before the ${active.waiting.gate}:`,
          `  holdfast drill approve ${group}`,
        ]
      : [],
  )
  const note = paint.dim('A score is 100 on the day a drill passed and halves every 90 days; on a copy it is half.')
  return [...tableLines(columns, rows), ...waits, '', note]
}

function ago(active: NonNullable<DrillRecord['active']>, nowWallMs: number): string {
  return durationText(Math.max(0, nowWallMs - active.startedWallMs))
}

/** Whether each file is right by itself; what its group promises is not asked. Tells every mistake. */
export function areRight(common: Common, files: readonly string[]): boolean {
  const bad = files.flatMap((file) => {
    const loaded = loadDrill(file)
    return loaded.ok ? [] : [{ file, mistakes: loaded.mistakes }]
  })
  return !tellMistakes(common, bad)
}

/** Reads every file, or those of the description; tells the mistakes of all of them. Null: there were some. */
export function drillsIn(common: Common, files: readonly string[], platform: Platform): readonly DrillSpec[] | null {
  const entries = files.length === 0 ? drillEntries(platform) : files.map((file) => entryOf(file, platform))
  const bad = entries.flatMap((one) => (one.ok ? [] : [{ file: one.file, mistakes: one.mistakes }]))
  return tellMistakes(common, bad) ? null : entries.flatMap((one) => (one.ok ? [one.drill] : []))
}

function entryOf(file: string, platform: Platform): DrillEntry {
  const loaded = loadDrill(file)
  if (!loaded.ok) return { ok: false, file, mistakes: loaded.mistakes }
  const completed = completedDrill(loaded, platform)
  return completed.ok ? { ok: true, file, drill: completed.drill } : { ok: false, file, mistakes: completed.mistakes }
}

function tellMistakes(
  common: Common,
  bad: readonly { readonly file: string; readonly mistakes: readonly Mistake[] }[],
): boolean {
  if (bad.length === 0) return false
  if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: false, files: bad })}\n`)
  else {
    for (const { file, mistakes } of bad) common.terminal.err(`${mistakesText(file, mistakes)}\n`)
    common.terminal.err(`${countText(bad.length, 'file')} with mistakes\n`)
  }
  return true
}

/** Ends with 1 when one is due or overdue, so that a timer can act on it. */
export async function due(common: Common, platform: Platform, drills: readonly DrillSpec[]): Promise<ExitCode> {
  const desk = openDesk(platform)
  const nowWallMs = systemClock.wallMs()
  try {
    const all = []
    for (const drill of drills) {
      const { past } = await desk.ledger.read(drill.settings.group)
      all.push({ file: drill.file, group: drill.settings.group, ...dueOf(drill, past, nowWallMs) })
    }
    const now = all.some(({ state }) => state === 'due' || state === 'overdue')
    if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: true, due: now, drills: all })}\n`)
    else {
      const columns = [{ title: 'DRILL' }, { title: 'GROUP' }, { title: 'STATE' }, { title: 'NEXT' }, { title: 'WHY' }]
      const rows = all.map((one) => {
        const next = one.nextWallMs === null ? '-' : new Date(one.nextWallMs).toISOString().slice(0, 16)
        return [one.drill, one.group, one.state, next, one.because]
      })
      common.terminal.out(`${tableLines(columns, rows).join('\n')}\n`)
    }
    return now ? EXIT.failed : EXIT.ok
  } finally {
    await desk.close()
  }
}

export interface ReportChoice {
  readonly evidenceFolder: string | null
  readonly keyFile: string | null
  readonly pdf: string | null
}

/** `which`: a number, the beginning of a run's id, or a file; null: the newest. */
export async function report(
  common: Common,
  platform: Platform,
  which: string | null,
  choice: ReportChoice,
): Promise<ExitCode> {
  const folder = evidenceFolderOf(platform, choice.evidenceFolder)
  const file = which?.endsWith('.json') ? which : reportFile(folder, which)
  if (file === null) {
    const next = 'holdfast drill list; or name the folder with --evidence'
    fail(common, 'HF_DRILL_UNKNOWN', `no report ${which ?? ''} in ${folder}`.replace('  ', ' '), next)
    return EXIT.usage
  }
  const result = unsealed((await readFileLimited(file, REPORT_BYTES_MAX)).toString('utf8'))
  const found = result.ok ? reportIn(result.body) : null
  if (found === null) {
    const because = result.ok ? 'it is no report of a drill' : result.because
    fail(common, 'HF_DRILL_UNKNOWN', `${file}: ${because}`, `holdfast evidence verify ${file}`)
    return EXIT.failed
  }
  const html = file.replace(/\.json$/, '.html')
  const pdf = choice.pdf
  if (pdf !== null) {
    await printPdf(html, pdf)
    const key = await openSigningKey(choice.keyFile ?? join(folder, 'evidence.key'))
    const sha256 = sha256Hex(await readFileLimited(pdf, REPORT_BYTES_MAX))
    const body = { format: FILE_FORMAT, sha256, of: result.ok ? result.sha256 : '' }
    await writeFileDurable(`${pdf}${SEALED_SUFFIX}`, sealed(body, key), 0o640)
  }
  if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: true, file, html, pdf, report: found })}\n`)
  else common.terminal.out(`${[...reportLines(common, found), `json     ${file}`, `html     ${html}`].join('\n')}\n`)
  if (common.output === 'table' && pdf !== null)
    common.terminal.out(`pdf      ${pdf}, sealed by ${pdf}${SEALED_SUFFIX}\n`)
  return EXIT.ok
}

function reportFile(folder: string, which: string | null): string | null {
  let names: string[]
  try {
    names = readdirSync(folder)
      .filter((name) => /^\d{5,}-.*-[0-9a-f]{8}\.json$/.test(name))
      .sort()
  } catch {
    return null
  }
  const name =
    which === null
      ? names.at(-1)
      : names.find((one) => Number(one.split('-')[0]) === Number(which) || one.includes(`-${which.slice(0, 8)}.json`))
  return name === undefined ? null : join(folder, name)
}

export function reportLines({ paint }: Common, found: DrillReport): readonly string[] {
  const { run, outcome, because, measured, objective, prediction, chain } = found
  const good = outcome === 'passed'
  const practice = run.practice ? ', practice' : ''
  const figure = (name: 'rtoMs' | 'rpoMs'): string => {
    const predicted = prediction === null ? '-' : durationText(prediction[name])
    const is = measured === null ? 'not measured' : durationText(measured[name])
    return `${is}   (objective ${durationText(objective[name])}, predicted ${predicted})`
  }
  const counts =
    measured === null ? '-' : `${measured.acked} acknowledged, ${measured.lost} lost, ${measured.doubled} doubled`
  return [
    `${(good ? paint.good : paint.bad)(outcome)}   ${run.drill} on ${run.group}${practice}: ${because}`,
    `RTO      ${figure('rtoMs')}`,
    `RPO      ${figure('rpoMs')}`,
    `writes   ${counts}`,
    `report   ${chain.seq}`,
  ]
}
