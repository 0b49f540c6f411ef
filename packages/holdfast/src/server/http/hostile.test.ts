/** What a hostile or broken client can send: no answer is a defect, nothing is changed, the next one is served. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { openApiDocument } from '../api/openapi.ts'
import { PASSWORD, type Session, type TestServer, testServer } from '../server.fixture.ts'

type Json = Readonly<Record<string, unknown>>

let server: TestServer
let root: Session
const dashboard = mkdtempSync(join(tmpdir(), 'holdfast-dashboard-'))

before(async () => {
  mkdirSync(join(dashboard, 'dist', 'assets'), { recursive: true })
  writeFileSync(join(dashboard, 'secret.txt'), 'nobody reads this')
  writeFileSync(join(dashboard, 'dist', 'index.html'), '<!doctype html><title>Holdfast</title>')
  writeFileSync(
    join(dashboard, 'dist', 'assets', 'main-a1b2c3d4.js'),
    `console.log(${JSON.stringify('x'.repeat(900))})`,
  )
  server = await testServer({ dashboardDir: join(dashboard, 'dist') })
  root = await server.admin()
})
after(async () => {
  await server.close()
  rmSync(dashboard, { recursive: true, force: true })
})

/** Bytes as they are, since clients mend paths and refuse headers. */
function rawly(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8').setTimeout(10_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
    socket.end(text)
  })
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])

describe('paths', () => {
  for (const path of [
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e%2fsecret.txt',
    '/assets/..%5c..%5csecret.txt',
    '//secret.txt',
    '/assets/%00/../../secret.txt',
    '/.%2e/.%2e/.%2e/.%2e/etc/passwd',
    'file:///etc/passwd',
  ]) {
    it(`${path} leads to no file outside the dashboard`, async () => {
      const answer = await rawly(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
      assert.doesNotMatch(answer, /nobody reads this|root:/)
      assert.ok([400, 404].includes(statusOf(answer)) || answer.includes('<title>Holdfast'), answer.slice(0, 200))
    })
  }

  it('the page, a place inside it and its files are served; hashed files are kept for good', async () => {
    for (const path of ['/', '/groups/orders']) {
      const page = await fetch(`${server.url}${path}`)
      assert.match(await page.text(), /<title>Holdfast/)
      assert.equal(page.headers.get('cache-control'), 'no-cache')
      assert.match(page.headers.get('content-security-policy') ?? '', /script-src 'self';.*frame-ancestors 'none'/)
    }
    const file = await fetch(`${server.url}/assets/main-a1b2c3d4.js`)
    assert.match(file.headers.get('cache-control') ?? '', /immutable/)
    assert.match(file.headers.get('content-type') ?? '', /text\/javascript/)
    const again = await fetch(`${server.url}/assets/main-a1b2c3d4.js`, {
      headers: { 'if-none-match': file.headers.get('etag') ?? '' },
    })
    assert.equal(again.status, 304)
    assert.equal((await fetch(`${server.url}/assets/other-a1b2c3d4.js`)).status, 404)
    assert.equal((await fetch(`${server.url}/api/v1/nothing`)).status, 404)
  })
})

describe('headers', () => {
  it('a name of a stranger is not answered to: no page can reach the server under a name of its own', async () => {
    const get = (host: string) => rawly(`GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    assert.equal(statusOf(await get('evil.example')), 403)
    assert.equal(statusOf(await get('127.0.0.1.evil.example:80')), 403)
    assert.equal(statusOf(await get('localhost')), 200)
  })

  it('nothing a client sends becomes a header of the answer', async () => {
    const user = 'x%0d%0aset-cookie:%20holdfast-session=stolen'
    const path = `/api/v1/session/oidc/callback?error=${user}&state=${user}`
    const answer = await rawly(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    assert.doesNotMatch(answer.split('\r\n\r\n')[0] ?? '', /stolen/)
    const twice = 'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n'
    const split = await rawly(`GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: b\nset-cookie: c\r\n${twice}\r\n`)
    assert.equal(statusOf(split), 400)
  })

  it('more headers than make sense are refused', async () => {
    const many = `X-Long: ${'a'.repeat(40_000)}\r\n`
    const answer = await rawly(`GET /livez HTTP/1.1\r\nHost: localhost\r\n${many}Connection: close\r\n\r\n`)
    assert.equal(statusOf(answer), 431)
  })
})

describe('bodies', () => {
  it('too long ones are refused unread, broken ones are told so', async () => {
    const huge = await server.ask('POST', '/session', { raw: `{"user":"${'a'.repeat(100_000)}"}` })
    assert.equal(huge.status, 413)
    for (const raw of [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{"__proto__":{"admin":true},"user":"root","password":"x"}',
      '\u0000',
    ]) {
      const answer = await server.ask('POST', '/session', { raw })
      assert.equal(answer.status, 400, JSON.stringify(raw))
    }
    const deep = await server.ask('POST', '/session', { raw: `{"user":${'['.repeat(20_000)}${']'.repeat(20_000)}}` })
    assert.equal(deep.status, 400)
  })

  it('words of the database are words: nothing is found, changed or shown by them', async () => {
    const words = [
      "' or '1'='1",
      "'; drop table users; --",
      '%%',
      'r__t',
      '\\\\',
      "' union select password from users --",
    ]
    for (const word of words) {
      const found = await server.ask('GET', `/audit?search=${encodeURIComponent(word)}`, { session: root })
      assert.equal(found.status, 200, found.text)
      assert.deepEqual(found.json.entries, [], word)
      for (const path of [`/users/${encodeURIComponent(word)}`, `/groups/${encodeURIComponent(word)}/pause`]) {
        const answer = await server.ask(path.endsWith('pause') ? 'POST' : 'DELETE', path, { session: root, body: {} })
        assert.ok([400, 403, 404].includes(answer.status), answer.text)
      }
    }
    assert.equal(((await server.ask('GET', '/users', { session: root })).json as unknown as unknown[]).length, 1)
  })
})

interface Operation {
  readonly method: string
  readonly path: string
  readonly body: Json | null
  readonly parameters: readonly { name: string; in: string; schema: Json }[]
}

/** Every operation of the document, with its schema for bodies. */
function operations(): readonly Operation[] {
  const document = openApiDocument('1') as unknown as {
    paths: Record<string, Record<string, { requestBody?: { content: Json }; parameters?: Operation['parameters'] }>>
    components: { schemas: Record<string, Json> }
  }
  const resolved = (schema: Json): Json => {
    const name = typeof schema.$ref === 'string' ? schema.$ref.split('/').at(-1) : undefined
    return name === undefined ? schema : (document.components.schemas[name] ?? {})
  }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const content = operation.requestBody?.content['application/json'] as { schema: Json } | undefined
      const body = content === undefined ? null : resolved(content.schema)
      return { method: method.toUpperCase(), path, body, parameters: operation.parameters ?? [] }
    }),
  )
}

/** Fields of the schema with values of any kind, and some that it does not know. */
function bodies(schema: Json): fc.Arbitrary<unknown> {
  const names = Object.keys((schema.properties ?? {}) as Json)
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('orders', 'orders-2', 'root', -1, 2 ** 53, 1e308, '\u0000', '\ud800'),
  )
  const field = names.length === 0 ? fc.string() : fc.oneof(fc.constantFrom(...names), fc.string())
  return fc.oneof(fc.dictionary(field, value, { maxKeys: 6 }), fc.jsonValue())
}

describe('whatever the document allows to be sent', () => {
  for (const { method, path, body, parameters } of operations()) {
    if (path.endsWith('/stream') || path.endsWith('/first-admin')) continue
    it(`${method} ${path} answers with a code of ours, never with a defect`, async () => {
      const place = fc.constantFrom('orders', 'root', 'x', '..', '%00', "'", '\u{1f600}', 'a'.repeat(200))
      const query = fc.dictionary(
        fc.constantFrom('after', 'before', 'limit', 'group', 'search', 'state', 'code', 'kind', 'x'),
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('-1', '1e99', 'NaN', '0', '9007199254740993', '')),
        { maxKeys: 3 },
      )
      const given = fc.record({ place, query, body: body === null ? fc.constant(undefined) : bodies(body) })
      await fc.assert(
        fc.asyncProperty(given, async (sent) => {
          const filled = path.replace(/\{\w+\}/g, () => encodeURIComponent(sent.place))
          const words = parameters.some((parameter) => parameter.in === 'query')
            ? `?${new URLSearchParams(Object.entries(sent.query) as [string, string][])}`
            : ''
          const answer = await server.ask(method, `${filled}${words}`, {
            session: root,
            ...(sent.body === undefined ? {} : { raw: JSON.stringify(sent.body) }),
          })
          // Nobody runs a store here, and it is told so.
          const known = answer.status === 502 || answer.text.includes('HF_STORE_UNREACHABLE')
          assert.ok(answer.status < 500 || known, `${answer.status} ${answer.text}`)
          assert.doesNotMatch(answer.text, /HF_INTERNAL|SQLITE|at .*\.ts:\d/)
          const own = await server.ask('GET', '/session', { session: root })
          if (own.status === 401) root = await server.login('root', PASSWORD)
        }),
        { numRuns: 8, seed: 4_711 },
      )
    })
  }

  it('and the server is still what it was', async () => {
    assert.equal((await server.ask('GET', '/session', { session: root })).status, 200)
    assert.equal((await server.ask('GET', '/audit/verify', { session: root })).json.ok, true)
    assert.equal(
      (await rawly('GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).includes('ok'),
      true,
    )
  })
})
