/**
 * The chain of the audit log, and how it is checked. An entry's hash covers the whole entry and the hash of the one
 * before, so an edit, a removal or another order breaks it from there on; a checkpoint signs the newest hash, so who
 * wants to write the chain anew needs the key; the signed end of an export says that nothing is missing after it.
 * Pure but for the mathematics.
 *
 * An export has one canonical JSON document a line: `{"holdfast":"audit","platform":...,"version":1}`, then
 * `{"entry":...}` and `{"checkpoint":...}` in order, then `{"end":...}`.
 */
import type { ApiAuditCheckpoint, ApiAuditEntry } from '@holdfast/client'
import { canonicalJson, type SigningKey, sha256Hex, verifySignature } from '../../io/signing.ts'

export type Unlinked = Omit<ApiAuditEntry, 'hash'>

export const FIRST_BEFORE = sha256Hex('holdfast audit 1')

export interface Head {
  readonly number: number
  readonly hash: string
}

export const EMPTY_HEAD: Head = { number: 0, hash: FIRST_BEFORE }

export function bodyOf(entry: Unlinked): string {
  return canonicalJson(entry)
}

export function linked(entry: Unlinked): { readonly body: string; readonly hash: string } {
  const body = bodyOf(entry)
  return { body, hash: sha256Hex(body) }
}

type Kind = 'checkpoint' | 'end'

/** What is signed. The platform is in it, so that one platform's signature says nothing about another's log. */
function signedText(
  kind: Kind,
  platform: string,
  point: Head & { readonly wallMs: number },
  checkpoints: number,
): string {
  const { number, hash, wallMs } = point
  return canonicalJson({ holdfast: `audit ${kind}`, platform, number, hash, wallMs, checkpoints })
}

interface Signer {
  readonly key: SigningKey
  readonly platform: string
}

export type Point = Head & { readonly wallMs: number }

export function signCheckpoint({ key, platform }: Signer, { number, hash, wallMs }: Point): ApiAuditCheckpoint {
  const signature = key.sign(signedText('checkpoint', platform, { number, hash, wallMs }, 0))
  return { number, hash, wallMs, key: key.publicPem, signature }
}

export interface End extends ApiAuditCheckpoint {
  /** In the export before it. */
  readonly checkpoints: number
}

export function signEnd({ key, platform }: Signer, { number, hash, wallMs }: Point, checkpoints: number): End {
  const signature = key.sign(signedText('end', platform, { number, hash, wallMs }, checkpoints))
  return { number, hash, wallMs, key: key.publicPem, signature, checkpoints }
}

export interface Verdict {
  readonly ok: boolean
  readonly entries: number
  readonly checkpoints: number
  readonly lastSigned: number | null
  readonly because: string
  readonly at: number | null
  /** Public keys of all signatures, PEM. */
  readonly keys: readonly string[]
}

/** Takes the log in order and remembers the first thing that is wrong. */
export class Verifier {
  readonly #platform: string
  readonly #trusted: readonly string[] | null
  #head: Head = EMPTY_HEAD
  #checkpoints = 0
  #lastSigned: number | null = null
  #because = ''
  #at: number | null = null
  readonly #keys = new Set<string>()

  /** `trusted`: public keys that may sign; null: any, and the verdict names them. */
  constructor(platform: string, trusted: readonly string[] | null) {
    this.#platform = platform
    this.#trusted = trusted
  }

  entry(body: string, hash: string): void {
    const expected = this.#head.number + 1
    const entry = parsed(body)
    if (entry === null || canonicalJson(entry) !== body) this.fail(expected, 'this entry is no canonical JSON')
    else if (entry.number !== expected) {
      this.fail(expected, `entry ${String(entry.number)} stands where ${expected} belongs: removed or moved`)
    } else if (entry.before !== this.#head.hash) this.fail(expected, 'its link to the entry before is broken')
    else if (sha256Hex(body) !== hash) this.fail(expected, 'its content is not what was hashed')
    this.#head = { number: expected, hash }
  }

  /** After the entry it covers. */
  checkpoint(point: ApiAuditCheckpoint): void {
    this.#checkpoints += 1
    this.#signature('checkpoint', point, 0)
    if (point.number > this.#head.number) this.fail(point.number, 'a signed entry is missing at the end')
    else if (point.number < this.#head.number) this.fail(point.number, 'a checkpoint stands in the wrong place')
    else if (point.hash !== this.#head.hash) this.fail(point.number, 'the entry is not the one that was signed')
    if (this.#because === '') this.#lastSigned = point.number
  }

  /** The signed end of an export. */
  end(point: End): void {
    this.#signature('end', point, point.checkpoints)
    if (point.checkpoints !== this.#checkpoints) this.fail(point.number, 'checkpoints were removed or added')
    const same = point.number === this.#head.number && point.hash === this.#head.hash
    if (!same) this.fail(this.#head.number, `the log ends at ${this.#head.number}, signed was ${point.number}`)
    if (this.#because === '') this.#lastSigned = point.number
  }

  #signature(kind: Kind, point: ApiAuditCheckpoint, checkpoints: number): void {
    this.#keys.add(point.key)
    const text = signedText(kind, this.#platform, point, checkpoints)
    if (!verifySignature({ publicPem: point.key, text, signature: point.signature })) {
      this.fail(point.number, 'a signature does not fit')
    } else if (this.#trusted !== null && !this.#trusted.includes(point.key)) {
      this.fail(point.number, 'a signature is by a key that is not trusted')
    }
  }

  /** Only the first is kept. */
  fail(at: number, because: string): void {
    if (this.#because !== '') return
    this.#because = because
    this.#at = at
  }

  get head(): Head {
    return this.#head
  }

  verdict(): Verdict {
    return {
      ok: this.#because === '',
      entries: this.#head.number,
      checkpoints: this.#checkpoints,
      lastSigned: this.#lastSigned,
      because: this.#because,
      at: this.#at,
      keys: [...this.#keys],
    }
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

export function headerLine(platform: string): string {
  return canonicalJson({ holdfast: 'audit', platform, version: 1 })
}

/** Checks an export, line by line; needs nothing but the file and, to know who signed, the public keys. */
export async function verifyExport(
  lines: AsyncIterable<string>,
  trusted: readonly string[] | null,
): Promise<Verdict & { readonly platform: string }> {
  let verifier: Verifier | null = null
  let platform = ''
  let ended = false
  for await (const line of lines) {
    const document = parsed(line)
    if (verifier === null) {
      platform = typeof document?.platform === 'string' ? document.platform : ''
      verifier = new Verifier(platform, trusted)
      if (line !== headerLine(platform)) verifier.fail(0, 'the file does not begin as an export of the audit log does')
      continue
    }
    const next = verifier.head.number + 1
    if (ended) verifier.fail(next, 'something follows the end')
    if (document === null || canonicalJson(document) !== line) verifier.fail(next, 'a line is not as it was written')
    ended ||= takeLine(verifier, document ?? {})
  }
  verifier ??= new Verifier('', trusted)
  if (!ended) verifier.fail(verifier.head.number + 1, 'the signed end is missing: the log was cut off')
  return { ...verifier.verdict(), platform }
}

/** True when it was the end. */
function takeLine(verifier: Verifier, document: Readonly<Record<string, unknown>>): boolean {
  const [kind = '', ...more] = Object.keys(document)
  const content = document[kind]
  if (more.length > 0 || typeof content !== 'object' || content === null) {
    verifier.fail(verifier.head.number + 1, 'a line is neither an entry nor a checkpoint')
    return false
  }
  if (kind === 'entry') {
    const { hash, ...entry } = content as ApiAuditEntry
    verifier.entry(canonicalJson(entry), String(hash))
    return false
  }
  const { checkpoints, ...rest } = content as Readonly<Record<string, unknown>>
  const point = pointOf(rest)
  if (kind === 'checkpoint' && point !== null && checkpoints === undefined) verifier.checkpoint(point)
  else if (kind === 'end' && point !== null && typeof checkpoints === 'number') verifier.end({ ...point, checkpoints })
  else verifier.fail(verifier.head.number + 1, 'a line is neither an entry nor a checkpoint')
  return kind === 'end'
}

/** Null when it has other fields than a checkpoint has. */
export function pointOf(content: Readonly<Record<string, unknown>>): ApiAuditCheckpoint | null {
  const { number, hash, wallMs, key, signature, ...more } = content
  if (Object.keys(more).length > 0 || typeof number !== 'number' || typeof wallMs !== 'number') return null
  if (typeof hash !== 'string' || typeof key !== 'string' || typeof signature !== 'string') return null
  return { number, hash, wallMs, key, signature }
}
