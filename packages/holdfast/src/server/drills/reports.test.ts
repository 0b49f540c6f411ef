import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import type { Platform } from '../../config/platform.ts'
import { writeReport } from '../../evidence/folder.ts'
import { localChain } from '../../evidence/local-chain.ts'
import { aReport } from '../../evidence/report.fixture.ts'
import { systemClock } from '../../io/clock.ts'
import { createLog } from '../../io/log.ts'
import { openDatabase } from '../database/database.ts'
import { DrillReports, evidenceFolder } from './reports.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-reports-'))
after(() => rmSync(folder, { recursive: true, force: true }))

it('a report that was taken in before its page was there gets it afterwards, also by another server', async () => {
  const log = createLog({ level: 'silent', name: 'test' })
  const database = await openDatabase({ dir: join(folder, 'db'), url: null, clock: systemClock, log })
  const platform = { folder, name: aReport(1, null).run.platform } as Platform
  const open = () => new DrillReports({ platform, database, dir: folder, log })
  const reports = open()
  const home = evidenceFolder(platform)
  const write = async () => {
    const made = (place: { readonly seq: number; readonly previousSha256: string | null }) =>
      aReport(place.seq, place.previousSha256)
    const { json, html } = await writeReport(home, await reports.key(), localChain(home), made)
    const page = readFileSync(html)
    rmSync(html)
    return { html, page, id: (JSON.parse(readFileSync(json, 'utf8')) as { body: { run: { id: string } } }).body.run.id }
  }
  const pageOf = async (id: string) => (await reports.find(id))?.page ?? null
  const one = await write()
  await reports.takeIn()
  assert.equal(await pageOf(one.id), null)
  writeFileSync(one.html, one.page)
  await reports.takeIn()
  assert.equal(await pageOf(one.id), one.page.toString('utf8'))
  // What is there stays as it is.
  writeFileSync(one.html, 'another page')
  await open().takeIn()
  assert.equal(await pageOf(one.id), one.page.toString('utf8'))
  await database.close()
})
