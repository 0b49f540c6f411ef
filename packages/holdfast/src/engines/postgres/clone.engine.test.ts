import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type CloneResult, cloneFrom } from './base-backup.ts'
import {
  AS_ROOT,
  Cluster,
  embedded18,
  makeDirectory,
  OWNER,
  type Programs,
  removeDirectory,
  system15,
} from './test-cluster.ts'

const never = new AbortController().signal
const CHILD = `
  const [source, dataDir, owner] = JSON.parse(process.argv[1])
  const { cloneFrom } = await import(process.argv[2])
  const signal = new AbortController().signal
  const { openSync, writeSync } = await import('node:fs')
  const fill = (path) => {
    const file = openSync(path, 'w')
    for (;;) try { writeSync(file, Buffer.alloc(65536)) } catch { return }
  }
  let filler = process.argv[3]
  const progress = (step, done) => {
    if (step !== 'cloning') return
    process.stdout.write('+')
    if (filler !== undefined) fill(filler)
    filler = undefined
  }
  const result = await cloneFrom({ source, dataDir, slot: null, owner, signal, progress })
  process.stdout.write('\\n' + JSON.stringify(result) + '\\n')
`

for (const programs of [system15(), embedded18()]) describeClone(programs)

function childArguments(source: Cluster, dataDir: string): string[] {
  const door = new URL('./base-backup.ts', import.meta.url).href
  return ['--input-type=module', '-e', CHILD, JSON.stringify([source.upstream, dataDir, OWNER]), door]
}

function describeClone(programs: Programs): void {
  describe(`a clone of PostgreSQL ${programs.major}`, () => {
    const root = makeDirectory()
    const source = new Cluster(programs, root, 'a')
    before(async () => {
      await source.create()
      await source.start()
      await source.sql(
        'create table t (id int primary key, body text)',
        'insert into t select g, repeat(md5(g::text), 60) from generate_series(1, 30000) g',
      )
    })
    after(async () => {
      await source.stop('SIGKILL')
      removeDirectory(root)
    })

    function clone(name: string, more: Partial<Parameters<typeof cloneFrom>[0]> = {}): Promise<CloneResult> {
      const dataDir = join(root, name)
      return cloneFrom({ source: source.upstream, dataDir, slot: null, owner: OWNER, signal: never, ...more })
    }

    test('starts as a replica, keeps the log by its slot, and shows its progress', { timeout: 60_000 }, async () => {
      const steps: [string, number, number | null][] = []
      const startedMs = performance.now()
      const result = await clone('b', { slot: 'b', progress: (...step) => steps.push(step) })
      assert.ok(result.ok, JSON.stringify(result))
      const tookMs = performance.now() - startedMs
      console.log(`${programs.major}: ${(result.bytes / 2 ** 20).toFixed(0)} MB cloned in ${tookMs.toFixed(0)} ms`)
      assert.equal(
        result.systemId,
        String(await source.value('select system_identifier::text from pg_control_system()')),
      )
      assert.equal(result.timeline, 1)
      assert.ok(result.startLsn > 0)
      assert.ok(steps.some(([step, done, total]) => step === 'cloning' && total !== null && done <= total))
      assert.equal(
        await source.value("select restart_lsn is not null from pg_replication_slots where slot_name = 'b'"),
        true,
      )
      assert.ok(!existsSync(join(root, 'b.partial')))
      assert.equal(statSync(join(root, 'b')).mode & 0o777, 0o700)
      assert.equal(statSync(join(root, 'b', 'PG_VERSION')).mode & 0o777, 0o600)
      if (OWNER !== null) assert.equal(statSync(join(root, 'b', 'base')).uid, OWNER.uid)
      const replica = new Cluster(programs, root, 'b')
      replica.standbyOf(source)
      await replica.start()
      await replica.until('select count(*) = 30000 from t')
      await replica.stop('SIGKILL')
      const again = await clone('b2', { slot: 'b' })
      assert.ok(again.ok, 'a slot that exists is used')
    })

    test('leaves a directory that is not empty as it is', { timeout: 60_000 }, async () => {
      mkdirSync(join(root, 'full'))
      writeFileSync(join(root, 'full', 'mine'), 'precious')
      const result = await clone('full')
      assert.ok(!result.ok && !result.retryable && result.because.includes('not empty'))
      assert.equal(readFileSync(join(root, 'full', 'mine'), 'utf8'), 'precious')
      mkdirSync(join(root, 'x.partial'))
      writeFileSync(join(root, 'x.partial', 'mine'), 'precious')
      const other = await clone('x')
      assert.ok(!other.ok && other.because.includes('not made by Holdfast'))
      assert.equal(readFileSync(join(root, 'x.partial', 'mine'), 'utf8'), 'precious')
    })

    test('is removed when it is cancelled', { timeout: 60_000 }, async () => {
      const abort = new AbortController()
      const progress = (step: string): void => {
        if (step === 'cloning') abort.abort()
      }
      const result = await clone('c', { signal: abort.signal, progress })
      assert.ok(!result.ok && result.retryable && result.because.includes('cancelled'), JSON.stringify(result))
      assert.deepEqual(
        readdirSync(root).filter((name) => name.startsWith('c')),
        [],
      )
    })

    test('killed in the middle leaves only its partial, and the next one succeeds', { timeout: 60_000 }, async () => {
      const child = spawn(process.execPath, childArguments(source, join(root, 'd')), {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await firstProgress(child)
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('close', resolve))
      assert.ok(!existsSync(join(root, 'd')))
      assert.ok(existsSync(join(root, 'd.partial', 'data')))
      const result = await clone('d')
      assert.ok(result.ok, JSON.stringify(result))
      assert.ok(!existsSync(join(root, 'd.partial')))
    })

    test('is refused with a clear word when the source has tablespaces', { timeout: 60_000 }, async () => {
      const place = join(root, 'space')
      mkdirSync(place, { mode: 0o700 })
      if (OWNER !== null) execFileSync('chown', [`${OWNER.uid}:${OWNER.gid}`, place])
      await source.sql(`create tablespace elsewhere location '${place}'`)
      const result = await clone('e')
      await source.sql('drop tablespace elsewhere')
      assert.ok(
        !result.ok && !result.retryable && result.because.includes(`tablespace at ${place}`),
        JSON.stringify(result),
      )
      assert.ok(!existsSync(join(root, 'e')) && !existsSync(join(root, 'e.partial')))
    })

    test('says who refused it and whether trying again can help', { timeout: 60_000 }, async () => {
      const wrong = await clone('f', { source: { ...source.upstream, password: 'no' } })
      assert.ok(!wrong.ok && !wrong.retryable && wrong.because.includes('password authentication failed'))
      const nobody = await clone('f', { source: { ...source.upstream, port: 1 } })
      assert.ok(!nobody.ok && nobody.retryable, JSON.stringify(nobody))
      assert.ok(!existsSync(join(root, 'f')) && !existsSync(join(root, 'f.partial')))
    })

    test('ends when the source ends, and leaves nothing', { timeout: 60_000 }, async () => {
      const cut = cutAfter(source.port, 5_000_000)
      const port = await cut.port
      const result = await clone('g', { source: { ...source.upstream, port } })
      cut.close()
      assert.ok(!result.ok && result.retryable, JSON.stringify(result))
      assert.deepEqual(
        readdirSync(root).filter((name) => name.startsWith('g')),
        [],
      )
    })

    test('damaged on its way is noticed', { timeout: 60_000 }, async () => {
      // A flipped byte of a table, somewhere in the middle of the stream.
      const cut = cutAfter(source.port, Number.POSITIVE_INFINITY, 20_000_000)
      const port = await cut.port
      const result = await clone('h', { source: { ...source.upstream, port } })
      cut.close()
      assert.ok(!result.ok, 'a damaged clone was accepted')
      assert.deepEqual(
        readdirSync(root).filter((name) => name.startsWith('h')),
        [],
      )
    })

    test('is not begun on a disk that is too small', { timeout: 60_000 }, async () => {
      const { result, left } = await cloneOnDisk(source, join(root, 'small'), 20)
      assert.ok(!result.ok && result.retryable && result.because.includes('too full'), JSON.stringify(result))
      assert.equal(left, '')
    })

    test('is removed when the disk becomes full on the way', { timeout: 60_000 }, async () => {
      const { result, left } = await cloneOnDisk(source, join(root, 'filling'), 300, 'filler')
      assert.ok(!result.ok && result.retryable && result.because.includes('became full'), JSON.stringify(result))
      assert.equal(left, 'filler')
    })
  })
}

async function firstProgress(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('close', () => reject(new Error('it ended before it was killed')))
  })
}

/** In a mount namespace of its own, so that the small disk goes away with the process whatever happens. */
async function cloneOnDisk(
  source: Cluster,
  dir: string,
  sizeMb: number,
  filler?: string,
): Promise<{ result: CloneResult; left: string }> {
  mkdirSync(dir)
  const script = `mount -t tmpfs -o size=${sizeMb}m,mode=755 none "$0" && "$@"; echo "left: $(ls -A "$0")"`
  const args = [process.execPath, ...childArguments(source, join(dir, 'n'))]
  if (filler !== undefined) args.push(join(dir, filler))
  const child = spawn('unshare', [AS_ROOT ? '-m' : '-Urm', 'sh', '-c', script, dir, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await new Promise((resolve) => child.once('close', resolve))
  rmSync(dir, { recursive: true, force: true })
  const result = JSON.parse(/^\{.*\}$/m.exec(output)?.[0] ?? '{"ok":true}') as CloneResult
  return { result, left: /left: (.*)/.exec(output)?.[1] ?? output }
}

/** A door to the source that breaks the connection, or flips one bit, after so many bytes. */
function cutAfter(port: number, cutBytes: number, flipAt = -1): { port: Promise<number>; close(): void } {
  const server = createServer((client) => {
    const upstream = spawnConnection(port)
    let passed = 0
    upstream.on('data', (chunk: Buffer) => {
      const at = flipAt - passed
      if (at >= 0 && at < chunk.length) chunk[at] = (chunk[at] ?? 0) ^ 1
      passed += chunk.length
      client.write(chunk)
      if (passed > cutBytes) client.destroy()
    })
    client.on('data', (chunk: Buffer) => upstream.write(chunk))
    client.on('error', () => undefined)
    upstream.on('error', () => client.destroy())
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  const listening = new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(address !== null && typeof address === 'object' ? address.port : 0)
    })
  })
  return { port: listening, close: () => server.close() }
}

function spawnConnection(port: number): Socket {
  return connect(port, '127.0.0.1')
}
