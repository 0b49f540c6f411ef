/**
 * What every measurement here writes: a JSON file under `bench/results/` with the machine and the versions, and a table
 * between two marks of `docs/reference/measurements.md`.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGE = `${ROOT}docs/reference/measurements.md`
const RESULTS = `${ROOT}bench/results`

export interface Summary {
  readonly min: number
  readonly median: number
  readonly max: number
}

export function summary(numbers: readonly number[]): Summary {
  const sorted = [...numbers].sort((a, b) => a - b)
  const at = (i: number): number => sorted[i] ?? 0
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2
  return { min: at(0), median, max: at(sorted.length - 1) }
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits))
}

/** Work of others on the machine, one minute's mean. */
export function loadNow(): number {
  return loadavg()[0] ?? 0
}

export function machineNow() {
  const all = cpus()
  return { cores: all.length, model: all[0]?.model ?? 'unknown', kernel: release(), node: process.version }
}

/** The commit that is measured; `+` when the work tree differs from it. */
export function commitNow(): string {
  const git = (...words: string[]): string => execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'packages')
    return `${git('rev-parse', '--short', 'HEAD')}${changed === '' ? '' : '+'}`
  } catch {
    return 'unknown'
  }
}

export function writeResult(name: string, result: unknown): void {
  mkdirSync(RESULTS, { recursive: true })
  writeFileSync(`${RESULTS}/${name}.json`, `${JSON.stringify(result, null, 2)}\n`)
}

export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

/** Puts a table where the page has its mark; without a mark it is only printed. */
export function writeTable(mark: string, table: string): void {
  const page = readFileSync(PAGE, 'utf8')
  const from = page.indexOf(`<!-- ${mark} -->`)
  const to = page.indexOf('<!-- end -->', from)
  if (from < 0 || to < 0) console.log(`no place marked "${mark}" in ${PAGE}; the table:\n${table}`)
  else writeFileSync(PAGE, `${page.slice(0, from)}<!-- ${mark} -->\n${table}\n${page.slice(to)}`)
}
