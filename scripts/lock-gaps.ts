/**
 * Mends package-lock.json after `npm install` ran against a registry that does not carry the packages of every
 * platform: npm then leaves those out, and `npm ci` refuses the file ("Missing: ... from lock file"). Adds an entry for
 * each, with the platform its name tells. Where the registry has them all there is nothing to add.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface LockEntry {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
  readonly [field: string]: unknown
}

export interface LockGap {
  readonly name: string
  readonly version: string
  /** Key of the entry that asks for it. */
  readonly wantedBy: string
}

const PREFIX = 'node_modules/'
/** `linux-x64`, `linux-arm64-musl`, `darwin-arm64`, ... at the end of a package's name. */
const PLATFORM = /(?<os>aix|android|darwin|freebsd|linux|netbsd|openbsd|sunos|win32)-(?<cpu>\w+?)(?<libc>-musl|-gnu)?$/

export function gapsOf(lock: Lock): readonly LockGap[] {
  const gaps: LockGap[] = []
  for (const [wantedBy, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const places = [`${PREFIX}${name}`, `${wantedBy}/${PREFIX}${name}`]
      if (!places.some((place) => place in lock.packages)) gaps.push({ name, version, wantedBy })
    }
  }
  return gaps
}

export function withoutGaps(lock: Lock): Lock {
  const added = gapsOf(lock).map((gap) => [`${PREFIX}${gap.name}`, entryOf(gap, lock)] as const)
  const entries = [...Object.entries(lock.packages), ...added]
  // npm's own order; the root entry has the empty name and comes first by itself.
  entries.sort(([a], [b]) => a.localeCompare(b, 'en'))
  return { ...lock, packages: Object.fromEntries(entries) }
}

function entryOf(gap: LockGap, lock: Lock): LockEntry {
  const platform = PLATFORM.exec(gap.name)?.groups
  if (platform?.os === undefined || platform.cpu === undefined || !/^\d/.test(gap.version)) {
    throw new Error(`${gap.name}@${gap.version}: cannot tell its platform; write its entry by hand`)
  }
  const libc = platform.os === 'linux' ? { libc: [platform.libc === '-musl' ? 'musl' : 'glibc'] } : {}
  const dev = lock.packages[gap.wantedBy]?.dev === true ? { dev: true } : {}
  return { version: gap.version, cpu: [platform.cpu], ...dev, ...libc, optional: true, os: [platform.os] }
}

function main(): void {
  const path = join(import.meta.dirname, '..', 'package-lock.json')
  const lock = JSON.parse(readFileSync(path, 'utf8')) as Lock
  const gaps = gapsOf(lock)
  if (gaps.length > 0) writeFileSync(path, `${JSON.stringify(withoutGaps(lock), null, 2)}\n`)
  for (const gap of gaps) console.log(`added ${gap.name}@${gap.version}`)
  console.log(gaps.length === 0 ? 'package-lock.json has no gaps' : `package-lock.json: ${gaps.length} entries added`)
}

if (import.meta.main) main()
