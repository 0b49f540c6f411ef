/** Follows a how-to to the letter in an empty folder: its files, its commands, in the shell of one reader. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from '../../packages/holdfast/src/cli/children.ts'
import { killTreeSync } from '../../packages/holdfast/src/io/process-tree.ts'
import { type DocStep, readDocSteps } from '../../scripts/doc-commands.ts'
import { temporaryFolder, until } from '../platform.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const END_MS = 4 * 60_000

export interface Reader {
  readonly folder: string
  /** The steps of a page, in its order. */
  steps(document: string): readonly DocStep[]
  /** Does one step; gives what it said. */
  take(document: string, step: DocStep): Promise<string>
  shell(text: string): { readonly code: number | null; readonly out: string }
  close(): Promise<void>
}

export function openReader(): Reader {
  const folder = temporaryFolder('how-to')
  const environmentFile = join(folder, '..', `${folder.split('/').pop()}.env`)
  const background: ChildProcess[] = []
  const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}` }

  /** What one block exports, the next one has. */
  const shell = (text: string): { readonly code: number | null; readonly out: string } => {
    const before = `set -e\n[ ! -f '${environmentFile}' ] || . '${environmentFile}'`
    const script = `${before}\n${text}\nexport -p > '${environmentFile}'\n`
    const ran = spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8', timeout: END_MS })
    return { code: ran.status, out: `${ran.stdout}${ran.stderr}` }
  }
  const take = async (document: string, step: DocStep): Promise<string> => {
    if (step.kind === 'file') {
      writeFileSync(join(folder, step.name), step.text)
      return ''
    }
    if (step.background) {
      const script = `. '${environmentFile}'\nexec ${step.text}`
      background.push(spawn('bash', ['-c', script], { cwd: folder, env, stdio: 'ignore', detached: true }))
      return ''
    }
    const where = `${document}:${step.line}`
    let said = ''
    const look = async (): Promise<boolean> => {
      const { code, out } = shell(step.text)
      said = out
      return code === 0
    }
    if (step.retrySeconds === 0) assert.ok(await look(), `${where}: ${said}`)
    else {
      await until(`${where} to succeed`, look, step.retrySeconds * 1_000).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${said}`)
      })
    }
    return said
  }
  const close = async (): Promise<void> => {
    for (const child of background) await ended(child)
    const data = join(folder, 'holdfast-data')
    for (const name of existsSync(data) ? readdirSync(data) : []) {
      if (name.startsWith('orders-')) killTreeSync(join(data, name), null)
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    rmSync(environmentFile, { force: true })
  }
  return { folder, shell, take, close, steps: (document) => readDocSteps(readFileSync(join(ROOT, document), 'utf8')) }
}

/** Ctrl-C, as the reader presses it: to the shell's whole group. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  process.kill(-child.pid, 'SIGINT')
  if (!(await within(gone, END_MS))) process.kill(-child.pid, 'SIGKILL')
}
