/** Adds a run to the totals under `bench/results`: how much was tried, not only that it held. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { faultText } from './report.ts'
import type { RunReport } from './run.ts'

export interface Totals {
  readonly subject: string
  readonly mode: string
  readonly profile: string
  readonly first: string
  readonly last: string
  readonly commits: readonly string[]
  readonly seeds: readonly number[]
  readonly hours: number
  readonly faults: Readonly<Record<string, number>>
  readonly promotions: { readonly planned: number; readonly unplanned: number }
  readonly acknowledged: number
  /** Of a service: how many of its plans ended how, and how many followed a lost site. */
  readonly plans?: Readonly<Record<string, number>>
  /** Seeds with what was not content. */
  readonly failures: readonly { readonly seed: number; readonly commit: string; readonly checkers: readonly string[] }[]
  /** One-minute load of the machine at the end of the runs. */
  readonly load: { readonly min: number; readonly max: number }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MS_PER_HOUR = 3_600_000

export interface RunStamp {
  readonly date: string
  readonly commit: string
  readonly load: number
}

export function totalsPath(report: RunReport): string {
  const { scenario, subject, engine, mode, profile } = report.settings
  const name =
    scenario === 'shop' ? 'shop-' : engine === 'redis' ? 'redis-' : subject === 'holdfast' ? '' : `${subject}-`
  return `${ROOT}bench/results/blackbox-${name}${mode}-${profile}.json`
}

/** `stamp` is from the start of the run: the tree may have moved on while it went. */
export function record(report: RunReport, stamp: RunStamp, path = totalsPath(report)): Totals {
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Totals) : null
  const totals = added(before, report, stamp)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(totals, null, 2)}\n`)
  return totals
}

export function added(before: Totals | null, report: RunReport, { date, commit, load }: RunStamp): Totals {
  const { settings, rows, promotions, verdicts } = report
  const faults: Record<string, number> = { ...before?.faults }
  for (const row of rows) {
    for (const name of new Set([row.fault, faultText(row)])) faults[name] = (faults[name] ?? 0) + 1
  }
  const planned = promotions.filter((one) => one.planned).length
  const checkers = verdicts.filter(({ ok }) => !ok).map(({ checker }) => checker)
  const failed = report.ok ? [] : [{ seed: settings.seed, commit, checkers }]
  return {
    subject: settings.subject,
    mode: settings.mode,
    profile: settings.profile,
    first: before?.first ?? date,
    last: date,
    commits: [...new Set([...(before?.commits ?? []), commit])],
    seeds: [...(before?.seeds ?? []), settings.seed],
    hours: Math.round(((before?.hours ?? 0) + report.faultMs / MS_PER_HOUR) * 10_000) / 10_000,
    faults: Object.fromEntries(Object.entries(faults).sort(([a], [b]) => a.localeCompare(b))),
    promotions: {
      planned: (before?.promotions.planned ?? 0) + planned,
      unplanned: (before?.promotions.unplanned ?? 0) + promotions.length - planned,
    },
    acknowledged: (before?.acknowledged ?? 0) + report.acknowledged,
    ...plansOf(before, verdicts),
    failures: [...(before?.failures ?? []), ...failed],
    load: { min: Math.min(before?.load.min ?? load, load), max: Math.max(before?.load.max ?? load, load) },
  }
}

function plansOf(before: Totals | null, verdicts: RunReport['verdicts']): Pick<Totals, 'plans'> {
  const found = verdicts.find(({ checker }) => checker === 'one-plan')
  if (found === undefined) return {}
  const sums = Object.entries(found.figures).map(([name, count]) => [name, (before?.plans?.[name] ?? 0) + count])
  return { plans: Object.fromEntries(sums) as Record<string, number> }
}

export function stampNow(): RunStamp {
  const git = (...words: string[]): string => execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' }).trim()
  let commit = 'unknown'
  try {
    const changed = git('status', '--porcelain', '--', 'packages') === '' ? '' : '+changes'
    commit = git('rev-parse', '--short', 'HEAD') + changed
  } catch {
    // Not a checkout: the figures count all the same.
  }
  return { date: new Date().toISOString(), commit, load: Math.round((loadavg()[0] ?? 0) * 100) / 100 }
}
