/**
 * The how-to of a first group, followed to the letter in an empty folder: its files, its commands, what it says of
 * them.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { within } from '../../packages/holdfast/src/cli/children.ts'
import { killTreeSync } from '../../packages/holdfast/src/io/process-tree.ts'
import { type DocStep, readDocSteps } from '../../scripts/doc-commands.ts'
import { PATIENCE_MS, temporaryFolder, until } from '../platform.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DOCUMENT = 'docs/operate/first-group.md'
const END_MS = 2 * 60_000

const folder = temporaryFolder('how-to')
const environmentFile = join(folder, '..', `${folder.split('/').pop()}.env`)
const background: ChildProcess[] = []
after(async () => {
  for (const child of background) await ended(child)
  for (const name of existsSync(join(folder, 'holdfast-data')) ? readdirSync(join(folder, 'holdfast-data')) : []) {
    if (name.startsWith('orders-')) killTreeSync(join(folder, 'holdfast-data', name), null)
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  rmSync(environmentFile, { force: true })
})

/** Ctrl-C, as the reader presses it: to the shell's whole group. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  process.kill(-child.pid, 'SIGINT')
  if (!(await within(gone, END_MS))) process.kill(-child.pid, 'SIGKILL')
}

const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}` }

/** The shell of the page: what one block exports, the next one has. */
function shell(text: string): { readonly code: number | null; readonly out: string } {
  const before = `set -e\n[ ! -f '${environmentFile}' ] || . '${environmentFile}'`
  const script = `${before}\n${text}\nexport -p > '${environmentFile}'\n`
  const ran = spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8', timeout: END_MS })
  return { code: ran.status, out: `${ran.stdout}${ran.stderr}` }
}

async function take(step: DocStep): Promise<string> {
  if (step.kind === 'file') {
    writeFileSync(join(folder, step.name), step.text)
    return ''
  }
  if (step.background) {
    const script = `. '${environmentFile}'\nexec ${step.text}`
    background.push(spawn('bash', ['-c', script], { cwd: folder, env, stdio: 'ignore', detached: true }))
    return ''
  }
  const where = `${DOCUMENT}:${step.line}`
  if (step.retrySeconds === 0) {
    const { code, out } = shell(step.text)
    assert.equal(code, 0, `${where}: ${out}`)
    return out
  }
  let said = ''
  const look = async (): Promise<boolean> => {
    const { code, out } = shell(step.text)
    said = out
    return code === 0
  }
  await until(`${where} to succeed`, look, step.retrySeconds * 1_000).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${said}`)
  })
  return said
}

function secretOf(name: string): string {
  return new RegExp(`${name}="([^"]*)"`).exec(readFileSync(environmentFile, 'utf8'))?.[1] ?? ''
}

/** What the page calls the application, through the router's door. */
async function throughTheDoor(sql: string): Promise<readonly unknown[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: 5600,
    user: 'app',
    database: 'app',
    password: secretOf('APP_PASSWORD'),
    connectionTimeoutMillis: PATIENCE_MS,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end().catch(() => {})
  }
}

function safeNow(): Promise<string> {
  return until('a status that says it is safe', async () => {
    const { out } = shell('holdfast status')
    return /safe now: yes/.test(out) ? out : null
  })
}

test('a newcomer who follows the page gets what it says', { timeout: 5 * 60_000 }, async () => {
  assert.ok(existsSync(join(ROOT, 'node_modules/.bin/holdfast')), 'npm ci puts the command where the page looks for it')
  const outputs: string[] = []
  for (const step of readDocSteps(readFileSync(join(ROOT, DOCUMENT), 'utf8'))) outputs.push(await take(step))
  const all = outputs.join('\n')
  assert.match(all, /orders-1/)
  assert.match(all, /if the holder died now: /)
  assert.match(all, /done {2}old primary orders-\d, new primary orders-\d/)
  const status = await safeNow()
  assert.equal(status.match(/ primary /g)?.length, 1, status)
  assert.equal(status.match(/ replica /g)?.length, 2, status)

  await throughTheDoor('create table ledger (n int primary key)')
  await throughTheDoor('insert into ledger values (1)')
  const primary = /(orders-\d) +here +primary/.exec(status)?.[1] ?? ''
  const killed = shell(`kill -9 "$(head -1 holdfast-data/${primary}/postmaster.pid)"`)
  assert.equal(killed.code, 0, killed.out)
  assert.deepEqual(await until('the ledger', async () => throughTheDoor('select n from ledger').catch(() => null)), [
    { n: 1 },
  ])
  await safeNow()

  const [up] = background
  assert.ok(up !== undefined)
  await ended(up)
  assert.equal(up.exitCode, 0)
  rmSync(join(folder, 'holdfast-data'), { recursive: true })
  assert.deepEqual(readdirSync(folder), ['holdfast.yaml'])
})
