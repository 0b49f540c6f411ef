/**
 * Writes docs/reference/errors.md from the table in errors.ts and from the advice that was written by hand in that
 * page. `--check` writes nothing and fails when the page is not what it would write.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERRORS, type ErrorRow } from '../packages/holdfast/src/errors.ts'

const PATH = join(import.meta.dirname, '..', 'docs', 'reference', 'errors.md')
const OPENING = `# Errors

Every error Holdfast raises has a code that does not change, a sentence that says what happened, and a next step.
Expected outcomes ("no, the lag is too high") are not errors: they are answers, with a reason and its numbers.
*Try again* says whether the same request can succeed later without anybody changing anything.

The line under each heading is made from the table in \`packages/holdfast/src/errors.ts\` by \`npm run errors-page\`.
What stands below that line is written by hand and kept.
`

/** The text by hand under each code, from a page that was written before. */
export function readAdvice(page: string): ReadonlyMap<string, string> {
  const advice = new Map<string, string>()
  for (const part of page.split(/^## /m).slice(1)) {
    const [code = '', , , ...rest] = part.split('\n')
    const byHand = rest.join('\n').trim()
    if (byHand !== '') advice.set(code.trim(), byHand)
  }
  return advice
}

export function errorsPage(table: Readonly<Record<string, ErrorRow>>, advice: ReadonlyMap<string, string>): string {
  const parts = Object.keys(table)
    .sort()
    .map((code) => sectionOf(code, table[code], advice.get(code)))
  return `${OPENING}\n${parts.join('\n')}`
}

function sectionOf(code: string, row: ErrorRow | undefined, byHand: string | undefined): string {
  if (row === undefined) return ''
  const line = `${row.title}. HTTP status ${row.status}. Try again: ${row.retryable ? 'yes' : 'no'}.`
  return `## ${code}\n\n${line}\n${byHand === undefined ? '' : `\n${byHand}\n`}`
}

function main(): number {
  const before = existsSync(PATH) ? readFileSync(PATH, 'utf8') : ''
  const page = errorsPage(ERRORS, readAdvice(before))
  if (page === before) return 0
  if (process.argv.includes('--check')) {
    console.error('docs/reference/errors.md is not what errors.ts says; run: npm run errors-page')
    return 1
  }
  writeFileSync(PATH, page)
  return 0
}

if (import.meta.main) process.exitCode = main()
