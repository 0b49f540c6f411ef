import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { systemClock } from '../../io/clock.ts'
import { makeCertificates } from '../certificates-fixture.ts'
import { applied, follow, type StoreRig, storeConformance } from '../conformance.ts'
import { connectEmbeddedStore } from './client.ts'
import { type StoreProcess, startStoreProcess } from './process-fixture.ts'
import { type EmbeddedStoreOptions, startEmbeddedStore } from './server.ts'

const TOKEN = 'a-token-for-tests'
const HOST = '127.0.0.1'
const directories: string[] = []

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'))
  directories.push(directory)
  return directory
}

/** What a failed case left open would keep this process from ending. */
const left = new Set<{ close(): Promise<void> }>()

function kept<T extends { close(): Promise<void> }>(closable: T): T {
  left.add(closable)
  return closable
}

after(async () => {
  for (const closable of left) await closable.close()
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

const connectTo = (url: string) => connectEmbeddedStore({ urls: [url], token: TOKEN })

const connect = (url: string) => kept(connectTo(url))
const serve = async (options: EmbeddedStoreOptions) => kept(await startEmbeddedStore(options))

async function serveApart(options: EmbeddedStoreOptions): Promise<StoreProcess> {
  const server = await startStoreProcess(options)
  left.add({ close: () => server.end() })
  return server
}

storeConformance('embedded, in this process', inThisProcess, { hostile: true })
storeConformance('embedded, a process of its own', asProcess, { hostile: false })
storeConformance('embedded with TLS', withTls, { hostile: false })

async function inThisProcess(): Promise<StoreRig> {
  const file = join(freshDirectory(), 'store.db')
  let store = await startEmbeddedStore({ host: HOST, port: 0, file, token: TOKEN })
  const { url } = store
  return {
    url,
    connect: () => connectTo(url),
    connectTo,
    restart: async () => {
      await store.close()
      store = await startEmbeddedStore({ host: HOST, port: Number(new URL(url).port), file, token: TOKEN })
    },
    stop: () => store.close(),
  }
}

async function withTls(): Promise<StoreRig> {
  const directory = freshDirectory()
  const { ca, cert, key } = makeCertificates(directory)
  const options = { host: HOST, file: join(directory, 'store.db'), token: TOKEN, tls: { cert, key } }
  let store = await startEmbeddedStore({ ...options, port: 0 })
  const { url } = store
  const trusting = (to: string) => connectEmbeddedStore({ urls: [to], token: TOKEN, ca })
  return {
    url,
    connect: () => trusting(url),
    connectTo: trusting,
    restart: async () => {
      await store.close()
      store = await startEmbeddedStore({ ...options, port: Number(new URL(url).port) })
    },
    stop: () => store.close(),
  }
}

async function asProcess(): Promise<StoreRig> {
  const file = join(freshDirectory(), 'store.db')
  let store = await startStoreProcess({ host: HOST, port: 0, file, token: TOKEN })
  const { url } = store
  const port = Number(new URL(url).port)
  return {
    url,
    connect: () => connectTo(url),
    connectTo,
    restart: async () => {
      await store.end()
      store = await startStoreProcess({ host: HOST, port, file, token: TOKEN })
    },
    freeze: () => store.kill('SIGSTOP'),
    thaw: () => store.kill('SIGCONT'),
    stop: () => store.end(),
  }
}

describe('embedded store: bad days', () => {
  it('has every acknowledged write after being killed in the middle of writing, 20 times', async () => {
    const file = join(freshDirectory(), 'store.db')
    let port = 0
    let last = { revision: 0, n: 0 }
    for (let round = 0; round < 20; round++) {
      const server: StoreProcess = await serveApart({ host: HOST, port, file, token: TOKEN })
      port = Number(new URL(server.url).port)
      const client = connect(server.url)
      const found = await client.get('n', 2_000)
      assert.ok(found.kind === 'ok', JSON.stringify(found))
      const n = found.entry.value === null ? 0 : Number(found.entry.value)
      // The write that was under way may be there or not; never less than what was acknowledged.
      assert.ok(n === last.n || n === last.n + 1, `round ${round}: ${n} after ${last.n} was acknowledged`)
      assert.ok(found.entry.revision >= last.revision)
      last = { revision: found.entry.revision, n }
      let timer: NodeJS.Timeout | undefined
      for (let acknowledged = 0; ; ) {
        const result = await client.compareAndSet('n', String(last.n + 1), last.revision, 500)
        if (result.kind !== 'ok') break
        assert.ok(result.entry.revision > last.revision, 'a revision was given twice')
        last = { revision: result.entry.revision, n: last.n + 1 }
        acknowledged += 1
        // However slow the machine is, some were acknowledged before, and others are under way.
        if (acknowledged === 10) timer = setTimeout(() => server.kill('SIGKILL'), round * 2)
      }
      clearTimeout(timer)
      await server.end()
      await client.close()
    }
    assert.ok(last.n > 100, `only ${last.n} writes`)
  })

  it('opens with a log that ends at any byte, and has all commits before it', async () => {
    const directory = freshDirectory()
    const file = join(directory, 'store.db')
    const server = await serveApart({ host: HOST, port: 0, file, token: TOKEN })
    const client = connect(server.url)
    let revision = 0
    const sizes: number[] = []
    for (let n = 1; n <= 6; n++) {
      revision = applied(await client.compareAndSet('n', String(n), revision, 2_000)).revision
      sizes.push(statSync(`${file}-wal`).size)
    }
    await client.close()
    await server.end()
    const log = readFileSync(`${file}-wal`)
    for (let cut = sizes[1] ?? 0; cut <= log.length; cut += 1_009) {
      const copy = join(directory, `cut-${cut}.db`)
      copyFileSync(file, copy)
      writeFileSync(`${copy}-wal`, log.subarray(0, cut))
      const store = await serve({ host: HOST, port: 0, file: copy, token: TOKEN })
      const reader = connect(store.url)
      const found = await reader.get('n', 2_000)
      const whole = sizes.filter((size) => size <= cut).length
      assert.ok(found.kind === 'ok' && Number(found.entry.value) >= whole, `cut at ${cut}: ${JSON.stringify(found)}`)
      await reader.close()
      await store.close()
    }
  })

  it('does not serve a file that another process serves', async () => {
    const file = join(freshDirectory(), 'store.db')
    const first = await serveApart({ host: HOST, port: 0, file, token: TOKEN })
    await assert.rejects(serve({ host: HOST, port: 0, file, token: TOKEN }), {
      code: 'HF_STORE_FILE_IN_USE',
    })
    await first.end()
    const second = await serve({ host: HOST, port: 0, file, token: TOKEN })
    await second.close()
  })

  it('answers unknown on a full disk, applies nothing of it, and goes on when there is room', async (test) => {
    if (process.getuid?.() !== 0) return test.skip('mounting a small disk needs root')
    const directory = freshDirectory()
    const disk = join(directory, 'disk')
    mkdirSync(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', disk])
    try {
      const server = await serve({ host: HOST, port: 0, file: join(disk, 'store.db'), token: TOKEN })
      const client = connect(server.url)
      const first = applied(await client.compareAndSet('a', '{"n":1}', 0, 2_000))
      writeFileSync(join(disk, 'ballast'), '')
      try {
        for (;;) writeFileSync(join(disk, 'ballast'), Buffer.alloc(4_096), { flag: 'a' })
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      }
      const big = 'x'.repeat(60_000)
      const full = await client.compareAndSet('a', big, first.revision, 300)
      assert.ok(full.kind === 'unknown' && /disk-full/.test(full.because), JSON.stringify(full).slice(0, 300))
      assert.deepEqual(await client.get('a', 500), { kind: 'ok', entry: first })
      rmSync(join(disk, 'ballast'))
      const second = applied(await client.compareAndSet('a', big, first.revision, 2_000))
      assert.ok(second.revision > first.revision)
      await client.close()
      await server.close()
    } finally {
      execFileSync('umount', [disk])
    }
  })

  it('is refused by its clients when its file was put back to an older state (R22)', async () => {
    const directory = freshDirectory()
    const file = join(directory, 'store.db')
    const first = await serve({ host: HOST, port: 0, file, token: TOKEN })
    const port = Number(new URL(first.url).port)
    const client = connect(first.url)
    const a = applied(await client.compareAndSet('a', '{"n":1}', 0, 2_000))
    await first.close()
    copyFileSync(file, join(directory, 'backup.db'))
    const second = await serve({ host: HOST, port, file, token: TOKEN })
    const b = applied(await client.compareAndSet('a', '{"n":2}', a.revision, 2_000))
    const watch = follow(client, '')
    await watch.until(() => watch.last.get('a')?.revision === b.revision)
    await second.close()
    rmSync(file)
    copyFileSync(join(directory, 'backup.db'), file)
    const third = await serve({ host: HOST, port, file, token: TOKEN })
    const read = await client.get('a', 200)
    assert.ok(read.kind === 'unknown' && /went back from 2 to 1 \(R22\)/.test(read.because), JSON.stringify(read))
    const fresh = connect(third.url)
    const write = await fresh.compareAndSet('a', '{"n":3}', b.revision, 200)
    assert.ok(write.kind === 'unknown' && /went back/.test(write.because), JSON.stringify(write))
    await watch.until(() => watch.gaps.some((gap) => /went back/.test(gap)))
    assert.equal(watch.wentBack, false)
    await fresh.close()
    await client.close()
    await third.close()
  })

  it('does not give its token to a server whose certificate is not signed by the given authority', async () => {
    const rig = await withTls()
    const stranger = kept(connectEmbeddedStore({ urls: [rig.url], token: TOKEN }))
    const answer = await stranger.get('a', 300)
    assert.ok(answer.kind === 'unknown' && /certificate/.test(answer.because), JSON.stringify(answer))
    await stranger.close()
    await rig.stop()
  })

  it('carries a beat at once while a watch is stuck behind megabytes', async () => {
    const file = join(freshDirectory(), 'store.db')
    const server = await serve({ host: HOST, port: 0, file, token: TOKEN })
    const client = connect(server.url)
    const stuck = await fetch(`${server.url}/v1/watch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
      body: '{"prefix":"","after":0}',
    })
    const watch = follow(client, '')
    let revision = 0
    for (let n = 0; n < 60; n++) {
      const value = JSON.stringify({ n, pad: 'x'.repeat(60_000) })
      revision = applied(await client.compareAndSet('big', value, revision, 2_000)).revision
    }
    const startMs = systemClock.nowMs()
    applied(await client.compareAndSet('beat', '{}', 0, 2_000))
    assert.ok(systemClock.nowMs() - startMs < 100)
    await watch.until(() => watch.last.has('beat'))
    await stuck.body?.cancel()
    await client.close()
    await server.close()
  })
})
