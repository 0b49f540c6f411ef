/** The one place that chooses a store. Settings come from `config/`, with secrets and certificates as texts. */
import { HoldfastError } from '../errors.ts'
import { ATTEMPT_MS } from './attempts.ts'
import type { Store } from './contract.ts'
import { connectEmbeddedStore } from './embedded/client.ts'
import { connectEtcdStore } from './etcd/client.ts'

/** `ca`, `cert` and `key` are PEM texts. `requestMs`: the deadline that most calls will have. */
export type StoreSettings =
  | {
      readonly kind: 'embedded'
      readonly urls: readonly string[]
      readonly token: string | null
      readonly ca?: string
      readonly requestMs: number
    }
  | {
      readonly kind: 'etcd'
      readonly endpoints: readonly string[]
      readonly username?: string
      readonly password?: string
      readonly ca?: string
      readonly cert?: string
      readonly key?: string
      readonly prefix?: string
      readonly requestMs: number
    }

/** A local store answers in a few milliseconds even when its disk is busy. */
const ATTEMPT_MIN_MS = 40
/** Attempts double: a first one of a third leaves room for a second one of two thirds. */
const ATTEMPT_SHARE = 3

/** A watch that broke silently is found within a ttl or so: whoever has the longer one is woken less often. */
const HEARTBEAT_MIN_MS = 250
const HEARTBEAT_SHARE = 1.5

/** Connects on first use; throws a HoldfastError only for settings that can never work. */
export function openStore(settings: StoreSettings): Store {
  const attemptMs = Math.min(ATTEMPT_MS, Math.max(ATTEMPT_MIN_MS, settings.requestMs / ATTEMPT_SHARE))
  if (settings.kind === 'embedded') {
    const { urls, token, ca } = settings
    verifyUrls(urls)
    if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
      throw invalid('its token has blanks or characters that HTTP cannot carry', 'use letters, digits and punctuation')
    }
    const heartbeatMs = Math.max(HEARTBEAT_MIN_MS, settings.requestMs * HEARTBEAT_SHARE)
    return connectEmbeddedStore({ urls, token, ...(ca === undefined ? {} : { ca }), attemptMs, heartbeatMs })
  }
  const { endpoints, username, password, ca, cert, key, prefix } = settings
  verifyUrls(endpoints)
  const tls = ca === undefined ? {} : { tls: { ca, ...(cert && key ? { cert, key } : {}) } }
  return connectEtcdStore({
    endpoints,
    ...(username === undefined ? {} : { username, password: password ?? '' }),
    ...tls,
    ...(prefix === undefined ? {} : { prefix }),
    attemptMs,
  })
}

function verifyUrls(urls: readonly string[]): void {
  if (urls.length === 0) throw invalid('it has no address', 'give at least one http:// or https:// address')
  for (const url of urls) {
    const parsed = URL.canParse(url) ? new URL(url) : null
    if (parsed !== null && ['http:', 'https:'].includes(parsed.protocol)) continue
    throw invalid(`${url} is no http:// or https:// address`, 'write it like http://127.0.0.1:2379')
  }
}

function invalid(because: string, next: string): HoldfastError {
  return new HoldfastError('HF_STORE_SETTINGS_INVALID', `the store cannot be used: ${because}`, next)
}
