import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { sql } from 'kysely'
import { databaseSuite, openAt } from './suite.fixture.ts'

const root = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
after(() => rmSync(root, { recursive: true, force: true }))
const fresh = async () => ({ dir: mkdtempSync(join(root, 'db-')), url: null })

describe('the server on SQLite', () => {
  databaseSuite(fresh)

  it('syncs every commit, keeps a log beside the file, and lets nobody else read it', async () => {
    const place = await fresh()
    const database = await openAt(place)
    const one = async (name: string) =>
      Object.values((await sql.raw(`pragma ${name}`).execute(database.read)).rows[0] ?? {})[0]
    assert.deepEqual([await one('journal_mode'), await one('synchronous'), await one('foreign_keys')], ['wal', 2, 1])
    assert.equal(statSync(join(place.dir, 'server.sqlite')).mode & 0o777, 0o600)
    await database.close()
  })

  it('a file that is no database is told as such and left alone', async () => {
    const place = await fresh()
    writeFileSync(join(place.dir, 'server.sqlite'), 'something else entirely, and rather longer than a page header')
    await assert.rejects(openAt(place), { code: 'HF_DATABASE_UNUSABLE' })
  })
})
