/**
 * Checks the house rules that neither the compiler nor Biome knows: arrows between rooms, sizes, names, banned calls
 * and words, reasons for dependencies. Each finding names file and line and says how to mend it. The rules stand in
 * scripts/tidy/, their reasons in docs/internals/house.md. Exit code 1 when there is a finding.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ALLOWANCES_PATH, applyAllowances, readAllowances } from './tidy/allowances.ts'
import { checkArrows } from './tidy/arrows.ts'
import { checkCalls } from './tidy/calls.ts'
import { checkDependencies } from './tidy/dependencies.ts'
import { type Finding, formatFinding } from './tidy/finding.ts'
import { checkNames } from './tidy/names.ts'
import { checkSizes } from './tidy/sizes.ts'
import { isScript, readSourceFiles, type SourceFile } from './tidy/source-files.ts'
import { readFacts } from './tidy/syntax.ts'
import { checkWords } from './tidy/words.ts'

const ROOT = join(import.meta.dirname, '..')

/** All findings for `files`, in the order of their paths; `allowed` is the text of the list of exceptions. */
export function tidy(files: readonly SourceFile[], allowed: string): readonly Finding[] {
  const facts = readFacts(files.filter((file) => isScript(file.path)))
  const list = readAllowances(allowed)
  const findings = [
    ...checkArrows(facts),
    ...checkSizes(files, facts),
    ...checkNames(files, facts),
    ...checkCalls(facts),
    ...checkWords(files),
    ...checkDependencies(files),
  ]
  const left = [...applyAllowances(findings, list.allowances), ...list.findings]
  return left.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1))
}

function main(): void {
  const path = join(ROOT, ALLOWANCES_PATH)
  const files = readSourceFiles(ROOT)
  const findings = tidy(files, existsSync(path) ? readFileSync(path, 'utf8') : '')
  for (const finding of findings) console.log(formatFinding(finding))
  console.log(`tidy: ${files.length} files, ${findings.length === 0 ? 'all in order' : `${findings.length} findings`}`)
  process.exitCode = findings.length === 0 ? 0 : 1
}

if (import.meta.main) main()
