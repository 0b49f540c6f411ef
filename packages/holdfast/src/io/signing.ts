/**
 * What makes a record hold before somebody who does not trust us: one text for one value, its hash, and a signature.
 * Ed25519 by Node's own crypto. A key is a file only its owner may read; losing it loses nothing but the right to sign.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
  timingSafeEqual,
  verify as verifyBytes,
} from 'node:crypto'
import { link, open, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HoldfastError } from '../errors.ts'
import { readSecret, syncDirectory } from './files.ts'
import { freshId } from './random.ts'

/** Deeper values are no records of ours, and would end the process by its stack. */
const DEPTH_MAX = 100
/** Half of a SHA-256: nobody finds a second key with the same name. */
const KEY_ID_DIGITS = 32
const SIGNATURE_BYTES = 64

export interface SigningKey {
  /** Names the public key: the first digits of the SHA-256 of its DER form. */
  readonly keyId: string
  readonly publicPem: string
  /** The signature over the UTF-8 bytes, in base64. */
  sign(text: string): string
}

/**
 * The one JSON text of a value, as RFC 8785 orders it: keys sorted by UTF-16 unit, no spaces, numbers as JavaScript
 * writes them. Throws a TypeError for what JSON cannot say: undefined, non-finite numbers, dates, maps, cycles.
 */
export function canonicalJson(value: unknown): string {
  return written(value, 0)
}

function written(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw new TypeError(`deeper than ${DEPTH_MAX} levels, or a circle`)
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} is no number of JSON`)
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${Array.from(value, (item) => written(item, depth + 1)).join(',')}]`
  if (typeof value !== 'object' || !isPlain(value)) throw new TypeError(`${typeof value} has no form in JSON`)
  const record = value as Readonly<Record<string, unknown>>
  const parts = Object.keys(record)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${written(record[key], depth + 1)}`)
  return `{${parts.join(',')}}`
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** SHA-256 of the UTF-8 bytes, in lower-case hexadecimal digits. */
export function sha256Hex(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

/** HMAC-SHA-256 of the UTF-8 bytes, in lower-case hexadecimal digits: for who shares a secret and trusts each other. */
export function keyedHash(key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex')
}

/** In a time that tells nothing of how much of it fits. */
export function keyedHashFits(key: string, text: string, hash: string): boolean {
  const right = Buffer.from(keyedHash(key, text))
  const given = Buffer.from(hash)
  return right.length === given.length && timingSafeEqual(right, given)
}

/**
 * The key in this file; made, for its owner only, when there is none. Two who make it at once get the same one, and a
 * crash leaves a whole key or none. Throws `HF_SECRET_FILE_OPEN` when others may read it, `HF_SIGNING_KEY_UNUSABLE`
 * when it is no Ed25519 key.
 */
export async function openSigningKey(path: string): Promise<SigningKey> {
  if (!(await exists(path))) await createKey(path)
  const text = await readSecret({ file: path })
  let key: KeyObject
  try {
    key = createPrivateKey(text)
  } catch (cause) {
    throw unusable(path, 'it is no private key in PEM form', cause)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw unusable(path, `it is a key of type ${key.asymmetricKeyType}`)
  const publicPem = pemOf(createPublicKey(key))
  return {
    keyId: keyIdOf(publicPem) ?? '',
    publicPem,
    sign: (signed) => signBytes(null, Buffer.from(signed, 'utf8'), key).toString('base64'),
  }
}

/** The name of a public key, or null when the text is not the PEM form of an Ed25519 key, byte for byte. */
export function keyIdOf(publicPem: string): string | null {
  const key = publicKey(publicPem)
  return key === null ? null : sha256Hex(key.export({ type: 'spki', format: 'der' })).slice(0, KEY_ID_DIGITS)
}

export interface Signed {
  readonly publicPem: string
  readonly text: string
  readonly signature: string
}

/** Whether the owner of this key signed this text. What is no key or no signature gives false, never throws. */
export function verifySignature({ publicPem, text, signature }: Signed): boolean {
  try {
    const key = publicKey(publicPem)
    const bytes = Buffer.from(signature, 'base64')
    // One signature has one text: a changed padding bit would otherwise pass unseen.
    if (key === null || bytes.length !== SIGNATURE_BYTES || bytes.toString('base64') !== signature) return false
    return verifyBytes(null, Buffer.from(text, 'utf8'), key, bytes)
  } catch {
    return false
  }
}

function publicKey(publicPem: string): KeyObject | null {
  try {
    // A private key would be taken as well; then its owner's secret lies in a report.
    if (!publicPem.startsWith('-----BEGIN PUBLIC KEY-----')) return null
    const key = createPublicKey(publicPem)
    return key.asymmetricKeyType === 'ed25519' && pemOf(key) === publicPem ? key : null
  } catch {
    return null
  }
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    const next = `See that this user may enter the folder: ls -ld ${dirname(path)}`
    throw new HoldfastError('HF_FILE_UNREADABLE', `Cannot look at ${path}: ${String(cause)}`, next, cause)
  }
}

/** `link` does not replace: of two that make the key at once one wins, and both read the winner's. */
async function createKey(path: string): Promise<void> {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  const unfinished = join(dirname(path), `.${basename(path)}.${freshId()}.tmp`)
  try {
    const file = await open(unfinished, 'wx', 0o600)
    try {
      await file.chmod(0o600)
      await file.writeFile(pem)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(unfinished, path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EEXIST') throw cause
    })
    await syncDirectory(dirname(path))
  } catch (cause) {
    const next = `See that the folder exists, has room and may be written by this user: ls -ld ${dirname(path)}`
    throw new HoldfastError('HF_FILE_UNWRITABLE', `Cannot make the key ${path}: ${String(cause)}`, next, cause)
  } finally {
    await unlink(unfinished).catch(() => undefined)
  }
}

function unusable(path: string, because: string, cause?: unknown): HoldfastError {
  const next = 'Put the right key back from its copy; or move this file away, and a new key is made.'
  return new HoldfastError(
    'HF_SIGNING_KEY_UNUSABLE',
    `The signing key ${path} cannot be used: ${because}.`,
    next,
    cause,
  )
}
