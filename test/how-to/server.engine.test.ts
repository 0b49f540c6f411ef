/** The how-to of the server, followed to the letter in an empty folder. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type DocStep, readDocSteps } from '../../scripts/doc-commands.ts'
import { temporaryFolder, until } from '../platform.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DOCUMENT = 'docs/operate/server.md'
const STEP_MS = 120_000

const folder = temporaryFolder('how-to-server')
const environmentFile = `${folder}.env`
const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}` }
const background: ChildProcess[] = []
after(async () => {
  for (const child of background) {
    if (child.exitCode !== null || child.pid === undefined) continue
    const gone = new Promise((resolve) => child.once('exit', resolve))
    process.kill(-child.pid, 'SIGTERM')
    await gone
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  rmSync(environmentFile, { force: true })
})

/** The shell of the page: what one block exports, the next one has. */
function shell(text: string): { readonly code: number | null; readonly out: string } {
  const before = `set -e\n[ ! -f '${environmentFile}' ] || . '${environmentFile}'`
  const script = `${before}\n${text}\nexport -p > '${environmentFile}'\n`
  const ran = spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8', timeout: STEP_MS })
  return { code: ran.status, out: `${ran.stdout}${ran.stderr}` }
}

async function take(step: DocStep): Promise<void> {
  if (step.kind === 'file') {
    writeFileSync(join(folder, step.name), step.text)
    return
  }
  if (step.background) {
    const script = `. '${environmentFile}'\n${step.text}`
    background.push(spawn('bash', ['-c', script], { cwd: folder, env, stdio: 'ignore', detached: true }))
    return
  }
  let ran = shell(step.text)
  if (step.retrySeconds > 0) {
    await until(`line ${step.line} succeeds`, async () => {
      ran = shell(step.text)
      return ran.code === 0
    })
  }
  assert.equal(ran.code, 0, `line ${step.line} of ${DOCUMENT}: ${step.text}\n${ran.out}`)
}

test('the how-to of the server does what it says', { timeout: 300_000 }, async () => {
  for (const step of readDocSteps(readFileSync(join(ROOT, DOCUMENT), 'utf8'))) await take(step)
  const log = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
  for (const action of ['firstAdmin', 'addUser', 'addToken']) assert.match(log, new RegExp(`"action":"${action}"`))
  const elsewhere = 's#listen: 127.0.0.1:17475#&\\n  dir: nothing#'
  const verify = 'holdfast audit verify --database --file other.yaml'
  const nowhere = shell(`sed "${elsewhere}" holdfast.yaml > other.yaml; ${verify}`)
  assert.notEqual(nowhere.code, 0, 'no database is not a whole one')
  assert.match(nowhere.out, /HF_FILE_UNREADABLE/)
  writeFileSync(join(folder, 'audit.jsonl'), log.replace('"subject":"user otto"', '"subject":"user anna"'))
  const broken = shell('holdfast audit verify audit.jsonl')
  assert.notEqual(broken.code, 0)
  assert.match(broken.out, /HF_AUDIT_BROKEN/)
})
