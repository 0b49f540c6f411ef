/** The product's command line as a person uses it, in a folder of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PROGRAM } from '../platform.ts'

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export async function holdfast(
  cwd: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [PROGRAM, ...words], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}
