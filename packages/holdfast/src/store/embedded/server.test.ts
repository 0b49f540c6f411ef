import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { connectEmbeddedStore } from './client.ts'
import { BODY_BYTES_MAX } from './protocol.ts'
import { type EmbeddedStore, startEmbeddedStore } from './server.ts'

const directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'))
const host = '127.0.0.1'
const token = 'secret-token'

after(() => rmSync(directory, { recursive: true, force: true }))

describe('embedded store server', () => {
  let store: EmbeddedStore
  before(async () => {
    store = await startEmbeddedStore({ host, port: 0, file: join(directory, 'a', 'store.db'), token })
  })
  after(() => store.close())

  const post = async (path: string, body: string | Buffer, headers: Record<string, string> = {}) => {
    const response = await fetch(store.url + path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    })
    const json = (await response.json()) as { error?: { code: string; message: string } }
    return `${response.status} ${json.error?.code ?? 'ok'}`
  }

  it('answers nobody without the token, and no browser', async () => {
    assert.equal(await post('/v1/get', '{"key":"a"}'), '200 ok')
    for (const authorization of ['', 'Bearer', 'Bearer wrong', `Bearer ${token}x`, `Basic ${token}`]) {
      assert.equal(await post('/v1/get', '{"key":"a"}', { authorization }), '401 wrong-token')
    }
    assert.equal(await post('/v1/get', '{"key":"a"}', { origin: 'http://evil.example' }), '403 origin-refused')
    assert.equal(await post('/v1/get', '{"key":"a"}', { 'content-type': 'text/plain' }), '415 not-json')
    const response = await fetch(`${store.url}/v1/get`, { headers: { authorization: `Bearer ${token}` } })
    assert.equal(response.status, 405)
  })

  it('refuses malformed requests with a code and goes on', async () => {
    const cas = (fields: object) => JSON.stringify({ key: 'a', value: '{}', ifRevision: 0, writeId: 'w', ...fields })
    const malformed: readonly [string, string | Buffer][] = [
      ['/v1/get', ''],
      ['/v1/get', '{"key":'],
      ['/v1/get', 'null'],
      ['/v1/get', '[]'],
      ['/v1/get', Buffer.from([0x7b, 0xff, 0xfe])],
      ['/v1/get', '{"key":"a b"}'],
      ['/v1/list', '{"prefix":7}'],
      ['/v1/watch', '{"prefix":"","after":-1}'],
      ['/v1/watch', '{"prefix":"","after":0,"heartbeatMs":1}'],
      ['/v1/watch', '{"prefix":"","after":0,"heartbeatMs":"often"}'],
      ['/v1/cas', cas({ value: { nested: true } })],
      ['/v1/cas', cas({ value: 'x'.repeat(65_537) })],
      ['/v1/cas', cas({ value: '\ud800' })],
      ['/v1/cas', cas({ ifRevision: '0' })],
      ['/v1/cas', cas({ ifRevision: 2 ** 60 })],
      ['/v1/cas', cas({ writeId: '' })],
    ]
    for (const [path, body] of malformed)
      assert.equal(await post(path, body), '400 malformed', String(body).slice(0, 80))
    assert.equal(await post('/v2/get', '{}'), '404 not-found')
    assert.equal(await post('/v1/get', Buffer.alloc(BODY_BYTES_MAX + 1, 32)), '413 too-large')
    assert.equal(await post('/v1/list', '{"prefix":""}'), '200 ok')
  })

  it('lets a quiet watch hear a heartbeat as often as it asked for', async () => {
    const heard = async (heartbeatMs: number): Promise<number> => {
      const abort = new AbortController()
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const body = JSON.stringify({ prefix: 'quiet/', after: 0, heartbeatMs })
      const response = await fetch(`${store.url}/v1/watch`, { method: 'POST', headers, body, signal: abort.signal })
      setTimeout(() => abort.abort(), 1_100)
      let lines = 0
      try {
        for await (const chunk of response.body ?? []) lines += Buffer.from(chunk).toString().split('\n').length - 1
      } catch (error) {
        assert.equal((error as Error).name, 'AbortError')
      }
      return lines - 1
    }
    const [often, seldom] = await Promise.all([heard(125), heard(1_000)])
    assert.ok(often >= 5 && often <= 9, `${often} heartbeats`)
    assert.ok(seldom <= 2, `${seldom} heartbeats`)
  })

  it('reports a repeated write as applied once', async () => {
    const write = JSON.stringify({ key: 'twice', value: '{}', ifRevision: 0, writeId: 'one' })
    const send = async () => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
      return (await fetch(`${store.url}/v1/cas`, { method: 'POST', body: write, headers })).json()
    }
    const first = await send()
    assert.equal((first as { applied: boolean }).applied, true)
    assert.deepEqual(await send(), first)
  })

  it('keeps its file readable for its owner only', () => {
    assert.equal(statSync(join(directory, 'a', 'store.db')).mode & 0o077, 0)
  })
})

describe('embedded store start', () => {
  const start = (options: object) =>
    startEmbeddedStore({ host, port: 0, file: join(directory, 'start.db'), token, ...options })

  it('listens on loopback only without a token', async () => {
    for (const wide of ['0.0.0.0', '::', 'store.example', '192.0.2.1']) {
      await assert.rejects(start({ host: wide, token: null }), { code: 'HF_STORE_NEEDS_TOKEN' })
      await assert.rejects(start({ host: wide, token: '' }), { code: 'HF_STORE_NEEDS_TOKEN' })
    }
    const store = await start({ token: null })
    const client = connectEmbeddedStore({ urls: [store.url], token: null })
    assert.equal((await client.get('a', 1_000)).kind, 'ok')
    await client.close()
    await store.close()
  })

  it('names a port in use and leaves the file free', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, host, resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await assert.rejects(start({ port }), { code: 'HF_STORE_ADDRESS_UNUSABLE' })
    await new Promise((resolve) => other.close(resolve))
    await (await start({ port })).close()
  })

  it('refuses files that are not its own and leaves them as they are', async () => {
    const text = join(directory, 'text.db')
    writeFileSync(text, 'these are notes of somebody, not a database'.repeat(50))
    const bytes = readFileSync(text)
    await assert.rejects(start({ file: text }), { code: 'HF_STORE_FILE_FOREIGN' })
    assert.deepEqual(readFileSync(text), bytes)
    const strange = join(directory, 'strange.db')
    const database = new DatabaseSync(strange)
    database.exec('CREATE TABLE notes (text TEXT)')
    database.close()
    await assert.rejects(start({ file: strange }), { code: 'HF_STORE_FILE_FOREIGN' })
    await assert.rejects(start({ file: directory }), { code: 'HF_STORE_FILE_UNUSABLE' })
  })

  it('refuses a damaged file', async () => {
    const file = join(directory, 'damaged.db')
    const store = await start({ file })
    const client = connectEmbeddedStore({ urls: [store.url], token })
    for (let n = 0; n < 20; n++) await client.compareAndSet(`k${n}`, 'x'.repeat(3_000), 0, 1_000)
    await client.close()
    await store.close()
    const bytes = readFileSync(file)
    bytes.fill(0xa5, 8_192, 40_000)
    writeFileSync(file, bytes)
    await assert.rejects(start({ file }), { code: 'HF_STORE_FILE_DAMAGED' })
  })
})
