/**
 * The guard as a real process against real process trees. A tree is a shell with children, all working in one
 * directory, as an engine's processes do.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../io/clock.ts'
import { identify, killTreeSync, treeOf } from '../io/process-tree.ts'
import { type GuardLink, type GuardOptions, startGuard } from './child.ts'
import { FENCE_BOUND_MS } from './guard.ts'
import { runGuard } from './main.ts'

const MAIN = new URL('./main.ts', import.meta.url).pathname
/** Typical lateness is 1-7 ms; this is what R2 sets aside for a fence, and what a busy machine gets. */
const LATE_MAX_MS = FENCE_BOUND_MS

const dirs: string[] = []
const ends: (() => void)[] = []
after(() => {
  for (const end of ends) end()
  for (const dir of dirs) {
    killTreeSync(dir, null)
    rmSync(dir, { recursive: true, force: true })
  }
})

interface Tree {
  readonly member: string
  readonly dataDir: string
  readonly mainPid: number
}

async function engineTree(member: string): Promise<Tree> {
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-guard-')))
  dirs.push(dataDir)
  const script = 'trap "" TERM INT; (trap "" TERM; sleep 60) & sleep 60 & echo up; wait'
  const child = spawn('/bin/sh', ['-c', script], { cwd: dataDir, detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  assert.ok(child.stdout && child.pid)
  await once(child.stdout, 'data')
  child.unref()
  child.stdout.destroy()
  return { member, dataDir, mainPid: child.pid }
}

const living = (tree: Tree): number => treeOf(tree.dataDir, tree.mainPid).length

/** When the tree was first seen gone, looking each half millisecond. */
async function goneAtMs(tree: Tree, boundMs: number): Promise<number> {
  const endMs = systemClock.nowMs() + boundMs
  while (living(tree) > 0) {
    assert.ok(systemClock.nowMs() < endMs, `${tree.member} is still alive after ${boundMs} ms`)
    await sleep(1)
  }
  return systemClock.nowMs()
}

interface Heard {
  readonly link: GuardLink
  readonly armed: number[]
  readonly fired: { readonly member: string; readonly killed: number; readonly lateMs: number }[]
  readonly gone: string[]
  readonly log: string[]
}

async function guard(more: Partial<GuardOptions> = {}): Promise<Heard> {
  const heard = {
    armed: [] as number[],
    fired: [] as Heard['fired'][number][],
    gone: [] as string[],
    log: [] as string[],
  }
  const link = startGuard({
    clock: systemClock,
    log: (line) => heard.log.push(line),
    onFired: (member, { killed, lateMs }) => heard.fired.push({ member, killed, lateMs }),
    onGone: (because) => heard.gone.push(because),
    onArmed: (_member, untilMs) => heard.armed.push(untilMs),
    ...more,
  })
  ends.push(() => link.discard())
  await until(() => link.alive() || heard.gone.length > 0, 5_000, 'the guard is up, or says why not')
  return { link, ...heard }
}

async function until(holds: () => boolean, boundMs: number, what: string): Promise<void> {
  const endMs = systemClock.nowMs() + boundMs
  while (!holds()) {
    assert.ok(systemClock.nowMs() < endMs, `not within ${boundMs} ms: ${what}`)
    await sleep(2)
  }
}

describe('the guard', { skip: process.platform !== 'linux' }, () => {
  test('fences the whole tree at the deadline, and an extension moves it', async () => {
    const tree = await engineTree('a')
    const { link, fired, armed } = await guard()
    const firstMs = systemClock.nowMs() + 200
    link.watch(tree)
    link.arm('a', 1, firstMs)
    link.arm('a', 1, firstMs + 200)
    await sleep(350)
    assert.ok(living(tree) >= 3, 'alive until the extended deadline')
    const lateMs = (await goneAtMs(tree, 1_000)) - (firstMs + 200)
    assert.ok(lateMs >= 0 && lateMs <= LATE_MAX_MS, `gone ${lateMs} ms after the deadline`)
    await until(() => fired.length === 1, 500, 'the agent is told')
    assert.ok((fired[0]?.killed ?? 0) >= 3)
    assert.deepEqual(armed, [firstMs, firstMs + 200])
  })

  test('finds the tree through a symbolic link', async () => {
    const tree = await engineTree('a')
    const link = `${tree.dataDir}-link`
    symlinkSync(tree.dataDir, link)
    dirs.push(link)
    const heard = await guard()
    heard.link.watch({ ...tree, dataDir: link })
    heard.link.fence('a')
    await goneAtMs(tree, 1_000)
  })

  test('disarm lets it live; members are independent; a stranger under the same pid is spared', async () => {
    const [a, b, c] = [await engineTree('a'), await engineTree('b'), await engineTree('c')]
    const { link, fired } = await guard()
    const untilMs = systemClock.nowMs() + 150
    for (const tree of [a, b]) link.watch(tree)
    // The number that c's main process had belongs to somebody else by now: a's directory, b's pid.
    link.watch({ member: 'c', dataDir: '/nowhere/at/all', mainPid: c.mainPid })
    for (const member of ['a', 'b', 'c']) link.arm(member, 1, untilMs)
    link.disarm('a')
    await goneAtMs(b, 1_000)
    await until(() => fired.length === 2, 500, 'b and c fired')
    assert.ok(living(a) >= 3)
    assert.ok(living(c) >= 3)
    assert.deepEqual(fired.map((one) => [one.member, one.killed > 0]).sort(), [
      ['b', true],
      ['c', false],
    ])
  })

  test('that was frozen over the deadline fences at once on thaw, whatever the agent said meanwhile', async () => {
    const tree = await engineTree('a')
    const { link, gone, fired } = await guard()
    const untilMs = systemClock.nowMs() + 150
    link.watch(tree)
    link.arm('a', 1, untilMs)
    await sleep(50)
    process.kill(link.pid ?? 0, 'SIGSTOP')
    link.arm('a', 1, untilMs + 60_000)
    await until(() => gone.length === 1, 1_000, 'the agent sees the silence')
    assert.match(gone[0] ?? '', /silent for [3-9]\d\d ms/)
    assert.equal(link.alive(), false)
    assert.ok(living(tree) >= 3)
    assert.equal(fired.length, 0)
    const thawMs = systemClock.nowMs()
    process.kill(link.pid ?? 0, 'SIGCONT')
    const afterMs = (await goneAtMs(tree, 1_000)) - thawMs
    assert.ok(afterMs <= LATE_MAX_MS, `gone ${afterMs} ms after the thaw`)
  })

  test('that was killed is reported gone', async () => {
    const { link, gone } = await guard()
    process.kill(link.pid ?? 0, 'SIGKILL')
    await until(() => gone.length === 1, 200, 'reported')
    assert.match(gone[0] ?? '', /SIGKILL/)
  })

  test('that cannot be started is reported gone', async () => {
    const gone: string[] = []
    startGuard({
      clock: systemClock,
      nodePath: '/nonexistent/node',
      log: () => {},
      onFired: () => {},
      onArmed: () => {},
      onGone: (because) => gone.push(because),
    })
    await until(() => gone.length === 1, 1_000, 'reported')
    assert.match(gone[0] ?? '', /cannot be started/)
  })

  test('ignores a terminal’s signals, keeps its deadlines when let go, then ends', async () => {
    const tree = await engineTree('a')
    const { link, gone } = await guard()
    const pid = link.pid ?? 0
    link.watch(tree)
    link.arm('a', 1, systemClock.nowMs() + 200)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal)
    await sleep(50)
    assert.equal(gone.length, 0)
    link.close()
    assert.ok(living(tree) >= 3)
    await goneAtMs(tree, 1_000)
    await until(() => identify(pid) === null, 1_000, 'the guard ended')
  })

  test('nobody may count on a guard whose required watchdog is not there', async () => {
    const watchdog = { device: '/nonexistent/watchdog', required: true, timeoutMaxMs: 1_500 }
    const ready: string[] = []
    const { link, gone } = await guard({ watchdog, onReady: () => ready.push('ready') })
    await until(() => gone.length === 1, 1_000, 'reported')
    assert.match(gone[0] ?? '', /no watchdog: .*nonexistent/)
    assert.deepEqual([link.alive(), ready], [false, []])
  })

  test('a required watchdog that cannot be opened leaves the deadline unconfirmed', async () => {
    const tree = await engineTree('a')
    // A folder looks writable and cannot be opened for writing, even by root.
    const watchdog = { device: tree.dataDir, required: true, timeoutMaxMs: 1_500 }
    const { link, armed, gone } = await guard({ watchdog })
    link.watch(tree)
    link.arm('a', 1, systemClock.nowMs() + 60_000)
    await until(() => gone.length === 1, 1_000, 'reported')
    assert.match(gone[0] ?? '', /no watchdog: .*EISDIR/)
    assert.deepEqual(armed, [])
  })

  test('feeds the watchdog with each renewal and stops it when nothing is armed', async () => {
    const tree = await engineTree('a')
    const device = join(tree.dataDir, 'watchdog')
    writeFileSync(device, '')
    const { link, armed } = await guard({ watchdog: { device, required: true, timeoutMaxMs: 1_500 } })
    link.watch(tree)
    for (const more of [1, 2, 3]) link.arm('a', 1, systemClock.nowMs() + 60_000 + more)
    await until(() => armed.length === 3, 1_000, 'confirmed')
    assert.equal(readFileSync(device, 'utf8'), '...')
    link.disarm('a')
    await until(() => readFileSync(device, 'utf8') === '...V', 1_000, 'stopped')
  })
})

/** An agent in a process of its own: starts a guard, arms one member, prints the guard's pid. */
async function agentProcess(
  tree: Tree,
  ttlMs: number,
): Promise<{ agent: ChildProcess; guardPid: number; untilMs: number }> {
  const script = `
    import { startGuard } from ${JSON.stringify(new URL('./child.ts', import.meta.url).href)}
    import { systemClock } from ${JSON.stringify(new URL('../io/clock.ts', import.meta.url).href)}
    const onArmed = (member, untilMs) => console.log(JSON.stringify({ guardPid: link.pid, untilMs }))
    const nothing = () => {}
    const link = startGuard({ clock: systemClock, log: console.error, onFired: nothing, onGone: nothing, onArmed })
    link.watch(${JSON.stringify(tree)})
    link.arm('a', 1, systemClock.nowMs() + ${ttlMs})`
  const agent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  ends.push(() => agent.kill('SIGKILL'))
  assert.ok(agent.stdout)
  const [line] = await once(agent.stdout, 'data')
  return { agent, ...(JSON.parse(String(line)) as { guardPid: number; untilMs: number }) }
}

describe('without its agent the guard', { skip: process.platform !== 'linux' }, () => {
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    test(`fences at the deadline when the agent got ${signal}`, async () => {
      const tree = await engineTree('a')
      const { agent, guardPid, untilMs } = await agentProcess(tree, 600)
      agent.kill(signal)
      assert.ok(systemClock.nowMs() < untilMs - 50, 'the signal came well before the deadline')
      const lateMs = (await goneAtMs(tree, 2_000)) - untilMs
      assert.ok(lateMs >= 0 && lateMs <= LATE_MAX_MS, `gone ${lateMs} ms after the deadline`)
      agent.kill('SIGKILL')
      await until(() => identify(guardPid) === null, 1_000, 'the guard ended')
    })
  }
})

/** A guard driven by hand, to say what no honest agent would. */
function rawGuard(): ChildProcess {
  const child = spawn(process.execPath, [MAIN], { stdio: ['pipe', 'pipe', 'pipe'] })
  ends.push(() => child.kill('SIGKILL'))
  return child
}

describe('a guard whose loop stood still over a deadline', { skip: process.platform !== 'linux' }, () => {
  test('fences before it hears what the agent said meanwhile', async () => {
    const tree = await engineTree('a')
    const [input, output, complaints] = [new PassThrough(), new PassThrough(), new PassThrough()]
    const ended = runGuard({ input, output, complaints })
    const untilMs = systemClock.nowMs() + 50
    input.write(`${JSON.stringify({ do: 'watch', ...tree })}\n`)
    input.write(`${JSON.stringify({ do: 'arm', member: 'a', epoch: 1, untilMs })}\n`)
    await sleep(10)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    input.write(`${JSON.stringify({ do: 'arm', member: 'a', epoch: 1, untilMs: untilMs + 60_000 })}\n`)
    await goneAtMs(tree, 500)
    input.write(`${JSON.stringify({ do: 'disarm', member: 'a' })}\n`)
    input.end()
    assert.equal(await ended, 0)
  })
})

describe('a hostile or deaf agent', { skip: process.platform !== 'linux' }, () => {
  test('garbage is counted on stderr and changes nothing', async () => {
    const tree = await engineTree('a')
    const child = rawGuard()
    let complaints = ''
    child.stderr?.on('data', (chunk) => {
      complaints += chunk
    })
    child.stdin?.write('hello\n{"do":"watch","member":"a","dataDir":"/","mainPid":1}\n\u0000\u0001\n')
    child.stdin?.write(`${'x'.repeat(1_000_000)}\n`)
    child.stdin?.write(`${JSON.stringify({ do: 'watch', ...tree })}\n${JSON.stringify({ do: 'fence', member: 'a' })}\n`)
    await goneAtMs(tree, 2_000)
    await until(() => complaints.includes('4 so far'), 1_000, complaints)
  })

  test('answers that nobody reads do not hold up a fence', async () => {
    const tree = await engineTree('a')
    const child = rawGuard()
    child.stdout?.pause()
    const untilMs = systemClock.nowMs() + 1_500
    child.stdin?.write(`${JSON.stringify({ do: 'watch', ...tree })}\n`)
    child.stdin?.write(`${JSON.stringify({ do: 'arm', member: 'a', epoch: 1, untilMs })}\n`)
    for (let n = 0; n < 60_000; n += 1) child.stdin?.write(`{"do":"ping","n":${n}}\n`)
    const lateMs = (await goneAtMs(tree, 4_000)) - untilMs
    assert.ok(lateMs >= 0 && lateMs <= LATE_MAX_MS, `gone ${lateMs} ms after the deadline`)
  })
})
