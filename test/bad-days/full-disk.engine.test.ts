/** Disks that fill up: under a replica that is being cloned, and under the log of the primary. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { ownedByEngine, TestPlatform, temporaryFolder, until } from '../platform.ts'

const NEEDS_ROOT = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'only root mounts a small disk'

/** For a few writes before the disk is full. */
const LEFT_BYTES = 24 * 2 ** 20

let platform: TestPlatform | null = null
let disk: string | null = null
afterEach(async () => {
  await platform?.destroy()
  if (disk !== null) {
    spawnSync('umount', ['-l', disk])
    rmdirSync(disk)
  }
  platform = null
  disk = null
})

/** A disk of that size, or why there is none. */
function smallDisk(megabytes: number): { readonly folder: string } | { readonly because: string } {
  const folder = temporaryFolder('disk')
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    rmdirSync(folder)
    return { because: `only where a small disk can be mounted: ${mounted.stderr.trim()}` }
  }
  disk = folder
  mkdirSync(join(folder, 'engines'))
  ownedByEngine(join(folder, 'engines'))
  return { folder }
}

/** Takes what is free on the disk, up to the last block or but for some. */
function fill(folder: string, leave = 0): string {
  const file = join(folder, 'ballast')
  const { bavail, bsize } = statfsSync(folder)
  const chunk = Buffer.alloc(1024 * 1024)
  try {
    for (let left = bavail * bsize; left > 0; left -= chunk.length) writeFileSync(file, chunk, { flag: 'a' })
  } catch {
    // Full: that was wanted.
  }
  truncateSync(file, Math.max(0, statSync(file).size - leave))
  return file
}

test('a replica whose disk is too small is told, leaves nothing half-made, and is cloned once there is room', {
  skip: NEEDS_ROOT,
}, async (t) => {
  const small = smallDisk(400)
  if ('because' in small) return t.skip(small.because)
  const dataDir = join(small.folder, 'engines', 'm2')
  platform = await TestPlatform.describe({ members: 2, dataDirs: { m2: dataDir } })
  const ballast = fill(small.folder)
  await platform.start()
  assert.equal(await platform.primary(), 'm1')
  await platform.reason('m2', /(too full|became full|is full)[^"]*make room/)
  const { out } = await platform.command('status')
  assert.match(out.replace(/\s+/g, ' '), / m2: .*full: make room/)
  assert.equal(existsSync(dataDir), false)
  assert.deepEqual(
    readdirSync(join(small.folder, 'engines')).filter((name) => !name.startsWith('.')),
    [],
  )
  assert.deepEqual(await platform.writers(), ['m1'])
  rmSync(ballast)
  assert.equal(await platform.whole(), 'm1')
})

test('a full disk under the log of the primary costs no acknowledged write', { skip: NEEDS_ROOT }, async (t) => {
  const small = smallDisk(300)
  if ('because' in small) return t.skip(small.because)
  platform = await TestPlatform.describe({ members: 2, dataDirs: { m1: join(small.folder, 'engines', 'm1') } })
  const group = platform
  await group.start()
  assert.equal(await group.whole(), 'm1')
  await group.query('m1', 'create table ledger (n int primary key, filler text)')
  const ballast = fill(small.folder, LEFT_BYTES)
  const acknowledged: number[] = []
  // Until the primary fails or another one takes over.
  await until('the end of writing on m1', async () => {
    const n = acknowledged.length + 1
    const filler = `string_agg(md5(g::text || '${n}'), '') from generate_series(1, 20000) g`
    const sql = `insert into ledger select ${n}, ${filler}`
    try {
      await group.query('m1', sql)
      acknowledged.push(n)
      return null
    } catch {
      return true
    }
  })
  assert.ok(acknowledged.length > 0)
  const heir = await group.primary()
  const rows = await until('the ledger', async () =>
    group.query(await group.primary(), 'select n from ledger order by n').catch(() => null),
  )
  const kept = new Set(rows.map(({ n }) => n))
  assert.deepEqual(
    acknowledged.filter((n) => !kept.has(n)),
    [],
    heir,
  )
  assert.ok((await group.writers()).length <= 1)
  rmSync(ballast)
  await group.whole()
})
