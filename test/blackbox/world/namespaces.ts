/**
 * Hosts as network namespaces on one bridge, with addresses of our own. Every host knows the hardware address of every
 * other one by heart; a cut gives it a wrong one, so that packets leave and arrive nowhere. A route that discards them
 * would tell the sender at once (EINVAL), which no broken cable does.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { programPath } from '../../../packages/holdfast/src/io/program-path.ts'

const run = promisify(execFile)
const IP_MS = 5_000
/** Nobody has it; the bridge carries such frames to everybody, and everybody drops them. */
const NOBODY = '02:00:00:00:de:ad'

export interface Net {
  readonly name: string
  readonly subnet: number
  readonly hosts: readonly string[]
}

export const namespaceOf = (net: Pick<Net, 'name'>, host: string): string => `${net.name}-${host}`

/** The harness itself is .1. */
export function addressIn(net: Net, host: string): string {
  return `10.88.${net.subnet}.${10 + net.hosts.indexOf(host)}`
}

function hardwareOf(net: Net, host: string): string {
  const two = (n: number) => n.toString(16).padStart(2, '0')
  return `02:88:${two(net.subnet)}:00:00:${two(10 + net.hosts.indexOf(host))}`
}

/** Null when this machine lets us make namespaces; else why not. */
export async function namespacesMissing(trialName: string): Promise<string | null> {
  if (process.platform !== 'linux') return 'only Linux has network namespaces'
  if (process.getuid?.() !== 0) return 'only root may make network namespaces'
  for (const program of ['ip', 'nsenter']) if (programPath(program) === null) return `the program ${program} is missing`
  try {
    await ip('netns', 'add', trialName)
    await ip('-n', trialName, 'link', 'add', 'trial', 'type', 'bridge')
    return null
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n').at(1) ?? error.message) : String(error)
  } finally {
    await ip('netns', 'del', trialName).catch(() => {})
  }
}

export async function makeNet(net: Net): Promise<void> {
  await ip('link', 'add', net.name, 'type', 'bridge')
  await ip('addr', 'add', `10.88.${net.subnet}.1/24`, 'dev', net.name)
  await ip('link', 'set', net.name, 'up')
  for (const [index, host] of net.hosts.entries()) {
    const namespace = namespaceOf(net, host)
    const port = `${net.name}p${index}`
    await ip('netns', 'add', namespace)
    const peer = ['peer', 'name', 'eth0', 'address', hardwareOf(net, host), 'netns', namespace]
    await ip('link', 'add', port, 'type', 'veth', ...peer)
    await ip('link', 'set', port, 'master', net.name, 'up')
    await ip('-n', namespace, 'addr', 'add', `${addressIn(net, host)}/24`, 'dev', 'eth0')
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up')
    await ip('-n', namespace, 'link', 'set', 'lo', 'up')
  }
  for (const from of net.hosts) for (const to of net.hosts) if (from !== to) await setCut(net, { from, to, cut: false })
}

export async function setCut(net: Net, way: { from: string; to: string; cut: boolean }): Promise<void> {
  const { from, to, cut } = way
  const hardware = cut ? NOBODY : hardwareOf(net, to)
  const entry = [addressIn(net, to), 'lladdr', hardware, 'dev', 'eth0', 'nud', 'permanent']
  await ip('-n', namespaceOf(net, from), 'neigh', 'replace', ...entry)
}

/** Words that start a program in the namespace; the process becomes that program, so its id stays. */
export function inside(net: Net, host: string): readonly string[] {
  return ['nsenter', `--net=/run/netns/${namespaceOf(net, host)}`]
}

async function ip(...words: string[]): Promise<void> {
  await run('ip', words, { timeout: IP_MS })
}
