/** Everything a person with the file, or with the database, could do to the audit log, and that it is found. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../io/clock.ts'
import { createLog } from '../../io/log.ts'
import { openSigningKey, type SigningKey } from '../../io/signing.ts'
import { type Database, openDatabase } from '../database/database.ts'
import { appendAudit, exportLines, verifyDatabase, writeCheckpoint } from './audit-log.ts'
import { linked, verifyExport } from './chain.ts'

const dir = mkdtempSync(join(tmpdir(), 'holdfast-audit-'))
const file = join(dir, 'checkpoints.jsonl')
let key: SigningKey
let database: Database
let lines: string[] = []
let wallMs = 1_700_000_000_000

const note = (subject: string) =>
  ({ actor: 'user root', action: 'pause', subject, outcome: 'done', address: '10.0.0.1', detail: { n: 1 } }) as const

async function open(): Promise<Database> {
  const log = createLog({ level: 'silent', name: 'test' })
  return openDatabase({ dir: mkdtempSync(join(dir, 'db-')), url: null, clock: systemClock, log })
}

async function fill(into: Database): Promise<void> {
  for (let n = 1; n <= 6; n++) {
    wallMs += 1_000
    await into.write((writing) => appendAudit(writing, note(`group g${n} ü`), wallMs))
    if (n % 2 === 0 && n < 6) {
      await into.write((writing) => writeCheckpoint(writing, { key, platform: 'shop', file }, wallMs))
    }
  }
}

before(async () => {
  key = await openSigningKey(join(dir, 'signing.pem'))
  database = await open()
  await fill(database)
  lines = await all(exportLines(database, { key, platform: 'shop' }, wallMs))
})
after(async () => {
  await database.close()
  rmSync(dir, { recursive: true, force: true })
})

async function all(of: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const line of of) found.push(line)
  return found
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines
}

const verify = (of: readonly string[], trusted: readonly string[] | null = null) => verifyExport(each(of), trusted)

describe('an export', () => {
  it('holds as it was written, and names who signed', async () => {
    const verdict = await verify(lines, [key.publicPem])
    assert.deepEqual([verdict.ok, verdict.entries, verdict.checkpoints, verdict.lastSigned], [true, 6, 2, 6])
    assert.deepEqual(verdict.keys, [key.publicPem])
  })

  it('shows one changed bit of any byte in it', async () => {
    const whole = Buffer.from(`${lines.join('\n')}\n`, 'utf8')
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ 1
      const text = changed.toString('utf8')
      const parts = text.split('\n')
      const rest = parts.pop() ?? ''
      const verdict = await verify(rest === '' ? parts : [...parts, `${rest}, without an end of line`])
      assert.equal(verdict.ok, false, `byte ${at}: ${text.slice(Math.max(0, at - 30), at + 30)}`)
    }
  })

  it('shows every line that is gone, doubled, or has changed places', async () => {
    for (let at = 0; at < lines.length; at++) {
      assert.equal((await verify(lines.toSpliced(at, 1))).ok, false, `without line ${at}`)
      assert.equal((await verify(lines.toSpliced(at, 0, lines[at] ?? ''))).ok, false, `line ${at} twice`)
      const [a = '', b = ''] = lines.slice(at, at + 2)
      if (b !== '') assert.equal((await verify(lines.toSpliced(at, 2, b, a))).ok, false, `lines ${at} and ${at + 1}`)
    }
  })

  it('shows a line that says the same in another way', async () => {
    const ways = [
      (line: string) => line.replace(':', ': '),
      (line: string) => `${line} `,
      (line: string) => line.replace('ü', '\\u00fc'),
    ]
    for (const [at, line] of lines.entries()) {
      for (const way of ways) {
        if (way(line) !== line) assert.equal((await verify(lines.toSpliced(at, 1, way(line)))).ok, false, way(line))
      }
    }
  })

  it('shows where it was cut off, wherever that is', async () => {
    for (let at = 0; at < lines.length; at++) assert.equal((await verify(lines.slice(0, at))).ok, false, `${at} lines`)
  })

  it('shows a chain that was written anew with another key, if the right one is named', async () => {
    const other = await openSigningKey(join(dir, 'other.pem'))
    const forged = await open()
    await forged.write((writing) => appendAudit(writing, note('group forged'), wallMs))
    const written = await all(exportLines(forged, { key: other, platform: 'shop' }, wallMs))
    await forged.close()
    assert.equal((await verify(written)).ok, true, 'whole in itself')
    assert.equal((await verify(written, [key.publicPem])).ok, false)
  })

  it('is not of another platform', async () => {
    const [first = '', ...rest] = lines
    assert.equal((await verify([first.replace('shop', 'mart'), ...rest])).ok, false)
  })
})

describe('a database', () => {
  const check = async (of: Database, kept: readonly string[] = []) =>
    verifyDatabase(of.read, 'shop', { trusted: [key.publicPem], kept })

  const tampered = async (what: string, tamper: (of: Database) => Promise<unknown>, kept: readonly string[] = []) => {
    const copy = await open()
    await fill(copy)
    assert.equal((await check(copy)).ok, true)
    await tamper(copy)
    const verdict = await check(copy, kept)
    await copy.close()
    assert.equal(verdict.ok, false, what)
    assert.notEqual(verdict.because, '')
  }

  it('shows an edit, a hidden edit of a column, a removal, another order, and an end that is gone', async () => {
    await tampered('edit', (of) => of.read.updateTable('audit').set({ body: '{}' }).where('number', '=', 3).execute())
    await tampered('column', (of) =>
      of.read.updateTable('audit').set({ actor: 'user eve' }).where('number', '=', 3).execute(),
    )
    await tampered('removal', (of) => of.read.deleteFrom('audit').where('number', '=', 3).execute())
    await tampered('end', (of) => of.read.deleteFrom('audit').where('number', '>', 4).execute())
    await tampered('checkpoint', (of) =>
      of.read.updateTable('audit_checkpoints').set({ number: 3 }).where('number', '=', 4).execute(),
    )
  })

  it('shows a last entry that was rewritten with its hash', async () => {
    await tampered('rewritten', async (of) => {
      const row = await of.read.selectFrom('audit').selectAll().where('number', '=', 4).executeTakeFirstOrThrow()
      const { body, hash } = linked({ ...JSON.parse(row.body), actor: 'user eve' })
      await of.read.updateTable('audit').set({ body, hash, actor: 'user eve' }).where('number', '=', 4).execute()
    })
  })

  it('shows by the checkpoints that were kept elsewhere an end that was removed with all its traces', async () => {
    const kept = readFileSync(file, 'utf8').trim().split('\n').slice(-2)
    await tampered(
      'cut back',
      async (of) => {
        await of.read.deleteFrom('audit').where('number', '>', 2).execute()
        await of.read.deleteFrom('audit_checkpoints').where('number', '>', 2).execute()
        const { hash } = await of.read
          .selectFrom('audit')
          .select('hash')
          .where('number', '=', 2)
          .executeTakeFirstOrThrow()
        await of.read.updateTable('audit_head').set({ number: 2, hash }).execute()
      },
      kept,
    )
  })
})

it('a change whose entry cannot be written is not made', async () => {
  const own = await open()
  const change = own.write(async (writing) => {
    await writing.insertInto('facts').values({ key: 'x', body: 'y' }).execute()
    await appendAudit(writing, { ...note('x'), detail: { bad: Number.NaN } }, wallMs)
  })
  await assert.rejects(change)
  assert.deepEqual(await own.read.selectFrom('facts').selectAll().execute(), [])
  await own.close()
})
