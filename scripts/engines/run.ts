/** Runs a program to its end and keeps what it said, up to a bound. */
import { execFile } from 'node:child_process'

export interface RunResult {
  readonly ok: boolean
  readonly output: string
}

/** Installing over a slow line must fit; a program that asks a question must not wait for ever. */
const RUN_TIMEOUT_MS = 600_000
const OUTPUT_BYTES_MAX = 4_000_000

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const settings = {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    timeout: RUN_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  }
  return new Promise((resolve) => {
    execFile(program, [...args], settings, (error, stdout, stderr) => {
      const reason = error === null ? '' : `\n${error.message}`
      resolve({ ok: error === null, output: `${stdout}${stderr}${reason}` })
    })
  })
}

/** The last lines of what a program said, for a message. */
export function lastLines(output: string, count = 3): string {
  return output.trim().split('\n').slice(-count).join(' | ')
}
