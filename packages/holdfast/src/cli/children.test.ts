/** Children of `up`, with real store processes: started again, ended cleanly, given up, and never left behind. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Child, within } from './children.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-up-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const env = { ...process.env, HOLDFAST_TOKEN: 'a-token-of-good-length', SUPER: 'super', REPL: 'repl' }
const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url))
/** Ends a test that hangs; a machine with too much to do takes ten times its usual second. */
const BOUND_MS = 30_000

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function describe(): Promise<{ file: string; port: number }> {
  const port = await freePort()
  const file = join(folder, `holdfast-${port}.yaml`)
  writeFileSync(
    file,
    `version: 1
platform: shop
sites: [{ name: here }]
store: { kind: embedded, listen: 127.0.0.1:${port}, dir: store-${port}, token: { env: HOLDFAST_TOKEN } }
agentDefaults: { token: { env: HOLDFAST_TOKEN } }
agents: [{ name: a-1, site: here, listen: 127.0.0.1:1 }]
groups:
  - name: orders
    engine: postgres
    replication: { async: { lossBytesMax: 1MiB, lossTimeMax: 1s } }
    members: [{ name: m-1, agent: a-1, listen: 127.0.0.1:2, dataDir: m1 }]
    secrets: { superuser: { env: SUPER }, replication: { env: REPL } }
`,
  )
  return { file, port }
}

function storeChild(file: string, on: { say?: (line: string) => void; hopeless?: (because: string) => void } = {}) {
  return new Child({
    title: 'store',
    words: ['store', '--file', file],
    logFile: join(folder, 'logs', 'store.log'),
    env,
    say: on.say ?? (() => {}),
    onHopeless: on.hopeless ?? (() => {}),
  })
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const ends = Date.now() + BOUND_MS
  while (!(await condition())) {
    if (Date.now() > ends) assert.fail(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  )
}

it('starts a child that was killed again, and ends it cleanly', async () => {
  const { file, port } = await describe()
  const said: string[] = []
  const child = storeChild(file, { say: (line) => said.push(line) })
  child.start()
  assert.ok(await within(child.ready, BOUND_MS))
  const first = child.pid
  assert.ok(first !== null && (await answers(port)))
  process.kill(first, 'SIGKILL')
  await until('a second start', () => child.pid !== null && child.pid !== first)
  await until('an answer of the second', () => answers(port))
  assert.ok(said.some((line) => /ended with signal SIGKILL; starting it again/.test(line)))
  assert.equal(await child.stop(BOUND_MS), true)
  assert.equal(await answers(port), false)
})

it('gives up on a child that cannot run, with the end of its log', async () => {
  let told: (because: string) => void = () => {}
  const because = new Promise<string>((resolve) => {
    told = resolve
  })
  const child = storeChild(join(folder, 'nowhere.yaml'), { hopeless: (text) => told(text) })
  child.start()
  assert.match(await because, /store ended with code 2; the end of .*store\.log:\n.*nowhere\.yaml cannot be\s+read/s)
})

it('a child ends by itself when whoever started it is gone', async (t) => {
  const { file, port } = await describe()
  // `cat` holds the other end of the pipe; with it the pipe goes.
  const parent = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] })
  const store = spawn(process.execPath, [PROGRAM, 'store', '--file', file], {
    stdio: [parent.stdout ?? 'ignore', 'ignore', 'ignore'],
    env: { ...env, HOLDFAST_PARENT_PIPE: '1' },
  })
  t.after(() => [parent, store].map((left) => left.kill('SIGKILL')))
  const gone = new Promise<number | null>((resolve) => store.once('exit', (code) => resolve(code)))
  await until('an answer', () => answers(port))
  parent.kill('SIGKILL')
  parent.stdout?.destroy()
  assert.ok(await within(gone, BOUND_MS), 'it still runs')
  assert.equal(await gone, 0)
})
