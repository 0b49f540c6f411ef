/** What a key, prefix and value may be. Both sides check: the client to say so early, the server because it must. */
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from './contract.ts'

/** Names with slashes between them; no control characters, blanks or bytes that a URL or a shell would change. */
const KEY_PATTERN = /^[A-Za-z0-9._~:@+-]+(?:\/[A-Za-z0-9._~:@+-]+)*$/
const PREFIX_PATTERN = /^[A-Za-z0-9._~:@+/-]*$/

const LONE_SURROGATE = /\p{Surrogate}/u

/** The mistake in words, or null. */
export function keyMistake(key: unknown): string | null {
  if (typeof key !== 'string') return 'key must be a text'
  if (key.length > KEY_BYTES_MAX) return `key has ${key.length} bytes; at most ${KEY_BYTES_MAX}`
  if (!KEY_PATTERN.test(key)) return 'key must be names of letters, digits and ._~:@+- with single slashes between them'
  return null
}

export function prefixMistake(prefix: unknown): string | null {
  if (typeof prefix !== 'string') return 'prefix must be a text'
  if (prefix.length > KEY_BYTES_MAX) return `prefix has ${prefix.length} bytes; at most ${KEY_BYTES_MAX}`
  if (!PREFIX_PATTERN.test(prefix)) return 'prefix must be letters, digits and ._~:@+-/'
  return null
}

export function valueMistake(value: unknown): string | null {
  if (typeof value !== 'string') return 'value must be a text'
  const bytes = Buffer.byteLength(value)
  if (bytes > VALUE_BYTES_MAX) return `value has ${bytes} bytes; at most ${VALUE_BYTES_MAX}`
  // A lone surrogate would come back as another text, and a compare with what was written would fail.
  if (LONE_SURROGATE.test(value)) return 'value is not well-formed Unicode'
  return null
}

export function revisionMistake(revision: unknown): string | null {
  return isRevision(revision) ? null : 'revision must be a whole number from 0 up'
}

export function isRevision(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
