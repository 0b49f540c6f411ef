/** Attacks on the server's access, over real HTTP. Routes come from the table, so a new one is attacked by itself. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../io/clock.ts'
import { API_ROUTES, type ApiRoute } from '../api/routes.ts'
import { adminBody, PASSWORD, type Session, type TestServer, testServer } from '../server.fixture.ts'

const routes = Object.entries<ApiRoute>(API_ROUTES)
const filled = (path: string): string =>
  path.replace(':group', 'orders').replace(':service', 'shop').replace(':user', 'root').replace(':id', 'an-id')

let server: TestServer
let root: Session
let laterMs = 0
const clock = { nowMs: () => systemClock.nowMs() + laterMs, wallMs: () => systemClock.wallMs() + laterMs }

before(async () => {
  server = await testServer({ clock })
  root = await server.admin()
})
after(() => server.close())

async function user(name: string, grants: object[]): Promise<Session> {
  const made = await server.ask('POST', '/users', { session: root, body: { user: name, password: PASSWORD, grants } })
  assert.equal(made.status, 200, made.text)
  return server.login(name, PASSWORD)
}

describe('who is nobody', () => {
  for (const [id, route] of routes) {
    if (route.needs === 'public') continue
    it(`is refused at ${id}, and is not told what exists`, async () => {
      const answer = await server.ask(route.method, filled(route.path), route.body === undefined ? {} : { body: {} })
      assert.equal(answer.status, 401, answer.text)
    })
  }

  it('cannot use the one-time code again', async () => {
    const answer = await server.ask('POST', '/session/first-admin', {
      body: { ...adminBody(server.code), user: 'eve' },
    })
    assert.equal(answer.status, 401)
    assert.equal((await server.ask('GET', '/session/methods')).json.firstAdmin, false)
  })

  it('learns nothing from how a log-in fails', async () => {
    const wrong = await server.ask('POST', '/session', { body: { user: 'root', password: 'wrong' } })
    const unknown = await server.ask('POST', '/session', { body: { user: 'nobody-here', password: 'wrong' } })
    assert.equal(wrong.status, 401)
    assert.equal(wrong.text, unknown.text)
  })
})

describe('a viewer', () => {
  let viewer: Session
  before(async () => {
    viewer = await user('vera', [{ role: 'viewer' }])
  })

  for (const [id, route] of routes) {
    const { needs, method } = route
    if (needs === 'public' || needs === 'session' || needs === 'read') continue
    it(`may not ${id}, whatever the body`, async () => {
      const before = server.agents.map(({ asked }) => asked.length)
      const bodies = route.body === undefined ? [undefined] : [{}, { to: 'orders-2' }, { because: 'x', validMs: 1 }]
      for (const body of bodies) {
        const answer = await server.ask(method, filled(route.path), { session: viewer, ...(body ? { body } : {}) })
        assert.equal(answer.status, 403, answer.text)
        assert.match(answer.text, /HF_FORBIDDEN/)
      }
      assert.deepEqual(
        server.agents.map(({ asked }) => asked.length),
        before,
      )
    })
  }

  it('reads, and can neither approve nor give itself a token that may', async () => {
    assert.equal((await server.ask('GET', '/platform', { session: viewer })).status, 200)
    const body = { label: 'mine', rights: ['admin', 'operate', 'read'], validDays: 1 }
    const made = await server.ask('POST', '/tokens', { session: viewer, body })
    assert.equal(made.status, 200)
    const token = String(made.json.secret)
    assert.equal((await server.ask('GET', '/users', { token })).status, 403)
    assert.equal((await server.ask('POST', '/groups/orders/resume', { token, body: {} })).status, 403)
    assert.equal((await server.ask('GET', '/platform', { token })).status, 200)
  })

  it('has no place in another group than its own', async () => {
    const narrow = await user('nora', [{ role: 'viewer', groups: ['orders'] }])
    const seen = await server.ask('GET', '/platform', { session: narrow })
    assert.equal(seen.status, 200)
    assert.equal((await server.ask('GET', '/groups/billing', { session: narrow })).status, 403)
    assert.equal((await server.ask('GET', '/users', { session: narrow })).status, 403)
    const strange = await server.ask('PATCH', '/users/nora', {
      session: root,
      body: { grants: [{ role: 'operator', groups: ['ordres'] }] },
    })
    assert.equal(strange.status, 400, strange.text)
  })
})

describe('tokens and sessions', () => {
  it('a forged token, one of another form and one with a changed letter are refused', async () => {
    const made = await server.ask('POST', '/tokens', {
      session: root,
      body: { label: 'ci', rights: ['read'], validDays: 1 },
    })
    const token = String(made.json.secret)
    const id = String((made.json.token as { id: string }).id)
    assert.equal((await server.ask('GET', '/session', { token })).status, 200)
    const changed = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
    for (const forged of [changed, token.toUpperCase(), `hft_${id}_${'A'.repeat(43)}`, 'hft_', "' or 1=1 --"]) {
      assert.equal((await server.ask('GET', '/session', { token: forged })).status, 401, forged)
    }
    const none = await server.ask('GET', '/session', {
      session: root,
      headers: { authorization: 'Basic cm9vdDpyb290' },
    })
    assert.equal(none.status, 401, 'a wrong token is not made good by a cookie')
    assert.equal((await server.ask('DELETE', `/tokens/${id}`, { session: root })).status, 200)
    assert.equal((await server.ask('GET', '/session', { token })).status, 401, 'revoked at once')
  })

  it('a token makes no tokens and changes no password', async () => {
    const made = await server.ask('POST', '/tokens', {
      session: root,
      body: { label: 'ci', rights: ['admin', 'read'], validDays: 1 },
    })
    const token = String(made.json.secret)
    const body = { label: 'more', rights: ['admin'], validDays: 366 }
    assert.equal((await server.ask('POST', '/tokens', { token, body })).status, 403)
    const change = { old: PASSWORD, new: 'another good password' }
    assert.equal((await server.ask('POST', '/session/password', { token, body: change })).status, 403)
  })

  it('tokens and sessions run out', async () => {
    const made = await server.ask('POST', '/tokens', {
      session: root,
      body: { label: 'short', rights: ['read'], validDays: 1 },
    })
    const token = String(made.json.secret)
    const session = await server.login('root', PASSWORD)
    try {
      laterMs = 2 * 3_600_000
      assert.equal((await server.ask('GET', '/session', { session })).status, 401, 'not used for an hour')
      assert.equal((await server.ask('GET', '/session', { token })).status, 200)
      laterMs = 25 * 3_600_000
      assert.equal((await server.ask('GET', '/session', { token })).status, 401)
    } finally {
      laterMs = 0
    }
  })

  it('a cookie is worth nothing after the log-out, a change of grants, or once its user is disabled', async () => {
    const first = await user('olaf', [{ role: 'operator' }])
    assert.equal((await server.ask('DELETE', '/session', { session: first })).status, 200)
    assert.equal((await server.ask('GET', '/session', { session: first })).status, 401)
    const second = await server.login('olaf', PASSWORD)
    await server.ask('PATCH', '/users/olaf', { session: root, body: { grants: [{ role: 'viewer' }] } })
    assert.equal((await server.ask('GET', '/session', { session: second })).status, 401)
    const third = await server.login('olaf', PASSWORD)
    await server.ask('PATCH', '/users/olaf', { session: root, body: { disabled: true } })
    assert.equal((await server.ask('GET', '/session', { session: third })).status, 401)
    assert.equal((await server.ask('POST', '/session', { body: { user: 'olaf', password: PASSWORD } })).status, 401)
  })

  it('the cookie is kept from scripts and from other sites', async () => {
    const answer = await server.ask('POST', '/session', { body: { user: 'root', password: PASSWORD } })
    const [cookie = ''] = answer.headers.getSetCookie()
    assert.match(cookie, /; HttpOnly/)
    assert.match(cookie, /; SameSite=Strict/)
    assert.match(cookie, /; Path=\//)
    assert.doesNotMatch(answer.text, new RegExp(cookie.split(/[=;]/)[1] ?? 'x'), 'never in a body')
  })

  it('the last admin stays', async () => {
    for (const body of [{ disabled: true }, { grants: [{ role: 'viewer' }] }]) {
      const answer = await server.ask('PATCH', '/users/root', { session: root, body })
      assert.equal(answer.status, 409, answer.text)
    }
    assert.equal((await server.ask('DELETE', '/users/root', { session: root })).status, 409)
    assert.equal((await server.ask('GET', '/session', { session: root })).status, 200, 'nothing was half-made')
  })
})

describe('a page of somebody else', () => {
  it('changes nothing with our cookie: the csrf is missing, wrong, or of another session', async () => {
    const other = await server.login('root', PASSWORD)
    for (const csrf of ['', 'x', other.csrf, root.csrf.slice(1)]) {
      const answer = await server.ask('POST', '/groups/orders/resume', { session: { ...root, csrf }, body: {} })
      assert.equal(answer.status, 403)
      assert.match(answer.text, /HF_CSRF_MISSING/)
    }
    assert.equal((await server.ask('POST', '/groups/orders/resume', { session: root, body: {} })).status, 200)
  })

  it('is refused by its origin, also where nobody is logged in', async () => {
    const body = { user: 'root', password: PASSWORD }
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ]) {
      assert.equal((await server.ask('POST', '/session', { body, headers })).status, 403)
      assert.equal(
        (await server.ask('POST', '/groups/orders/resume', { session: root, body: {}, headers })).status,
        403,
      )
    }
    const own = await server.ask('POST', '/session', { body, headers: { origin: server.url } })
    assert.equal(own.status, 200)
  })

  it('cannot send a form as JSON', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const raw = JSON.stringify({ user: 'root', password: PASSWORD })
      const answer = await server.ask('POST', '/session', { raw, headers: { 'content-type': type } })
      assert.equal(answer.status, 400, type)
    }
  })
})

it('an open stream ends when what its user may read was narrowed, and not before', { timeout: 30_000 }, async (t) => {
  const session = await user('nils', [{ role: 'viewer' }])
  const made = await server.ask('POST', '/tokens', { session, body: { label: 's', rights: ['read'], validDays: 1 } })
  const token = String(made.json.secret)
  // Only what begins from here on: the stream's own look at its rights.
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { body } = await fetch(`${server.url}/api/v1/stream`, { headers: { authorization: `Bearer ${token}` } })
  const reader = (body ?? assert.fail('no stream')).pipeThrough(new TextDecoderStream()).getReader()
  const endedBefore = async (words: string): Promise<boolean> => {
    for (let text = ''; !text.includes(words); ) {
      const { done, value = '' } = await reader.read()
      if (done) return true
      text += value
    }
    return false
  }
  assert.equal(await endedBefore('event: platform'), false)
  t.mock.timers.tick(20_000)
  assert.equal((await server.ask('GET', '/platform', { token })).status, 200)
  const more = { group: 'orders', member: 'orders-1', rule: 'R12', detail: {} }
  server.agents[0]?.tell({ reasons: [{ wallMs: clock.wallMs(), code: 'still-told', ...more }] })
  assert.equal(await endedBefore('still-told'), false)
  const grants = [{ role: 'viewer', groups: ['orders'] }]
  assert.equal((await server.ask('PATCH', '/users/nils', { session: root, body: { grants } })).status, 200)
  assert.equal((await server.ask('GET', '/platform', { token })).status, 200, 'the token is still good')
  t.mock.timers.tick(20_000)
  assert.equal(await endedBefore('what is never told'), true)
})

it('guessing a password is slowed down, for that address and account, and not for others', async () => {
  await user('gina', [{ role: 'viewer' }])
  const statuses = []
  for (let n = 0; n < 7; n++) {
    statuses.push((await server.ask('POST', '/session', { body: { user: 'gina', password: `guess ${n}` } })).status)
  }
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429])
  const right = await server.ask('POST', '/session', { body: { user: 'gina', password: PASSWORD } })
  assert.equal(right.status, 429, 'the right one is not even looked at')
  assert.match(right.text, /try again in \d+ s/)
  await server.login('root', PASSWORD)
})
