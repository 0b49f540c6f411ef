/** The embedded store as a process of its own, for tests that kill or freeze it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { EmbeddedStoreOptions } from './server.ts'

const PROGRAM = `
  import { startEmbeddedStore } from ${JSON.stringify(new URL('server.ts', import.meta.url).href)}
  try {
    const { url } = await startEmbeddedStore(JSON.parse(process.env.STORE_OPTIONS))
    console.log('ready ' + url)
  } catch (error) {
    console.log('failed ' + error.code + ' ' + error.message)
    process.exit(1)
  }
  process.stdin.resume().on('end', () => process.exit(0))
`

export interface StoreProcess {
  readonly url: string
  readonly pid: number
  kill(signal: NodeJS.Signals): void
  /** SIGKILL, and wait until it is gone. */
  end(): Promise<void>
}

/** Rejects with the program's words when the store does not start. It ends with this process: its stdin closes. */
export async function startStoreProcess(options: Omit<EmbeddedStoreOptions, 'log'>): Promise<StoreProcess> {
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, STORE_OPTIONS: JSON.stringify(options) },
  })
  const gone = once(child, 'exit')
  if (child.stdout === null || child.pid === undefined) throw new Error('the store process did not start')
  const [line] = await Promise.race([
    once(createInterface(child.stdout), 'line'),
    gone.then(() => ['failed: the process ended']),
  ])
  const words = String(line)
  if (!words.startsWith('ready ')) {
    await gone
    throw new Error(words)
  }
  return {
    url: words.slice('ready '.length),
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    end: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}
