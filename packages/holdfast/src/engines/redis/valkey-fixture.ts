/** Where tests find Valkey beside Redis: on the machine, or where `npm run engines` unpacks it. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Binaries, findRedis } from './binaries.ts'

const NAME = 'valkey'
/** Where root's engine account can read what lies out of its reach in root's home. */
export const READABLE_DIR = '/var/cache/holdfast/engines'

/** The folders `npm run engines` unpacks into, by preference. */
export function valkeyHomes(): readonly string[] {
  const usual = process.env.HOLDFAST_ENGINES ?? join(homedir(), '.cache', 'holdfast', 'engines')
  const own = join(usual, NAME)
  return process.getuid?.() === 0 && process.env.HOLDFAST_ENGINES === undefined
    ? [join(READABLE_DIR, NAME), own]
    : [own]
}

/** Its folder and version; null where there is none. */
export async function findValkey(): Promise<{ readonly binDir: string; readonly binaries: Binaries } | null> {
  for (const binDir of [...valkeyHomes().map((home) => join(home, 'usr/bin')), '/usr/bin', '/usr/local/bin']) {
    const found = await findRedis({ binDir, product: 'valkey' })
    if (found.ok) return { binDir, binaries: found.binaries }
  }
  return null
}
