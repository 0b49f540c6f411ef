/** `holdfast up` as people use it: starts everything, moves a primary, ends everything on Ctrl-C, keeps the data. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { within } from './children.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url))
const START_MS = 60_000
const END_MS = 60_000
/** Interrupted while it starts, it has little to end. */
const SOON_MS = 20_000
const folder = mkdtempSync(join(tmpdir(), 'holdfast-up-engine-'))
// As root the engine runs as somebody else, who has to walk through this folder.
chmodSync(folder, 0o755)
const file = join(folder, 'holdfast.yaml')
/** The same with a server, which runs beside. */
const serverFile = join(folder, 'server.yaml')
const env = { ...process.env, TOKEN: 'a-token-of-good-length', SUPER: 'super-1', REPL: 'repl-1', APP: 'app-1' }
const running: ChildProcess[] = []
after(async () => {
  for (const child of running.filter((item) => item.exitCode === null && item.signalCode === null)) {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGINT')
    if (!(await within(gone, END_MS))) child.kill('SIGKILL')
  }
  rmSync(folder, { recursive: true, force: true })
})

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

async function describeTwo(): Promise<void> {
  const [store, a1, a2, m1, m2, door, api] = await freePorts(7)
  const text = `version: 1
platform: up-test
sites: [{ name: here }]
store: { kind: embedded, listen: 127.0.0.1:${store}, token: { env: TOKEN } }
agentDefaults: { token: { env: TOKEN } }
agents:
  - { name: a-1, site: here, listen: 127.0.0.1:${a1} }
  - { name: a-2, site: here, listen: 127.0.0.1:${a2} }
groups:
  - name: orders
    engine: postgres
    replication: sync
    members:
      - { name: m-1, agent: a-1, listen: 127.0.0.1:${m1}, dataDir: m-1 }
      - { name: m-2, agent: a-2, listen: 127.0.0.1:${m2}, dataDir: m-2 }
    application: { user: app, database: app, password: { env: APP } }
    secrets: { superuser: { env: SUPER }, replication: { env: REPL } }
routers:
  - { name: r-1, site: here, doors: [{ group: orders, listen: 127.0.0.1:${door} }] }
`
  writeFileSync(file, text)
  writeFileSync(serverFile, `${text}server: { listen: 127.0.0.1:${api} }\n`)
}

interface Up {
  readonly process: ChildProcess
  readonly exit: Promise<number | null>
  said(): string
  until(pattern: RegExp): Promise<void>
}

const up = (): Up => started('up', file)

function started(...words: string[]): Up {
  const child = spawn(process.execPath, [PROGRAM, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  let text = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      for (const listener of listeners) listener()
    })
  }
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const until = async (pattern: RegExp): Promise<void> => {
    const seen = new Promise<void>((resolve) => {
      const look = () => {
        if (!pattern.test(text)) return
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
    })
    assert.ok(await within(seen, START_MS), `never said ${pattern}:\n${text}`)
  }
  return { process: child, exit, said: () => text, until }
}

function command(...words: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...words, '--file', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })))
}

/** Processes that work in one of the data folders. */
function enginesLeft(): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
    } catch {
      return false
    }
  })
}

type Ask = (path: string) => Promise<string>

async function firstAdmin(said: string): Promise<Ask> {
  const url = /server ready at (\S+)/.exec(said)?.[1] ?? assert.fail(said)
  const code = /first admin: (\S+)/.exec(said)?.[1]
  const body = JSON.stringify({ code, user: 'root', password: 'correct horse battery' })
  const headers = { 'content-type': 'application/json' }
  const made = await fetch(`${url}/api/v1/session/first-admin`, { method: 'POST', headers, body })
  assert.equal(made.status, 200, await made.clone().text())
  const cookie = made.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const ask: Ask = async (path) => (await fetch(`${url}/api/v1${path}`, { headers: { cookie } })).text()
  const writing = async (): Promise<void> => {
    while (!/"writer":"m-[12]"/.test(await ask('/platform'))) await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.ok(await within(writing(), START_MS), await ask('/platform'))
  return ask
}

/** The server saw the real move as one, with its phases, and the group as it is. */
async function seenByServer(ask: Ask): Promise<void> {
  let incidents = ''
  const over = async (): Promise<void> => {
    while (!incidents.includes('"state":"closed"')) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      incidents = await ask('/incidents?group=orders')
    }
  }
  assert.ok(await within(over(), START_MS), incidents)
  assert.match(incidents, /"kind":"switchover"/)
  for (const phase of ['detect', 'decide', 'route', 'healthy'])
    assert.match(incidents, new RegExp(`"phase":"${phase}"`))
  assert.match(await ask('/events?kind=reason&limit=500'), /"code":"opens"/)
}

it('starts everything, switches over, ends everything on Ctrl-C, and starts again with the data', async (t) => {
  if (process.platform !== 'linux') return t.skip('looks for processes in /proc')
  await describeTwo()
  const first = up()
  await first.until(/safe now: yes/)
  assert.match(first.said(), /up-test is up\.\n\s+write\s+psql "host=127\.0\.0\.1 port=\d+ user=app dbname=app"/)
  const server = started('server', '--file', serverFile)
  await server.until(/one-time code for the first admin: [A-Z0-9-]{19}/)
  const ask = await firstAdmin(server.said())
  const moved = await command('switchover', 'orders')
  assert.equal(moved.code, 0, moved.text)
  await seenByServer(ask)
  server.process.kill('SIGTERM')
  assert.ok(await within(server.exit, END_MS), server.said())
  assert.equal(await server.exit, 0, server.said())
  const status = await command('status')
  assert.equal(status.code, 0)
  first.process.kill('SIGINT')
  assert.ok(await within(first.exit, END_MS), first.said())
  assert.equal(await first.exit, 0, first.said())
  assert.deepEqual(enginesLeft(), [])

  const second = up()
  await second.until(/safe now: yes/)
  assert.doesNotMatch(second.said(), /initdb|cloning/)
  second.process.kill('SIGINT')
  assert.ok(await within(second.exit, END_MS), second.said())
  assert.equal(await second.exit, 0, second.said())
  assert.deepEqual(enginesLeft(), [])
})

it('ends with 1 and the reason when a port is taken', async () => {
  await describeTwo()
  const first = up()
  await first.until(/store ready/)
  const other = up()
  assert.ok(await within(other.exit, SOON_MS), other.said())
  assert.equal(await other.exit, 1)
  assert.match(other.said(), /ended with code 1; the end of .*store\.log:\n(.*\n)*.*(in use|another process)/i)
  first.process.kill('SIGINT')
  assert.ok(await within(first.exit, SOON_MS), first.said())
})
