import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { HoldfastError } from '../errors.ts'
import { canonicalJson, keyIdOf, openSigningKey, sha256Hex, verifySignature } from './signing.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-signing-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const failsWith = (code: string) => (error: unknown) => error instanceof HoldfastError && error.code === code

describe('canonical JSON', () => {
  it('writes the vectors of RFC 8785 as they stand there', () => {
    const numbers = [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001]
    assert.equal(canonicalJson(numbers), '[333333333.3333333,1e+30,4.5,0.002,1e-27]')
    assert.equal(canonicalJson('\u20ac$\u000f\nA\'B"\\\\"/'), '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"')
    const keys = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 }
    assert.deepEqual(
      [...canonicalJson(keys).matchAll(/:(\d)/g)].map((found) => Number(found[1])),
      [2, 4, 6, 7, 1, 5, 3],
    )
    assert.equal(canonicalJson(-0), '0')
  })

  it('says the same as JSON, and the same for every order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = canonicalJson(value)
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
        assert.equal(canonicalJson(turned(value)), text)
        assert.equal(canonicalJson(JSON.parse(text)), text)
      }),
    )
  })

  it('refuses what JSON cannot say instead of leaving it out', () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    const bad: unknown[] = [undefined, { a: undefined }, [undefined], new Array(1), Number.NaN, Infinity, 1n]
    for (const value of [...bad, new Date(0), new Map(), Symbol('x'), () => 1, circle]) {
      assert.throws(() => canonicalJson(value), TypeError)
    }
  })
})

/** The same value with the keys of every object in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, turned(item)]),
  )
}

describe('a signing key', () => {
  it('is made once, for its owner only, and opened again', async () => {
    const path = join(folder, 'made.key')
    const first = await openSigningKey(path)
    const second = await openSigningKey(path)
    assert.equal(first.keyId, second.keyId)
    assert.equal(keyIdOf(first.publicPem), first.keyId)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.ok(!first.publicPem.includes('PRIVATE'))
  })

  it('is one key for all who make it at once, and nothing is left beside it', async () => {
    const inside = await mkdtemp(join(folder, 'race-'))
    const path = join(inside, 'raced.key')
    const keys = await Promise.all(Array.from({ length: 12 }, () => openSigningKey(path)))
    assert.equal(new Set(keys.map((key) => key.keyId)).size, 1)
    assert.deepEqual(await readdir(inside), ['raced.key'])
  })

  it('is refused when others may read it, when it is damaged, when it is of another kind', async () => {
    const open = join(folder, 'open.key')
    await openSigningKey(open)
    await chmod(open, 0o640)
    await assert.rejects(openSigningKey(open), failsWith('HF_SECRET_FILE_OPEN'))
    const damaged = join(folder, 'damaged.key')
    await openSigningKey(damaged)
    await writeFile(damaged, (await readFile(damaged, 'utf8')).slice(0, 60))
    await assert.rejects(openSigningKey(damaged), failsWith('HF_SIGNING_KEY_UNUSABLE'))
    const other = join(folder, 'other.key')
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
    await writeFile(other, pem, { mode: 0o600 })
    await assert.rejects(openSigningKey(other), failsWith('HF_SIGNING_KEY_UNUSABLE'))
    await assert.rejects(openSigningKey(join(folder, 'no', 'where.key')), failsWith('HF_FILE_UNWRITABLE'))
  })

  it('signs what only its public half confirms', async () => {
    const key = await openSigningKey(join(folder, 'signs.key'))
    const stranger = await openSigningKey(join(folder, 'stranger.key'))
    const text = 'what was seen: öäü'
    const signature = key.sign(text)
    const { publicPem } = key
    assert.equal(verifySignature({ publicPem, text, signature }), true)
    assert.equal(verifySignature({ publicPem, text: `${text} `, signature }), false)
    assert.equal(verifySignature({ publicPem: stranger.publicPem, text, signature }), false)
    // The last character before the padding carries bits that decode to nothing.
    const loose = signature.replace(/.==$/, (end) => `${end[0] === 'A' ? 'B' : 'A'}==`)
    assert.equal(verifySignature({ publicPem, text, signature: loose }), false)
  })

  it('never throws on garbage', async () => {
    const { publicPem } = await openSigningKey(join(folder, 'signs.key'))
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (pem, text, signature) => {
        assert.equal(verifySignature({ publicPem: pem, text, signature }), false)
        assert.equal(verifySignature({ publicPem, text, signature }), false)
      }),
    )
    const secret = await readFile(join(folder, 'signs.key'), 'utf8')
    assert.equal(verifySignature({ publicPem: secret, text: '', signature: '' }), false)
    assert.equal(keyIdOf(secret), null)
  })
})

it('hashes the bytes', () => {
  assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
