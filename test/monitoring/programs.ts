/** For tests: a real Prometheus and a real Alertmanager with generated files, on loopback, in a folder of the test. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { within } from '../../packages/holdfast/src/cli/children.ts'
import { monitoringProgram } from '../../scripts/engines/monitoring.ts'
import { freePorts, until } from '../platform.ts'

export const missing =
  monitoringProgram('promtool') === null || monitoringProgram('amtool') === null
    ? 'needs prometheus and prometheus-alertmanager: npm run engines'
    : false

const ENDED_MS = 20_000

export interface Said {
  readonly code: number | null
  readonly out: string
}

/** A check tool, to its end. */
export function tool(name: 'promtool' | 'amtool', ...words: readonly string[]): Said {
  const ran = spawnSync(monitoringProgram(name) ?? '', words, { encoding: 'utf8', timeout: 60_000 })
  return { code: ran.status, out: `${ran.stdout}${ran.stderr}` }
}

export interface Server {
  readonly address: string
  stop(): Promise<void>
}

async function started(program: string, port: number, words: readonly string[]): Promise<Server> {
  let said = ''
  const child: ChildProcess = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const address = `127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    if (!(await within(gone, ENDED_MS))) child.kill('SIGKILL')
  }
  try {
    await until(`${program} to be ready`, async () => {
      if (child.exitCode !== null) throw new Error(`it ended:\n${said}`)
      return (await fetch(`http://${address}/-/ready`).catch(() => null))?.status === 200
    })
  } catch (error) {
    await stop()
    throw new Error(`${String(error)}\n${said}`)
  }
  return { address, stop }
}

/** `folder` holds `prometheus.yml` and the rules. */
export async function prometheus(folder: string): Promise<Server> {
  const [port = 0] = await freePorts(1)
  return started(monitoringProgram('prometheus') ?? '', port, [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'prometheus-data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ])
}

export async function alertmanager(folder: string, port: number): Promise<Server> {
  return started(monitoringProgram('prometheus-alertmanager') ?? '', port, [
    `--config.file=${join(folder, 'alertmanager.yml')}`,
    `--storage.path=${join(folder, 'alertmanager-data')}`,
    '--cluster.listen-address=',
    `--web.listen-address=127.0.0.1:${port}`,
  ])
}

/** What Prometheus answers; throws what it complains of. */
export async function ask<T>(server: Server, path: string, query: Readonly<Record<string, string>> = {}): Promise<T> {
  const response = await fetch(`http://${server.address}/api/v1/${path}?${new URLSearchParams(query)}`)
  const answer = (await response.json()) as { status: string; error?: string; data: T }
  if (answer.status !== 'success') throw new Error(`${path} ${JSON.stringify(query)}: ${answer.error}`)
  return answer.data
}
