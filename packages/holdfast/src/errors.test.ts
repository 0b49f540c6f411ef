/** The table of errors, the page about them and their use in the source say the same. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ERRORS, HoldfastError } from './errors.ts'

const SOURCES = import.meta.dirname
const PAGE = join(SOURCES, '..', '..', '..', 'docs', 'reference', 'errors.md')
const codes = Object.keys(ERRORS)

test('the table is in the order of the alphabet and its rows are whole', () => {
  assert.deepEqual(codes, codes.toSorted())
  for (const [code, row] of Object.entries(ERRORS)) {
    assert.match(code, /^HF_[A-Z0-9]+(_[A-Z0-9]+)*$/)
    assert.ok(row.status >= 400 && row.status <= 599, `${code}: status ${row.status}`)
    assert.match(row.title, /^[A-Z].*[^.]$/, `${code}: a title is a sentence without its full stop`)
  }
})

test('the page has a section with the same status and advice on trying again for each code, and no other', () => {
  const page = readFileSync(PAGE, 'utf8')
  const sections = new Map(
    page
      .split(/^## /m)
      .slice(1)
      .map((part) => [part.split('\n')[0], part] as const),
  )
  assert.deepEqual([...sections.keys()], codes, 'run: npm run errors-page')
  for (const [code, row] of Object.entries(ERRORS)) {
    const wanted = `HTTP status ${row.status}. Try again: ${row.retryable ? 'yes' : 'no'}.`
    assert.ok(sections.get(code)?.includes(wanted), `${code}: run: npm run errors-page`)
    assert.ok(sections.get(code)?.includes(row.title), `${code}: run: npm run errors-page`)
  }
})

test('each code is raised somewhere in the source; a code nobody raises is removed', () => {
  const used = new Set<string>()
  for (const entry of readdirSync(SOURCES, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.ts$/.test(entry.name) || /\.test\.ts$|^errors\.ts$/.test(entry.name)) continue
    const text = readFileSync(join(entry.parentPath, entry.name), 'utf8')
    for (const match of text.matchAll(/\bHF_[A-Z0-9_]+\b/g)) used.add(match[0])
  }
  assert.deepEqual(
    codes.filter((code) => !used.has(code)),
    [],
  )
})

test('an error carries its code, what happened, what to do and what caused it', () => {
  const cause = new Error('ENOSPC')
  const error = new HoldfastError('HF_INTERNAL', 'what happened', 'what to do', cause)
  assert.equal(error.code, 'HF_INTERNAL')
  assert.equal(error.message, 'what happened')
  assert.equal(error.next, 'what to do')
  assert.equal(error.cause, cause)
  assert.ok(!('cause' in new HoldfastError('HF_INTERNAL', 'a', 'b')))
})
