/** What an auditor holds: files, and nothing else. Each change, gap and swap is found. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openSigningKey, type SigningKey, sha256Hex } from '../io/signing.ts'
import { controlsFor } from './controls.ts'
import { writeReport } from './folder.ts'
import { localChain } from './local-chain.ts'
import { checkPage, signedPage } from './page.ts'
import { aReport } from './report.fixture.ts'
import { sealed } from './seal.ts'
import { FILE_FORMAT, verifyFiles } from './verify.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-verify-'))
let key: SigningKey
before(async () => {
  key = await openSigningKey(join(folder, 'evidence.key'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

async function series(name: string, count: number) {
  const home = join(folder, name)
  const written = []
  for (let n = 0; n < count; n += 1) {
    const chain = localChain(home)
    written.push(await writeReport(home, key, chain, (place) => aReport(place.seq, place.previousSha256)))
  }
  return { home, written, files: written.map((one) => one.json) }
}

const oks = async (files: readonly string[]): Promise<readonly boolean[]> =>
  (await verifyFiles(files, key.publicPem)).map((verdict) => verdict.ok)

describe('a series of reports', () => {
  it('holds together, in any order of the files, with their pages', async () => {
    const { files, written } = await series('whole', 4)
    assert.deepEqual(
      written.map((one) => one.seq),
      [1, 2, 3, 4],
    )
    assert.deepEqual(await oks([...files].reverse()), [true, true, true, true])
    assert.deepEqual(await oks(written.map((one) => one.html)), [true, true, true, true])
    assert.deepEqual(await oks([...files, files[0] ?? '']), [true, true, true, true, true])
  })

  it('a missing one, a replaced one and one made twice are found', async () => {
    const { home, files } = await series('broken', 4)
    const [one = '', two = '', three = '', four = ''] = files
    const missing = await verifyFiles([one, three, four], null)
    assert.match(missing[1]?.because ?? '', /report 2 is missing before it/)
    const other = join(home, 'other.json')
    writeFileSync(other, sealed(aReport(2, sha256Hex(readFileSync(one)), { because: 'a better story' }), key))
    assert.deepEqual(await oks([one, other, three]), [true, true, false])
    const twice = await verifyFiles([one, two, other], null)
    assert.ok(twice.some((verdict) => /two reports say that they are number 2/.test(verdict.because)))
    const first = join(home, 'first.json')
    writeFileSync(first, sealed(aReport(1, 'a'.repeat(64)), key))
    assert.deepEqual(await oks([first]), [false])
  })

  it('two who end in the same moment are both in it', async () => {
    const home = join(folder, 'raced')
    const write = (id: string) =>
      writeReport(home, key, localChain(home), (place) => {
        const report = aReport(place.seq, place.previousSha256)
        return { ...report, run: { ...report.run, id } }
      })
    const written = await Promise.all(['aaaaaaaa1', 'bbbbbbbb2', 'cccccccc3'].map(write))
    assert.deepEqual(await oks(written.map((one) => one.json)), [true, true, true])
    assert.deepEqual(
      readdirSync(home).filter((name) => /tmp|pending/.test(name)),
      [],
    )
  })

  it('what a crash left is finished by the next: the chain names it, or it goes', async () => {
    const { home, written } = await series('crash', 1)
    const [first] = written
    const text = sealed(aReport(2, first?.sha256 ?? null), key)
    writeFileSync(join(home, '00002-frozen-host-00000000.pending.json'), text)
    assert.equal(await localChain(home).extend(first ?? null, { seq: 2, sha256: sha256Hex(text) }), true)
    writeFileSync(join(home, '00002-loser-00000000.pending.json'), sealed(aReport(2, null), key))
    const third = await writeReport(home, key, localChain(home), (place) => aReport(place.seq, place.previousSha256))
    assert.equal(third.seq, 3)
    const files = readdirSync(home).filter((name) => name.endsWith('.json'))
    assert.equal(files.length, 3)
    assert.deepEqual(await oks(files.map((name) => join(home, name))), [true, true, true])
  })
})

describe('a page', () => {
  it('shows a flipped byte, every one of its last lines and each thirtieth before', () => {
    const small = aReport(1, null, { timeline: [], checks: [], controls: [], rate: { stepMs: 100, acked: [1] } })
    const bytes = Buffer.from(signedPage(small, 'a'.repeat(64), key))
    assert.equal(checkPage(bytes.toString()).ok, true)
    for (let index = 0; index < bytes.length; index += index < bytes.length - 450 ? 29 : 1) {
      const before = bytes[index] ?? 0
      for (const flip of [0x01, 0x20]) {
        bytes[index] = before ^ flip
        assert.equal(checkPage(bytes.toString()).ok, false, `byte ${index} ^ ${flip}`)
      }
      bytes[index] = before
    }
  })

  it('lets nothing of what it was told become markup, a script or an address', () => {
    const evil = '"><script>alert(1)</script><img src=http://evil/x onerror=alert(1)>'
    const timeline = [{ sinceMs: 1, source: evil, code: evil, words: evil }]
    const page = signedPage(aReport(1, null, { because: evil, statement: evil, outcome: evil, timeline }), 'a', key)
    assert.doesNotMatch(page, /<script|<img/)
    assert.match(page, /&#60;script&#62;/)
    assert.doesNotMatch(page, /<[^>]*\s(?:src|href|on\w+)\s*=/)
  })
})

it('a PDF is held by the seal beside it', async () => {
  const pdf = join(folder, 'report.pdf')
  writeFileSync(pdf, '%PDF-1.4 something')
  assert.deepEqual(await oks([pdf]), [false])
  writeFileSync(`${pdf}.seal.json`, sealed({ format: FILE_FORMAT, sha256: sha256Hex(readFileSync(pdf)), of: '' }, key))
  assert.deepEqual(await oks([pdf]), [true])
  writeFileSync(pdf, '%PDF-1.4 something else')
  assert.deepEqual(await oks([pdf]), [false])
})

it('a drill that proved nothing supports no rule, and a copy says that it was one', () => {
  assert.deepEqual(controlsFor('refused', false, false), [])
  assert.deepEqual(controlsFor('unproved', false, false), [])
  assert.ok(controlsFor('passed', true, true).every((control) => /on a copy/.test(control.notProved)))
  assert.ok(
    controlsFor('failed', false, false).every((control) => /before anything was measured/.test(control.supports)),
  )
  const rules = new Set(controlsFor('passed', false, true).map((control) => control.rule.split(' ')[0]))
  for (const rule of ['ISO', 'SOC', 'DORA', 'HIPAA', 'GDPR']) assert.ok(rules.has(rule), rule)
})
