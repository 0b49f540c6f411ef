/** Freezes real processes: the dead-men let them run again, also when everybody who might have is gone. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { identify, isAlive, isStopped, killTreeSync, type ProcessId, treeOf } from '../io/process-tree.ts'
import { type Freeze, prepareFreeze } from './freeze.ts'

const PATIENCE_MS = 60_000
const SECRET = 'only-ever-ends-a-fault'
const children: ChildProcess[] = []
const freezes: Freeze[] = []
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-freeze-')))
after(() => {
  for (const freeze of freezes) freeze.discard()
  for (const child of children) child.kill('SIGKILL')
  killTreeSync(folder, null)
  rmSync(folder, { recursive: true, force: true })
})

function sleeper(): ProcessId {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' })
  children.push(child)
  const id = identify(child.pid ?? 0)
  assert.ok(id !== null)
  return id
}

async function frozen(processes: readonly ProcessId[], forMs: number): Promise<Freeze> {
  const door = { host: '127.0.0.1', secret: SECRET, tls: null }
  const freeze = await prepareFreeze({ fencers: processes, engines: [], forMs, delayMs: 0, door })
  freezes.push(freeze)
  assert.ok(
    processes.every((one) => !isStopped(one.pid)),
    'nothing is stopped before the word',
  )
  freeze.go()
  await until(() => processes.every((one) => isStopped(one.pid)))
  return freeze
}

async function until(look: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS
  while (!look()) {
    assert.ok(performance.now() < endMs, 'in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function runs(one: ProcessId): boolean {
  return isAlive(one) && !isStopped(one.pid)
}

async function ask(port: number | null, method: string, path: string, secret = SECRET) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${secret}` },
  })
  return {
    status: answer.status,
    body: (await answer.json()) as { state?: string; running?: number; stopped?: number },
  }
}

test('a freeze ends at its timer, and says what was seen', async () => {
  const processes = [sleeper(), sleeper()]
  const freeze = await frozen(processes, 1_500)
  await until(() => freeze.view()?.state === 'on')
  assert.equal(freeze.view()?.stopped, 2)
  await until(() => processes.every(runs))
  await until(() => freeze.view()?.state === 'off')
  const { body } = await ask(freeze.port, 'GET', '/')
  assert.deepEqual([body.state, body.stopped, body.running], ['off', 2, 2])
})

test('it ends when it is asked, at its door too, and only by whoever has the secret', async () => {
  const one = sleeper()
  const freeze = await frozen([one], 600_000)
  assert.equal((await ask(freeze.port, 'POST', '/lift', 'guessed')).status, 401)
  assert.ok(isStopped(one.pid))
  assert.equal((await ask(freeze.port, 'POST', '/lift')).body.state, 'off')
  await until(() => runs(one))
  // Twice is once.
  assert.equal((await ask(freeze.port, 'POST', '/lift')).body.state, 'off')
  assert.ok(runs(one))
})

test('a dead-man that is asked to end lets go first', async () => {
  const one = sleeper()
  const freeze = await frozen([one], 600_000)
  process.kill(freeze.pids[0] ?? 0, 'SIGTERM')
  await until(() => runs(one))
})

test('when the dead-man is killed its keeper keeps the timer', async () => {
  const one = sleeper()
  const freeze = await frozen([one], 2_000)
  process.kill(freeze.pids[0] ?? 0, 'SIGKILL')
  assert.ok(isStopped(one.pid), 'still frozen right after the kill')
  await until(() => runs(one))
})

test('both outlive the process that started them', async () => {
  const one = sleeper()
  const here = JSON.stringify(new URL('./freeze.ts', import.meta.url).href)
  const door = { host: '127.0.0.1', secret: SECRET, tls: null }
  const order = { fencers: [one], engines: [], forMs: 3_000, delayMs: 0, door }
  const script = `
    const { prepareFreeze } = await import(${here})
    const freeze = await prepareFreeze(${JSON.stringify(order)})
    freeze.go()
    while (freeze.view() === null) await new Promise((resolve) => setTimeout(resolve, 5))
    process.kill(process.pid, 'SIGKILL')`
  const ended = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '--eval', script])
  assert.equal(ended.signal, 'SIGKILL', ended.stderr.toString())
  await until(() => runs(one))
})

test('a number that belongs to another process by now is left alone', async () => {
  const one = sleeper()
  const other = { pid: one.pid, started: '1' }
  const freeze = await prepareFreeze({
    fencers: [other],
    engines: [],
    forMs: 300,
    delayMs: 0,
    door: { host: '127.0.0.1', secret: SECRET, tls: null },
  })
  freezes.push(freeze)
  freeze.go()
  await until(() => freeze.view()?.state === 'off')
  assert.equal(freeze.view()?.stopped, 0)
  assert.ok(runs(one))
})

/** Starts another process every few milliseconds, as an engine does for its clients. */
function engine(): ProcessId {
  const script = 'while :; do sleep 600 & sleep 0.02; done'
  const child = spawn('/bin/sh', ['-c', script], { cwd: folder, stdio: 'ignore' })
  children.push(child)
  const id = identify(child.pid ?? 0)
  assert.ok(id !== null)
  return id
}

/** Notes on waking whether the engine stands. */
function watchman(main: ProcessId, file: string): ProcessId {
  const look = `grep -q "^State:.T" /proc/${main.pid}/status && echo stands >> ${file} || echo runs >> ${file}`
  const child = spawn('/bin/sh', ['-c', `trap '${look}' CONT; while :; do sleep 0.01; done`], { stdio: 'ignore' })
  children.push(child)
  const id = identify(child.pid ?? 0)
  assert.ok(id !== null)
  return id
}

async function frozenHost(forMs: number): Promise<{ freeze: Freeze; main: ProcessId; noted: () => string }> {
  const main = engine()
  const file = join(mkdtempSync(join(folder, 'woken-')), 'note')
  const fencer = watchman(main, file)
  await until(() => treeOf(folder, main.pid).length > 3)
  const freeze = await prepareFreeze({
    fencers: [fencer],
    engines: [{ dataDir: folder, mainPid: main.pid }],
    forMs,
    delayMs: 200,
    door: { host: '127.0.0.1', secret: SECRET, tls: null },
  })
  freezes.push(freeze)
  freeze.go()
  await until(() => isStopped(fencer.pid))
  assert.deepEqual(treeOf(folder, null).filter(runs), [], 'nobody of the engine runs while its guard stands')
  return { freeze, main, noted: () => readFileSync(file, 'utf8').trim() }
}

test('an engine stands with everything it started meanwhile before its guard does, and runs after it', async () => {
  const { freeze, main, noted } = await frozenHost(600_000)
  // Not by the agent's word, which the keeper hears too.
  assert.equal((await ask(freeze.port, 'POST', '/lift')).body.state, 'off')
  await until(() => runs(main))
  await until(() => treeOf(folder, null).every(runs))
  assert.match(noted(), /^stands/)
  killTreeSync(folder, main.pid)
})

test('the keeper finds what the dead-man stopped after it was told', async () => {
  const { freeze, main, noted } = await frozenHost(3_000)
  process.kill(freeze.pids[0] ?? 0, 'SIGKILL')
  await until(() => runs(main))
  await until(() => treeOf(folder, null).every(runs))
  assert.match(noted(), /^stands/)
  killTreeSync(folder, main.pid)
})
