/** The world of measurements: every host is this machine, nothing stands between them, and nothing can be cut. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { World } from '../test/blackbox/contract.ts'

const ADDRESS = '127.0.0.1'

export function loopbackWorld(hosts: readonly string[]): World {
  const children = new Set<ChildProcess>()
  const never = async (): Promise<void> => {
    throw new Error('nothing stands between the hosts of a measurement')
  }
  return {
    kind: 'loopback',
    hosts,
    addressOf: () => ADDRESS,
    route: async (_from, _to, port) => ({ host: ADDRESS, port }),
    spawn: ({ command, args, env, cwd, log }) => {
      const file = openSync(log, 'a', 0o600)
      // Of its own process group, so that an interrupt at the terminal reaches only us, who end it in order.
      const child = spawn(command, [...args], { env, cwd, stdio: ['ignore', file, file], detached: true })
      closeSync(file)
      children.add(child)
      child.once('exit', () => children.delete(child))
      return child
    },
    cut: never,
    shape: never,
    heal: async () => {},
    close: async () => {
      const gone = [...children].map((child) => new Promise<void>((resolve) => child.once('exit', () => resolve())))
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(gone)
    },
  }
}
