/** Somebody who follows a page to the letter in an empty folder: its files, its commands, in one shell. */
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
const END_MS = 2 * 60_000

export class Reader {
  readonly folder: string
  readonly background: ChildProcess[] = []
  readonly #document: string
  readonly #environmentFile: string
  readonly #env: NodeJS.ProcessEnv

  constructor(document: string) {
    this.#document = document
    this.folder = temporaryFolder('how-to')
    this.#environmentFile = join(this.folder, '..', `${this.folder.split('/').pop()}.env`)
    this.#env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}` }
  }

  /** Every step of the page in order; what the commands said. */
  async follow(): Promise<string> {
    const outputs: string[] = []
    for (const step of readDocSteps(readFileSync(join(ROOT, this.#document), 'utf8'))) {
      outputs.push(await this.#take(step))
    }
    return outputs.join('\n')
  }

  /** The shell of the page: what one block exports, the next one has. */
  shell(text: string): { readonly code: number | null; readonly out: string } {
    const environment = this.#environmentFile
    const before = `set -e\n[ ! -f '${environment}' ] || . '${environment}'`
    const script = `${before}\n${text}\nexport -p > '${environment}'\n`
    const ran = spawnSync('bash', ['-c', script], {
      cwd: this.folder,
      env: this.#env,
      encoding: 'utf8',
      timeout: END_MS,
    })
    return { code: ran.status, out: `${ran.stdout}${ran.stderr}` }
  }

  secret(name: string): string {
    return new RegExp(`${name}="([^"]*)"`).exec(readFileSync(this.#environmentFile, 'utf8'))?.[1] ?? ''
  }

  safeNow(): Promise<string> {
    return until('a status that says it is safe', async () => {
      const { out } = this.shell('holdfast status')
      return /safe now: yes/.test(out) ? out : null
    })
  }

  /** Ctrl-C, as the reader presses it: to the shell's whole group. */
  async end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    process.kill(-child.pid, 'SIGINT')
    if (!(await within(gone, END_MS))) process.kill(-child.pid, 'SIGKILL')
  }

  async close(): Promise<void> {
    for (const child of this.background) await this.end(child)
    const data = join(this.folder, 'holdfast-data')
    for (const name of existsSync(data) ? readdirSync(data) : []) {
      if (/-\d$/.test(name)) killTreeSync(join(data, name), null)
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    rmSync(this.#environmentFile, { force: true })
  }

  async #take(step: DocStep): Promise<string> {
    if (step.kind === 'file') {
      writeFileSync(join(this.folder, step.name), step.text)
      return ''
    }
    if (step.background) {
      const script = `. '${this.#environmentFile}'\nexec ${step.text}`
      const how = { cwd: this.folder, env: this.#env, stdio: 'ignore', detached: true } as const
      this.background.push(spawn('bash', ['-c', script], how))
      return ''
    }
    const where = `${this.#document}:${step.line}`
    if (step.retrySeconds === 0) {
      const { code, out } = this.shell(step.text)
      assert.equal(code, 0, `${where}: ${out}`)
      return out
    }
    let said = ''
    const look = async (): Promise<boolean> => {
      const { code, out } = this.shell(step.text)
      said = out
      return code === 0
    }
    await until(`${where} to succeed`, look, step.retrySeconds * 1_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${said}`)
    })
    return said
  }
}
