/** A world of hosts: who reaches whom, what a cut does to connections old and new, and that nothing is left of it. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MadeWorld, makeWorld } from './make-world.ts'
import { namespacesMissing } from './namespaces.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-world-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const missing = await namespacesMissing(`hf${process.pid.toString(16)}-try`)

const SERVER = `require('node:net').createServer((s) => s.on('error', () => {}).on('data', (d) => s.write(d)))
  .listen(Number(process.argv[1]), process.argv[2])`
/** Sends a byte every 20 ms and writes down how many it got back. */
const CLIENT = `const s = require('node:net').connect(Number(process.argv[1]), process.argv[2])
  let sent = 0, got = 0
  s.on('data', (d) => (got += d.length)).on('error', (e) => console.log('error', e.code))
  s.on('close', () => console.log('closed'))
  setInterval(() => { s.write('x'); sent++ }, 20)
  setInterval(() => console.log(JSON.stringify({ sent, got })), 50)`

interface Scene {
  readonly world: MadeWorld
  /** The newest numbers of a client that talks from `a` to `b` for the whole test. */
  talk(): { sent: number; got: number }
  told(): string
  startClient(name: string): () => string
}

async function scene(kind: 'namespaces' | 'loopback'): Promise<Scene> {
  const own = join(folder, kind)
  mkdirSync(own)
  const world = await makeWorld({ hosts: ['a', 'b'], folder: own, kind })
  const port = 20_000 + (process.pid % 10_000)
  const run = (host: string, name: string, words: readonly string[]): (() => string) => {
    const log = join(own, `${name}.log`)
    world.spawn({ host, command: process.execPath, args: ['-e', ...words], cwd: own, log })
    return () => readFileSync(log, 'utf8')
  }
  run('b', 'server', [SERVER, String(port), world.addressOf('b')])
  const at = await world.route('a', 'b', port)
  assert.deepEqual(await world.route('a', 'b', port), at, 'one listener for one link and port')
  await sleep(500)
  const startClient = (name: string): (() => string) => run('a', name, [CLIENT, String(at.port), at.host])
  const told = startClient('client')
  const talk = (): { sent: number; got: number } => {
    const line = told()
      .split('\n')
      .filter((text) => text.startsWith('{'))
      .at(-1)
    return JSON.parse(line ?? '{"sent":0,"got":0}') as { sent: number; got: number }
  }
  for (let i = 0; i < 200 && talk().got < 5; i++) await sleep(20)
  assert.ok(talk().got >= 5, `it talks: ${told()}`)
  return { world, talk, told, startClient }
}

for (const kind of ['namespaces', 'loopback'] as const) {
  const skip = kind === 'namespaces' && missing !== null ? `no namespaces: ${missing}` : false
  test(`in ${kind} a cut is silent for connections old and new, one way alone, and heals`, { skip }, async () => {
    const { world, talk, told, startClient } = await scene(kind)
    try {
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        await world.cut(from, to)
        await sleep(200)
        const before = talk()
        const second = startClient(`second-${from}`)
        await sleep(600)
        assert.equal(talk().got, before.got, 'nothing comes back')
        assert.ok(talk().sent > before.sent, 'and the sender is not told')
        assert.doesNotMatch(told(), /error|closed/)
        assert.doesNotMatch(second(), /error|closed|"got":[1-9]/)
        await world.heal()
        for (let i = 0; i < 300 && talk().got === before.got; i++) await sleep(20)
        assert.ok(talk().got > before.got, 'it goes on where it was')
      }
      await world.shape('a', 'b', { stalled: true })
      await sleep(100)
      const { got } = talk()
      await sleep(300)
      assert.equal(talk().got, got, 'stalled')
      await world.heal()
      for (let i = 0; i < 300 && talk().got === got; i++) await sleep(20)
      assert.ok(talk().got > got)
      assert.doesNotMatch(told(), /error|closed/)
    } finally {
      await Promise.all([world.close(), world.close()])
    }
    assert.deepEqual(livingUnder(join(folder, kind)), [])
  })
}

test('what a killed run left is taken down by the next one', { skip: missing !== null }, async () => {
  const own = join(folder, 'left')
  const program = join(import.meta.dirname, 'make-world.ts')
  const text = `const { makeWorld } = await import(${JSON.stringify(program)})
    const world = await makeWorld({ hosts: ['a'], folder: ${JSON.stringify(own)}, kind: 'namespaces' })
    const log = ${JSON.stringify(join(folder, 'sleep.log'))}
    world.spawn({ host: 'a', command: 'sleep', args: ['60'], cwd: ${JSON.stringify(own)}, log })
    console.log('made')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const namesOf = (): string => execFileSync('ip', ['netns'], { encoding: 'utf8' })
  const made = namesOf().match(/hf[0-9a-f]{4}-a\b/g) ?? []
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  assert.ok(made.length > 0)
  // Its host process ends by itself when nobody holds its input any more.
  for (let i = 0; i < 300 && livingUnder(own).length > 1; i++) await sleep(20)
  assert.equal(livingUnder(own).length, 1, 'only what it spawned lives on')
  const world = await makeWorld({ hosts: ['a'], folder: join(folder, 'next'), kind: 'loopback' })
  await world.close()
  assert.deepEqual(livingUnder(own), [])
  assert.ok(made.some((name) => !namesOf().includes(name)))
  assert.ok(existsSync(own))
})

function livingUnder(path: string): readonly string[] {
  const text = execFileSync('sh', ['-c', `ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -F ${path} || true`], {
    encoding: 'utf8',
  })
  return text.split('\n').filter(Boolean)
}
