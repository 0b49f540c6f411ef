/** Logging in at a real identity provider, and what an attacker could try with its answers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ApiUser } from '@holdfast/client'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { systemClock } from '../../io/clock.ts'
import { openAt } from '../database/suite.fixture.ts'
import { type Answer, askAt, type Session, type TestServer, testServer } from '../server.fixture.ts'
import { endpointsOf, Oidc } from './oidc.ts'

let provider: Server
let issuer = ''
let server: TestServer
/** Changed by a test: what the token endpoint gives instead of the provider's own id token. */
let idTokenInstead: ((nonce: string) => Promise<string>) | null = null
let tokenAsked = 0
let lastNonce = ''

let laterMs = 0
const clock = { nowMs: () => systemClock.nowMs() + laterMs, wallMs: () => systemClock.wallMs() + laterMs }

const KEYS = await generateKeyPair('RS256', { extractable: true })
const PORT_OF_SERVER = await freePort()
const PUBLIC = `http://127.0.0.1:${PORT_OF_SERVER}`
const CALLBACK = `${PUBLIC}/api/v1/session/oidc/callback`

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

const CLAIMS: Record<string, object> = {
  dora: { preferred_username: 'Dora', name: 'Dora D', groups: ['dba', 'staff'] },
  stan: { preferred_username: 'stan', groups: ['staff'] },
}

async function startProvider(): Promise<void> {
  const { Provider } = await import('oidc-provider')
  provider = createServer()
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const oidc = new Provider(issuer, {
    clients: [{ client_id: 'holdfast', client_secret: 'a client secret', redirect_uris: [CALLBACK] }],
    claims: { openid: ['sub', 'groups', 'preferred_username', 'name'] },
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, ...CLAIMS[id] }) }),
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ['a key'] },
    jwks: { keys: [{ ...(await exportJWK(KEYS.privateKey)), kid: 'ours', alg: 'RS256', use: 'sig' }] },
    pkce: { required: () => true },
    ttl: { Interaction: 600, Session: 600, Grant: 600, IdToken: 600, AccessToken: 600 },
  })
  const answer = oidc.callback()
  provider.on('request', async (request, response) => {
    if (!request.url?.startsWith('/token')) return answer(request, response)
    tokenAsked += 1
    if (idTokenInstead === null) return answer(request, response)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ id_token: await idTokenInstead(lastNonce), token_type: 'Bearer', access_token: 'x' }))
  })
}

before(async () => {
  await startProvider()
  const more = `  publicUrl: ${PUBLIC}
  oidc:
    issuer: ${issuer}
    clientId: holdfast
    clientSecret: { env: HOLDFAST_TOKEN }
    grants:
      - { is: dba, role: operator, groups: [orders] }
`
  server = await testServer({ clock, more, port: PORT_OF_SERVER, token: 'a client secret' })
})
after(async () => {
  await server.close()
  provider.closeAllConnections()
  await new Promise((resolve) => provider.close(resolve))
})

/** A browser that keeps cookies of one site each. */
class Browser {
  readonly #jars = new Map<string, Map<string, string>>()

  async go(method: string, url: string, form?: Record<string, string>): Promise<Answer> {
    const { origin, pathname, search } = new URL(url)
    const jar = this.#jars.get(origin) ?? new Map<string, string>()
    this.#jars.set(origin, jar)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await askAt(origin, method, `${pathname}${search}`, {
      absolute: true,
      ...(form === undefined ? {} : { raw: new URLSearchParams(form).toString() }),
      headers: { cookie, ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }) },
    })
    for (const line of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split(/=(.*)/)
      jar.set(name, value)
    }
    return answer
  }

  async session(): Promise<Session> {
    const { json } = await this.go('GET', `${server.url}/api/v1/session`)
    const jar = this.#jars.get(server.url) ?? new Map<string, string>()
    return { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), csrf: String(json.csrf) }
  }

  /** From the start to the provider's answer: the address it sends the browser back to. */
  async through(login: string): Promise<string> {
    let answer = await this.go('GET', `${server.url}/api/v1/session/oidc`)
    assert.equal(answer.status, 303, answer.text)
    lastNonce = new URL(answer.headers.get('location') ?? '').searchParams.get('nonce') ?? ''
    for (let step = 0; step < 12; step++) {
      const to = answer.headers.get('location')
      if (to?.startsWith(CALLBACK)) return to
      if (to !== null) answer = await this.go('GET', new URL(to, issuer).href)
      else {
        const action = /action="([^"]+)"/.exec(answer.text)?.[1] ?? assert.fail(answer.text.slice(0, 500))
        const prompt = answer.text.includes('name="login"') ? 'login' : 'consent'
        answer = await this.go('POST', new URL(action, issuer).href, { prompt, login, password: 'any' })
      }
    }
    return assert.fail('the provider never came to an end')
  }
}

describe('logging in at the identity provider', () => {
  it('opens a session with the roles that the claim gives, and those only', async () => {
    const browser = new Browser()
    const back = await browser.go('GET', await browser.through('dora'))
    assert.equal(back.status, 303, back.text)
    assert.equal(back.headers.get('location'), '/')
    const session = await browser.go('GET', `${server.url}/api/v1/session`)
    assert.equal(session.json.user, 'dora')
    assert.deepEqual(session.json.grants, [{ role: 'operator', groups: ['orders'] }])
  })

  it('refuses who belongs to nothing that has a role', async () => {
    const browser = new Browser()
    const back = await browser.go('GET', await browser.through('stan'))
    assert.equal(back.status, 403, back.text)
    assert.equal((await browser.go('GET', `${server.url}/api/v1/session`)).status, 401)
  })

  it('who lost every role there loses sessions and tokens here; without a log-in a token waits for one', async () => {
    const browser = new Browser()
    await browser.go('GET', await browser.through('dora'))
    const session = await browser.session()
    const body = { label: 'ci', rights: ['read'], validDays: 366 }
    const made = await server.ask('POST', '/tokens', { session, body })
    assert.equal(made.status, 200, made.text)
    const token = String(made.json.secret)
    assert.equal((await server.ask('GET', '/platform', { token })).status, 200)
    laterMs = 31 * 24 * 3_600_000
    const old = await server.ask('GET', '/platform', { token })
    laterMs = 0
    assert.equal(old.status, 401)
    assert.match(old.text, /dora has not logged in at the identity provider for 30 days/)
    assert.equal((await server.ask('GET', '/platform', { token })).status, 200)

    CLAIMS.dora = { preferred_username: 'Dora', groups: ['staff'] }
    const other = new Browser()
    const back = await other.go('GET', await other.through('dora'))
    CLAIMS.dora = { preferred_username: 'Dora', name: 'Dora D', groups: ['dba', 'staff'] }
    assert.equal(back.status, 403, back.text)
    assert.equal((await server.ask('GET', '/session', { session })).status, 401, 'the session of before')
    assert.equal((await server.ask('GET', '/session', { token })).status, 401, 'the token of before')
    const root = await server.admin()
    const { entries } = (await server.ask('GET', '/audit?action=oidcUser', { session: root })).json
    const [last] = entries as { subject: string; detail: { grants: string } }[]
    assert.deepEqual([last?.subject, last?.detail.grants], ['user dora', '[]'])
    const users = (await server.ask('GET', '/users', { session: root })).json as unknown as ApiUser[]
    assert.deepEqual(users.find(({ user }) => user === 'dora')?.grants, [])
  })

  it('an answer counts once, in the browser it began in, with its own state', async () => {
    const browser = new Browser()
    const to = await browser.through('dora')
    const asked = tokenAsked
    assert.equal((await new Browser().go('GET', to)).status, 401, 'another browser')
    assert.equal((await browser.go('GET', to)).status, 401, 'used up by the try')
    const other = new URL(await browser.through('dora'))
    other.searchParams.set('state', 'forged')
    assert.equal((await browser.go('GET', other.href)).status, 401)
    assert.equal(tokenAsked, asked, 'the provider was not even asked')
  })

  it('a token that is forged, unsigned, for somebody else, too old or of another log-in is refused', async () => {
    const { privateKey } = await generateKeyPair('RS256')
    const shared = Buffer.from('a client secret'.repeat(3))
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = (nonce: string, { alg = 'RS256', aud = 'holdfast', iss = issuer, age = '1h' } = {}) =>
      new SignJWT({ sub: 'dora', groups: ['dba'], nonce })
        .setProtectedHeader({ alg, kid: 'ours' })
        .setIssuer(iss)
        .setAudience(aud)
        .setIssuedAt(Math.floor(systemClock.wallMs() / 1_000) - 7_200)
        .setExpirationTime(
          age === '1h'
            ? Math.floor(systemClock.wallMs() / 1_000) + 3_600
            : Math.floor(systemClock.wallMs() / 1_000) - 3_600,
        )
    const bare = (nonce: string) => ({
      sub: 'dora',
      groups: ['dba'],
      nonce,
      iss: issuer,
      aud: 'holdfast',
      exp: 9e9,
      iat: 1,
    })
    const instead: ((nonce: string) => Promise<string>)[] = [
      (nonce) => token(nonce).sign(privateKey),
      async (nonce) => `${part({ alg: 'none' })}.${part(bare(nonce))}.`,
      (nonce) => token(nonce, { alg: 'HS256' }).sign(shared),
      (nonce) => token(nonce, { aud: 'another-client' }).sign(KEYS.privateKey),
      (nonce) => token(nonce, { iss: 'https://evil.example' }).sign(KEYS.privateKey),
      (nonce) => token(nonce, { age: 'old' }).sign(KEYS.privateKey),
      () => token('of another log-in').sign(KEYS.privateKey),
    ]
    for (const make of instead) {
      idTokenInstead = make
      const browser = new Browser()
      const back = await browser.go('GET', await browser.through('dora'))
      assert.equal(back.status, 401, back.text)
    }
    // The same way with the right token, so that each of those was refused for its own reason.
    idTokenInstead = (nonce) => token(nonce).sign(KEYS.privateKey)
    const browser = new Browser()
    assert.equal((await browser.go('GET', await browser.through('dora'))).status, 303)
    idTokenInstead = null
  })
})

it('who begins many log-ins ends his own oldest, with many addresses those of all; nobody is kept out', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-oidc-'))
  const database = await openAt({ dir, url: null })
  const spec = server.platform.server?.oidc ?? assert.fail('no provider is described')
  const oidc = new Oidc({ spec, redirectUrl: CALLBACK, database, wallMs: clock.wallMs })
  const count = async (address: string): Promise<number> =>
    (await database.read.selectFrom('oidc_flows').select('state_hash').where('address', '=', address).execute()).length
  const fill = (address: string, flows: number) => {
    const values = Array.from({ length: flows }, (_, n) => {
      const [state_hash, expires_ms] = [`${address} ${n}`, Math.round(clock.wallMs()) + 60_000 + n]
      return { state_hash, browser_hash: '', verifier: '', nonce: '', expires_ms, address }
    })
    return database.write((writing) => writing.insertInto('oidc_flows').values(values).execute())
  }
  await fill('dora', 1)
  await fill('stranger', 100)
  await oidc.start('stranger')
  assert.deepEqual([await count('stranger'), await count('dora')], [100, 1])
  for (let n = 0; n < 9; n++) await fill(`stranger ${n}`, n === 8 ? 99 : 100)
  await oidc.start('erin')
  assert.equal(await count('erin'), 1)
  const all = await database.read.selectFrom('oidc_flows').select('state_hash').execute()
  assert.equal(all.length, 1_000)
  await database.close()
  rmSync(dir, { recursive: true, force: true })
})

it('takes from discovery only addresses that nobody on the way can read or change', () => {
  const found = (base: string, keys = base) => ({
    authorization_endpoint: `${base}/auth`,
    token_endpoint: `${base}/token`,
    jwks_uri: `${keys}/keys`,
  })
  const [safe, open, own] = ['https://login.example.org', 'http://login.example.org', 'http://127.0.0.1:9']
  assert.equal(endpointsOf(safe, found(safe)).keys, `${safe}/keys`)
  assert.equal(endpointsOf(own, found(own)).token, `${own}/token`)
  for (const bad of [found(open), found(safe, open), found(safe, own), found(safe, 'file://'), { jwks_uri: 'x' }]) {
    assert.throws(() => endpointsOf(safe, bad), { code: 'HF_OIDC_FAILED' })
  }
})
