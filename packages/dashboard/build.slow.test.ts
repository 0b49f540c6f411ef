import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { buildDashboard } from './build.ts'

/** What a browser fetches before it shows the log-in. */
const FIRST_PAGE_BYTES_MAX = 300_000

describe('the built dashboard', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-dashboard-'))
  before(() => buildDashboard(folder), { timeout: 60_000 })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const files = (): readonly string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))

  test('the first page is at most 300 kB compressed', () => {
    const bytes = files().reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0)
    assert.ok(bytes <= FIRST_PAGE_BYTES_MAX, `${bytes} bytes`)
    assert.ok(bytes > 30_000, 'it is there at all')
  })

  test('nothing is inline and nothing comes from elsewhere, so the strict content policy can hold', () => {
    const page = readFileSync(join(folder, 'index.html'), 'utf8')
    assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)/)
    assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=/)
    assert.doesNotMatch(page, /(src|href)="(https?:)?\/\//)
    for (const path of files().filter((name) => name.endsWith('.css'))) {
      assert.doesNotMatch(readFileSync(path, 'utf8'), /@import|url\(["']?(https?:)?\/\//, path)
    }
  })
})
