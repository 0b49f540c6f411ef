/** Finds the server program: Redis or Valkey, 7 or newer. Looks and asks for the version; changes nothing. */
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export const MAJOR_MIN = 7
const NAMES = ['redis-server', 'valkey-server']
const PLACES = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin']
const ASK_MS = 5_000
/** Nothing of the agent's own. */
export const SERVER_ENV = { LC_ALL: 'C', PATH: '/usr/bin:/bin' }

export interface Binaries {
  /** Absolute path of the server program. */
  readonly server: string
  readonly product: 'redis' | 'valkey'
  readonly version: string
  readonly major: number
}

export interface FindOptions {
  readonly binDir?: string
  /** Default: either. */
  readonly product?: Binaries['product']
  readonly version?: number
}

export type Found =
  | { readonly ok: true; readonly binaries: Binaries }
  | { readonly ok: false; readonly because: string }

export async function findRedis(options: FindOptions = {}): Promise<Found> {
  // A Redis server's command line does not tell its directory, so without /proc a fence could not find all of it.
  if (process.platform !== 'linux') return { ok: false, because: 'Redis is managed on Linux only' }
  const directories =
    options.binDir === undefined ? [...(process.env.PATH ?? '').split(delimiter), ...PLACES] : [options.binDir]
  const seen: string[] = []
  for (const path of new Set(directories.flatMap((dir) => (dir === '' ? [] : NAMES.map((name) => join(dir, name)))))) {
    if (!isProgram(path)) continue
    const binaries = await ask(path)
    if (binaries === null) {
      seen.push(`${path} does not tell its version`)
      continue
    }
    if (options.product !== undefined && options.product !== binaries.product) continue
    if (binaries.major >= MAJOR_MIN && (options.version === undefined || binaries.major === options.version)) {
      return { ok: true, binaries }
    }
    seen.push(`${path} is ${binaries.version}`)
  }
  const wanted = options.version === undefined ? `${MAJOR_MIN} or newer` : String(options.version)
  const where = options.binDir ?? 'PATH and the usual places'
  const others = seen.length === 0 ? '' : ` (${seen.slice(0, 3).join(', ')})`
  const next = 'install redis-server or valkey-server, or name its folder in binDir'
  return { ok: false, because: `no Redis or Valkey ${wanted} in ${where}${others}; ${next}` }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** `Redis server v=7.0.15 sha=...`, `Valkey server v=8.0.1 ...`; Valkey also answers to the name redis-server. */
function ask(server: string): Promise<Binaries | null> {
  return new Promise((resolve) => {
    // As it is started later: what is loaded into the agent (LD_PRELOAD) may not fit the server.
    execFile(server, ['--version'], { timeout: ASK_MS, env: SERVER_ENV }, (_error, stdout) => {
      const m = /^(\w+) server v=((\d+)\.[\w.-]+)/.exec(stdout)
      if (m === null) return resolve(null)
      const product = (m[1] ?? '').toLowerCase() === 'valkey' ? 'valkey' : 'redis'
      resolve({ server, product, version: m[2] ?? '', major: Number(m[3]) })
    })
  })
}
