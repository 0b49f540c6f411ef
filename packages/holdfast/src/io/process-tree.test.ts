import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify, isAlive, isStopped, killTree, killTreeSync, treeOf } from './process-tree.ts'

/** A shell that starts two children which ignore polite signals, all working in `dir`. */
async function family(dir: string): Promise<ChildProcess> {
  const script = 'trap "" TERM INT; (trap "" TERM; sleep 60) & (trap "" TERM; sleep 60) & echo up; wait'
  const child = spawn('/bin/sh', ['-c', script], { cwd: dir, detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

describe('a process tree known by its working directory', { skip: process.platform !== 'linux' }, () => {
  let dir = ''
  before(() => {
    dir = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-tree-')))
  })
  after(() => {
    rmSync(dir, { recursive: true, force: true })
  })

  test('is found whole, and killed whole', async () => {
    const child = await family(dir)
    const tree = treeOf(dir, child.pid ?? 0)
    assert.ok(tree.length >= 3, `expected the shell and its children, found ${tree.length}`)
    assert.equal(tree[0]?.pid, child.pid, 'main process first')
    const result = await killTree(dir, child.pid ?? 0)
    assert.equal(result.alive, 0)
    assert.ok(result.killed >= 3)
    assert.deepEqual(treeOf(dir, null), [])
  })

  test('is found and killed when the main process is already dead', async () => {
    const child = await family(dir)
    process.kill(child.pid ?? 0, 'SIGKILL')
    await once(child, 'exit')
    assert.ok(treeOf(dir, null).length >= 2)
    const result = killTreeSync(dir, child.pid ?? 0)
    assert.equal(result.alive, 0)
    assert.ok(result.killed >= 2)
    assert.deepEqual(treeOf(dir, null), [])
  })

  test('is killed while it is stopped', async () => {
    const child = await family(dir)
    for (const one of treeOf(dir, child.pid ?? 0)) process.kill(one.pid, 'SIGSTOP')
    await sleep(20)
    assert.ok(isStopped(child.pid ?? 0))
    assert.equal(killTreeSync(dir, child.pid ?? 0).alive, 0)
  })

  test('never includes a process that works elsewhere, even under the pid that was armed', async () => {
    const stranger = spawn('sleep', ['60'], { cwd: '/', stdio: 'ignore' })
    await once(stranger, 'spawn')
    try {
      assert.deepEqual(killTreeSync(dir, stranger.pid ?? 0), { killed: 0, alive: 0 })
      assert.ok(isAlive(identify(stranger.pid ?? 0) ?? { pid: 0, started: '' }))
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  test('an empty tree is done at once', async () => {
    assert.deepEqual(await killTree(dir, null), { killed: 0, alive: 0 })
  })
})
