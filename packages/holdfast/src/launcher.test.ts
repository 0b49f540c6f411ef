/** The launcher `bin/holdfast.js`, started as a person would, before a stand-in for the command line. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, test } from 'node:test'

const STAND_IN = `
import { DatabaseSync } from 'node:sqlite'
new DatabaseSync(':memory:').close()
export async function main(argv: readonly string[]): Promise<number> {
  const { pid, execArgv, env } = process
  const speak = () => {
    const stage = env.HOLDFAST_STAGE ?? null
    const arenas = env.MALLOC_ARENA_MAX ?? null
    const said = argv[0] === 'agent' ? { pid, execArgv, stage, arenas } : {}
    console.log(JSON.stringify({ major: Number.parseInt(process.versions.node), argv, ...said }))
  }
  if (argv[0] === 'agent' && argv[1] === 'stdin') {
    speak()
    process.stdin.resume()
    return new Promise((resolve) => process.stdin.on('end', () => resolve(6)))
  }
  if (argv[0] !== 'wait' && argv[1] !== 'wait') {
    speak()
    return argv[0] === 'fail' ? 3 : 0
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(99), 20_000)
    process.on('SIGTERM', () => { clearTimeout(timer); resolve(5) })
    speak()
  })
}
`

/** A Node older than the product wants, if this machine has one. */
function oldNode(): string | null {
  for (const directory of [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']) {
    const answer = spawnSync(join(directory, 'node'), ['-p', 'process.versions.node'], { encoding: 'utf8' })
    const major = Number.parseInt(answer.stdout ?? '', 10)
    if (answer.status === 0 && major >= 18 && major < 24) return join(directory, 'node')
  }
  return null
}

let root = ''
const old = oldNode()

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-launcher-'))
  await mkdir(join(root, 'package', 'bin'), { recursive: true })
  await mkdir(join(root, 'package', 'src', 'cli'), { recursive: true })
  await mkdir(join(root, 'node_modules', '.bin'), { recursive: true })
  await writeFile(join(root, 'package', 'package.json'), '{ "type": "module" }')
  for (const file of ['holdfast.js', 'long-lived.js']) {
    await copyFile(join(import.meta.dirname, '..', 'bin', file), join(root, 'package', 'bin', file))
  }
  await writeFile(join(root, 'package', 'src', 'cli', 'main.ts'), STAND_IN)
  await mkdir(join(root, 'package', 'src', 'agent'))
  await writeFile(join(root, 'package', 'src', 'agent', 'wire.ts'), 'export const nothing: number = 0')
})
after(() => rm(root, { recursive: true, force: true }))

const launcher = (): string => join(root, 'package', 'bin', 'holdfast.js')

function start(node: string, argv: readonly string[]): ChildProcess {
  return spawn(node, [launcher(), ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
}

describe('with a Node that is new enough', () => {
  test('arguments, output and exit code pass through, and no experimental warning is printed', () => {
    const done = spawnSync(process.execPath, [launcher(), 'fail', '--x', 'a b'], { encoding: 'utf8' })
    assert.equal(done.status, 3)
    assert.deepEqual(JSON.parse(done.stdout).argv, ['fail', '--x', 'a b'])
    assert.equal(done.stderr, '')
  })
})

describe('a process that lives long begins anew, small', { skip: process.platform === 'win32' }, () => {
  const begin = (argv: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess =>
    spawn(process.execPath, [launcher(), 'agent', ...argv], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, XDG_CACHE_HOME: join(root, 'cache'), ...env },
    })
  const firstLine = async (child: ChildProcess): Promise<Record<string, unknown>> => {
    assert.ok(child.stdout)
    const [chunk] = await once(child.stdout, 'data')
    return JSON.parse(String(chunk))
  }

  for (const cache of ['cold', 'warm']) {
    test(`same process id, its settings, no trace for children, a signal reaches it (${cache} cache)`, async () => {
      const child = begin(['wait', 'a b'])
      const said = await firstLine(child)
      assert.deepEqual(said.argv, ['agent', 'wait', 'a b'])
      assert.equal(said.pid, child.pid)
      assert.ok((said.execArgv as string[]).includes('--max-semi-space-size=1'), String(said.execArgv))
      assert.deepEqual([said.stage, said.arenas], [null, null])
      if (process.platform === 'linux') {
        assert.match(await readFile(`/proc/${said.pid}/environ`, 'latin1'), /MALLOC_ARENA_MAX=1/)
      }
      child.kill('SIGTERM')
      assert.deepEqual(await once(child, 'exit'), [5, null])
    })
  }

  test('the end of standard input reaches it', async () => {
    const child = begin(['stdin'])
    await firstLine(child)
    child.stdin?.end()
    assert.deepEqual(await once(child, 'exit'), [6, null])
  })

  for (const open of ['holdfast/compiled', 'holdfast', '.']) {
    test(`a folder for compiled code that others may write to is not used (${open})`, async () => {
      const cache = await mkdtemp(join(root, 'open-cache-'))
      await mkdir(join(cache, 'holdfast', 'compiled'), { recursive: true })
      await chmod(join(cache, open), 0o777)
      const child = begin(['stdin'], { XDG_CACHE_HOME: cache })
      await firstLine(child)
      child.stdin?.end()
      await once(child, 'exit')
      assert.deepEqual(await readdir(join(cache, 'holdfast', 'compiled')), [])
    })
  }

  test('below a folder as open as /tmp compiled code is kept', async () => {
    const sticky = await mkdtemp(join(root, 'sticky-'))
    await chmod(sticky, 0o1777)
    const child = begin(['stdin'], { XDG_CACHE_HOME: join(sticky, 'cache') })
    await firstLine(child)
    child.stdin?.end()
    await once(child, 'exit')
    assert.notDeepEqual(await readdir(join(sticky, 'cache', 'holdfast', 'compiled')), [])
  })
})

describe('with an older Node', { skip: old === null ? 'only where an older Node is installed' : false }, () => {
  const node = old ?? ''

  test('it says what is missing when no newer Node is beside it', () => {
    const done = spawnSync(node, [launcher()], { encoding: 'utf8' })
    assert.equal(done.status, 70)
    assert.match(done.stderr, /needs Node 24.*\n.*npm ci/)
  })

  test('it starts again with the Node of node_modules: same output, same exit code', async () => {
    await symlink(process.execPath, join(root, 'node_modules', '.bin', 'node'))
    const done = spawnSync(node, [launcher(), 'fail', 'a b'], { encoding: 'utf8' })
    assert.equal(done.stderr, '')
    assert.equal(done.status, 3)
    assert.deepEqual(JSON.parse(done.stdout), { major: 24, argv: ['fail', 'a b'] })
  })

  test('a signal reaches the command line, whose exit code is kept', async () => {
    const child = start(node, ['wait'])
    assert.ok(child.stdout)
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    assert.equal(code, 5)
  })
})
