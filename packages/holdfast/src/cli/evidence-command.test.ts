import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { sealed } from '../evidence/seal.ts'
import { openSigningKey } from '../io/signing.ts'
import { run } from './fake-agents.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-evidence-'))
after(() => rmSync(folder, { recursive: true, force: true }))

it('makes a key once, prints its public half, and verifies what it signed', async () => {
  const path = join(folder, 'evidence.key')
  const made = await run(['evidence', 'keygen', path])
  assert.equal(made.code, 0)
  assert.match(made.out, /^-----BEGIN PUBLIC KEY-----/)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal((await run(['evidence', 'keygen', path])).out, made.out)
  const pub = join(folder, 'evidence.pub')
  writeFileSync(pub, made.out)
  const report = join(folder, 'report.json')
  writeFileSync(report, sealed({ passed: true }, await openSigningKey(path)))
  const whole = await run(['evidence', 'verify', '--key', pub, report])
  assert.equal(whole.code, 0, whole.out)
  assert.match(whole.out, /the key that was given/)
  assert.match((await run(['evidence', 'verify', report])).out, /give --key/)

  const stranger = join(folder, 'stranger.pub')
  writeFileSync(stranger, (await run(['evidence', 'keygen', join(folder, 'stranger.key')])).out)
  const foreign = await run(['evidence', 'verify', '--key', stranger, report])
  assert.equal(foreign.code, 1)
  assert.match(foreign.out, /signed by another key/)
})

it('names each file that was changed, is missing or is no text, and ends with 1', async () => {
  const report = join(folder, 'report.json')
  const changed = join(folder, 'changed.json')
  writeFileSync(changed, readFileSync(report, 'utf8').replace('true', 'false'))
  const binary = join(folder, 'binary.json')
  writeFileSync(binary, readFileSync(report))
  appendFileSync(binary, Buffer.from([0xff]))
  const ran = await run(['evidence', 'verify', '-o', 'json', report, changed, binary, join(folder, 'missing.json')])
  assert.equal(ran.code, 1)
  const { ok, files } = JSON.parse(ran.out) as { ok: boolean; files: { ok: boolean }[] }
  assert.equal(ok, false)
  assert.deepEqual(
    files.map((file) => file.ok),
    [true, false, false, false],
  )
  const noKey = await run(['evidence', 'verify', '--key', report, report])
  assert.equal(noKey.code, 2)
})
