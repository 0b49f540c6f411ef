/**
 * Logging in at an identity provider: OpenID Connect by discovery, code flow with PKCE, state and nonce. The provider
 * says who somebody is and what he belongs to; which role that gives stands in the description. A flow is bound to the
 * browser it began in by a cookie, is used once, and ends after ten minutes.
 */
import { hash } from 'node:crypto'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import type { OidcSpec } from '../../config/platform.ts'
import { isLoopbackUrl } from '../../config/quantities.ts'
import { HoldfastError } from '../../errors.ts'
import type { Grant } from '../api/roles.ts'
import { ACCOUNT } from '../api/shape.ts'
import type { Database, Writing } from '../database/database.ts'
import { digest, freshSecret, sameText } from './accounts.ts'

const FLOW_MS = 10 * 60_000
const FLOWS_MAX = 1_000
/** A company may sit behind one address. */
const FLOWS_AN_ADDRESS_MAX = 100
const REQUEST_MS = 8_000
const DISCOVERY_MS = 3_600_000
const ANSWER_CHARS_MAX = 262_144
/** Different clocks of the provider and of us. */
const CLOCK_SECONDS = 30
/** Signatures by the provider's private keys; `none` and shared secrets are not among them. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'RS512', 'PS512']

export interface OidcOptions {
  readonly spec: OidcSpec
  readonly redirectUrl: string
  readonly database: Database
  readonly wallMs: () => number
}

export interface Identity {
  /** Issuer and subject: what stays when names change. */
  readonly identity: string
  readonly user: string
  readonly display: string
  /** None: the provider knows him, and gives him no role here. */
  readonly grants: readonly Grant[]
}

interface Provider {
  readonly authorization: string
  readonly token: string
  readonly keys: ReturnType<typeof createRemoteJWKSet>
}

export class Oidc {
  readonly #options: OidcOptions
  #provider: { readonly value: Provider; readonly untilMs: number } | null = null

  constructor(options: OidcOptions) {
    this.#options = options
  }

  /** Where to send the browser, and what to leave with it. */
  async start(address: string): Promise<{ readonly url: string; readonly browser: string }> {
    const { spec, redirectUrl, database, wallMs } = this.#options
    const { authorization } = await this.#discovered()
    const [state, nonce, verifier, browser] = [freshSecret(), freshSecret(), freshSecret(), freshSecret()]
    const nowMs = Math.round(wallMs())
    await database.write(async (writing) => {
      await writing.deleteFrom('oidc_flows').where('expires_ms', '<=', nowMs).execute()
      await makeRoom(writing, address)
      await writing
        .insertInto('oidc_flows')
        .values({
          state_hash: digest(state),
          browser_hash: digest(browser),
          verifier,
          nonce,
          expires_ms: nowMs + FLOW_MS,
          address,
        })
        .execute()
    })
    const url = new URL(authorization)
    const words = {
      response_type: 'code',
      client_id: spec.clientId,
      redirect_uri: redirectUrl,
      scope: 'openid profile email',
      state,
      nonce,
      code_challenge: hash('sha256', verifier, 'base64url'),
      code_challenge_method: 'S256',
    }
    for (const [key, value] of Object.entries(words)) url.searchParams.set(key, value)
    return { url: url.href, browser }
  }

  /** Who came back. Throws `HF_LOGIN_FAILED` for everything that is not the end of a flow of this browser. */
  async finish(answer: { readonly code: string; readonly state: string; readonly browser: string }): Promise<Identity> {
    const { database, wallMs, spec } = this.#options
    const stateHash = digest(answer.state)
    // Taken out first: whatever happens now, this state is used up.
    const flow = await database.write(async (writing) => {
      const row = await writing
        .selectFrom('oidc_flows')
        .selectAll()
        .where('state_hash', '=', stateHash)
        .executeTakeFirst()
      const gone = await writing.deleteFrom('oidc_flows').where('state_hash', '=', stateHash).executeTakeFirst()
      return Number(gone.numDeletedRows) === 1 ? row : undefined
    })
    if (flow === undefined || wallMs() >= flow.expires_ms || !sameText(flow.browser_hash, digest(answer.browser))) {
      throw new HoldfastError('HF_LOGIN_FAILED', 'this log-in was not begun here, or is over', 'begin it again')
    }
    const claims = await this.#exchange(answer.code, flow.verifier, flow.nonce)
    return identityOf(spec, claims)
  }

  async #exchange(code: string, verifier: string, nonce: string): Promise<Readonly<Record<string, unknown>>> {
    const { spec, redirectUrl, wallMs } = this.#options
    const provider = await this.#discovered()
    const account = `${encodeURIComponent(spec.clientId)}:${encodeURIComponent(spec.clientSecret.reveal())}`
    const tokens = await askJson(provider.token, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(account).toString('base64')}`,
      },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUrl,
        code_verifier: verifier,
      }).toString(),
    })
    if (typeof tokens.id_token !== 'string') throw failed('it gave no id token')
    try {
      const { payload } = await jwtVerify(tokens.id_token, provider.keys, {
        issuer: spec.issuer,
        audience: spec.clientId,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_SECONDS,
        requiredClaims: ['sub', 'exp', 'iat', 'nonce'],
        currentDate: new Date(wallMs()),
      })
      if (!sameText(String(payload.nonce), nonce)) throw new Error('the nonce is of another log-in')
      if (Array.isArray(payload.aud) && payload.aud.length > 1 && payload.azp !== spec.clientId) {
        throw new Error('the token is for somebody else')
      }
      return payload
    } catch (cause) {
      const because = cause instanceof Error ? cause.message : String(cause)
      throw new HoldfastError('HF_LOGIN_FAILED', `the provider's token does not hold: ${because}`, 'begin again', cause)
    }
  }

  async #discovered(): Promise<Provider> {
    const { spec, wallMs } = this.#options
    if (this.#provider !== null && wallMs() < this.#provider.untilMs) return this.#provider.value
    const found = await askJson(`${spec.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, { method: 'GET' })
    // Another issuer's document would let it speak for this one.
    if (found.issuer !== spec.issuer) throw failed(`it calls itself ${String(found.issuer).slice(0, 200)}`)
    const { authorization, token, keys } = endpointsOf(spec.issuer, found)
    const set = createRemoteJWKSet(new URL(keys), { timeoutDuration: REQUEST_MS, [customFetch]: bareFetch })
    const value = { authorization, token, keys: set }
    this.#provider = { value, untilMs: wallMs() + DISCOVERY_MS }
    return value
  }
}

/** Anybody may begin a log-in; who begins many ends his own oldest first, and nobody is kept out. */
async function makeRoom(writing: Writing, address: string): Promise<void> {
  const newest = writing.selectFrom('oidc_flows').select('state_hash').orderBy('expires_ms', 'desc')
  const own = newest.where('address', '=', address).offset(FLOWS_AN_ADDRESS_MAX - 1)
  for (const beyond of [own, newest.offset(FLOWS_MAX - 1)]) {
    for (const { state_hash: old } of await beyond.limit(FLOWS_MAX).execute()) {
      await writing.deleteFrom('oidc_flows').where('state_hash', '=', old).execute()
    }
  }
}

/** What discovery names. Codes, secrets and keys do not travel where others can read or change them. */
export function endpointsOf(
  issuer: string,
  found: Readonly<Record<string, unknown>>,
): { readonly authorization: string; readonly token: string; readonly keys: string } {
  const own = isLoopbackUrl(issuer)
  const endpoint = (key: string): string => {
    const url = found[key]
    if (typeof url !== 'string' || !URL.canParse(url)) throw failed(`its discovery document lacks ${key}`)
    const { protocol } = new URL(url)
    if (protocol === 'https:' || (protocol === 'http:' && own)) return url
    throw failed(`${key} is ${url.slice(0, 200)}, which is not https`)
  }
  return {
    authorization: endpoint('authorization_endpoint'),
    token: endpoint('token_endpoint'),
    keys: endpoint('jwks_uri'),
  }
}

/** Redirects would lead the request, with its secret, elsewhere. */
const bareFetch: typeof fetch = (input, init) => fetch(input, { ...init, redirect: 'error' })

async function askJson(
  url: string,
  init: { readonly method: string; readonly headers?: Record<string, string>; readonly body?: string },
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const answer = await bareFetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_MS) })
    const text = await answer.text()
    if (text.length > ANSWER_CHARS_MAX) throw new Error('its answer is too long')
    const value: unknown = JSON.parse(text)
    if (!answer.ok || typeof value !== 'object' || value === null) throw new Error(`it answers ${answer.status}`)
    return value as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw failed(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function failed(because: string, cause?: unknown): HoldfastError {
  const next = 'look at the provider and at server.oidc in the description'
  return new HoldfastError('HF_OIDC_FAILED', `the identity provider: ${because}`, next, cause)
}

function identityOf(spec: OidcSpec, claims: Readonly<Record<string, unknown>>): Identity {
  const words = (key: string): string => (typeof claims[key] === 'string' ? claims[key] : '')
  const subject = words('sub')
  const name = [words('preferred_username'), words('email'), subject].map((text) => text.toLowerCase())
  const user = name.find((text) => ACCOUNT.test(text))
  if (user === undefined) throw failed('it gives no name that can be one of an account')
  const found = claims[spec.claim]
  const values = new Set(Array.isArray(found) ? found : [found])
  const grants = spec.grants
    .filter(({ is }) => values.has(is))
    .map(({ role, groups }): Grant => (groups === null ? { role } : { role, groups: [...groups] }))
  const display = (words('name') || user).replace(/\p{Cc}/gu, ' ').slice(0, 200)
  return { identity: `${spec.issuer} ${subject}`, user, display, grants }
}
