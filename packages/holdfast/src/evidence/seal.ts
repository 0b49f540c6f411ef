/**
 * A signed document: `{ body, format, seal }` as canonical JSON and a line's end. The whole file is held, not only its
 * meaning: a space more, another order of keys, another spelling of the signature is a change that is found.
 */
import { canonicalJson, keyIdOf, type SigningKey, sha256Hex, verifySignature } from '../io/signing.ts'

export const SEAL_FORMAT = 'holdfast-sealed/1'

export interface Seal {
  readonly algorithm: 'ed25519'
  readonly keyId: string
  readonly publicPem: string
  readonly value: string
}

export type Unsealed =
  | {
      readonly ok: true
      readonly body: unknown
      readonly keyId: string
      readonly publicPem: string
      readonly sha256: string
    }
  | {
      readonly ok: false
      readonly reason: 'not-sealed' | 'not-canonical' | 'key-forged' | 'signature-wrong'
      readonly because: string
    }

/** The text of the signed document. Throws a TypeError for a body that JSON cannot say. */
export function sealed(body: unknown, key: SigningKey): string {
  const value = key.sign(signedText(body))
  const seal: Seal = { algorithm: 'ed25519', keyId: key.keyId, publicPem: key.publicPem, value }
  return `${canonicalJson({ body, format: SEAL_FORMAT, seal })}\n`
}

/** What a signed document says, when every byte of it is as it was signed. The hash is that of the whole text. */
export function unsealed(text: string): Unsealed {
  const document = parsed(text)
  if (document === null) return no('not-sealed', `it is not of the form ${SEAL_FORMAT}`)
  const { body, seal } = document
  if (`${canonicalJson(document)}\n` !== text) return no('not-canonical', 'its bytes are not those that were written')
  if (keyIdOf(seal.publicPem) !== seal.keyId)
    return no('key-forged', 'the key it brings does not bear the name it gives')
  const genuine = verifySignature({ publicPem: seal.publicPem, text: signedText(body), signature: seal.value })
  if (!genuine) return no('signature-wrong', `the signature of key ${seal.keyId} does not fit what stands here`)
  return { ok: true, body, keyId: seal.keyId, publicPem: seal.publicPem, sha256: sha256Hex(text) }
}

/** The format is signed with the body: what was signed as one thing cannot be shown as another. */
function signedText(body: unknown): string {
  return `${SEAL_FORMAT}\n${canonicalJson(body)}`
}

function parsed(text: string): { readonly body: unknown; readonly format: string; readonly seal: Seal } | null {
  let value: unknown
  try {
    value = JSON.parse(text)
    canonicalJson(value)
  } catch {
    return null
  }
  if (!hasExactly(value, ['body', 'format', 'seal']) || value.format !== SEAL_FORMAT) return null
  const { seal } = value
  if (!hasExactly(seal, ['algorithm', 'keyId', 'publicPem', 'value']) || seal.algorithm !== 'ed25519') return null
  if (![seal.keyId, seal.publicPem, seal.value].every((part) => typeof part === 'string')) return null
  return value as unknown as { body: unknown; format: string; seal: Seal }
}

function hasExactly(value: unknown, keys: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.keys(value).sort().join() === [...keys].sort().join()
}

function no(reason: Exclude<Unsealed, { ok: true }>['reason'], because: string): Unsealed {
  return { ok: false, reason, because }
}
