/** The other ways to hurt a host, each with its way back: a full disk, a slow one, a clock that is set, a freeze. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isStopped } from '../../../packages/holdfast/src/io/process-tree.ts'
import { Freezer } from './freezer.ts'
import { SkewedClock } from './skewed-clock.ts'
import { SlowDisk } from './slow-disk.ts'
import { SmallDisk } from './small-disk.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-hurt-'))
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

function started(script: string, env: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, ['-e', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

/** The next line it says. */
async function said(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout)
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return chunk.toString().trim().split('\n').at(-1) ?? ''
}

const notRoot = process.getuid?.() === 0 ? false : 'only root mounts and slows disks'

test('a small disk is full to the last block, is freed, and goes away', { skip: notRoot }, (t) => {
  let disk: SmallDisk
  try {
    disk = SmallDisk.mount(join(folder, 'small'), 8)
  } catch (error) {
    return t.skip(`only where a disk can be mounted: ${String(error)}`)
  }
  try {
    mkdirSync(join(disk.folder, '.m1.run'))
    writeFileSync(join(disk.folder, '.m1.run', 'postgres.log'), 'what the engine said')
    disk.fill()
    assert.equal(disk.freeBytes(), 0)
    assert.throws(() => writeFileSync(join(disk.folder, 'more'), Buffer.alloc(8_192)), { code: 'ENOSPC' })
    disk.free()
    assert.ok(disk.freeBytes() > 7_000_000)
    disk.fill(2_000_000)
    assert.ok(disk.freeBytes() >= 1_900_000 && disk.freeBytes() < 3_200_000, `${disk.freeBytes()} bytes are free`)
    disk.rescueLogs()
  } finally {
    disk.unmount()
    disk.unmount()
  }
  assert.equal(readFileSync(join(folder, 'm1.run.postgres.log'), 'utf8'), 'what the engine said')
  assert.equal(existsSync(join(folder, 'small', 'ballast')), false)
  assert.doesNotMatch(readFileSync('/proc/self/mounts', 'utf8'), new RegExp(join(folder, 'small')))
})

test('a slow disk makes every flush wait its turn, until the way back', {
  skip: SlowDisk.missing(folder) ?? false,
}, async () => {
  const file = join(folder, 'flushed')
  const script = `const fs = require('node:fs')
    const file = fs.openSync(${JSON.stringify(file)}, 'w')
    fs.writeSync(file, Buffer.alloc(1 << 20)); fs.fsyncSync(file)
    let n = 0
    const once = () => { fs.writeSync(file, Buffer.alloc(8192, ++n), 0, 8192, 8192 * (n % 100)); fs.fdatasyncSync(file)
      console.log(n); setTimeout(once, 1) }
    once()`
  const child = started(script)
  let flushes = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    flushes = Number(chunk.toString().trim().split('\n').at(-1))
  })
  const perSecond = async (ms: number): Promise<number> => {
    const before = flushes
    await sleep(ms)
    return ((flushes - before) * 1_000) / ms
  }
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  const free = await perSecond(500)
  const disk = SlowDisk.begin({ folder, writesPerSecond: 5, pids: [child.pid ?? 0] })
  try {
    await sleep(300)
    const slow = await perSecond(1_500)
    assert.ok(slow < 10 && slow < free / 2, `${free} flushes a second became ${slow}`)
  } finally {
    await Promise.all([disk.end(), disk.end()])
  }
  await sleep(300)
  const again = await perSecond(500)
  assert.ok(again > 20, `${again} flushes a second after the way back`)
})

test('a clock that is set moves the wall clock of its process, and no timer', async (t) => {
  const clock = SkewedClock.at(join(folder, 'clock'))
  if (clock === null) return t.skip('needs faketime: npm run engines')
  const script = 'setInterval(() => console.log(Date.now() + " " + Math.round(performance.now())), 50)'
  const child = started(script, clock.env())
  const look = async (): Promise<{ aheadMs: number; monotonicMs: number }> => {
    await said(child)
    const [wallMs = 0, monotonicMs = 0] = (await said(child)).split(' ').map(Number)
    return { aheadMs: wallMs - Date.now(), monotonicMs }
  }
  assert.ok(Math.abs((await look()).aheadMs) < 5_000)
  clock.step('+1d')
  const ahead = await look()
  assert.ok(ahead.aheadMs > 86_000_000, `${ahead.aheadMs} ms ahead`)
  clock.step('-90')
  assert.ok((await look()).aheadMs < -80_000)
  clock.back()
  const back = await look()
  assert.ok(Math.abs(back.aheadMs) < 5_000)
  assert.ok(back.monotonicMs > ahead.monotonicMs && back.monotonicMs - ahead.monotonicMs < 60_000)
})

test('a freeze stops a process and nothing else, and a thaw lets it go on', async () => {
  const child = started('setInterval(() => console.log(Date.now()), 20)')
  await said(child)
  const pid = child.pid ?? 0
  const freezer = new Freezer()
  freezer.freeze([pid, 2 ** 30])
  await sleep(50)
  assert.equal(isStopped(pid), true)
  freezer.thaw()
  freezer.thaw()
  await said(child)
  assert.equal(isStopped(pid), false)
})
