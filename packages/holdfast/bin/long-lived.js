/**
 * How agents, routers and stores start: they live for months beside a database and must stay small. Settings of the
 * engine under them and of malloc can only be given to a new program, so the process replaces itself once by the same
 * program with these settings; process id, standard streams and whoever waits for it stay the same. Where a process
 * cannot be replaced (Windows, an older Node) it runs as it is, only larger. Leaves the work to src/cli/main.ts.
 */
import { mkdirSync, realpathSync, statSync } from 'node:fs'
import * as modules from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'

/** What each command loads once it knows what to do. */
const ROOMS = {
  agent: ['../src/agent/wire.ts'],
  router: ['../src/cli/router-process.ts'],
  store: ['../src/store/embedded/server.ts'],
}
/** How often this process has been replaced, which ends every loop, and what of `MALLOC` was set for it. */
const STAGE = 'HOLDFAST_STAGE'
/** A young generation of 1 MB: short-lived garbage is not spread over 16 MB of pages. */
const HEAP_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=256']
/** One compiler thread and one compiler, the last, for what really is hot: each costs pages of its own. */
const FLAGS = [...HEAP_FLAGS, '--optimize-for-size', '--v8-pool-size=1', '--no-maglev', '--no-sparkplug']
/**
 * glibc: one heap. Blocks that only a copy or a start needs stand by themselves, so that freed they leave no holes; a
 * little room at the top serves what is needed at rest.
 */
const MALLOC = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '8192',
  MALLOC_TOP_PAD_: '262144',
  MALLOC_TRIM_THRESHOLD_: '524288',
}

/**
 * A router makes a buffer for each of thousands of small reads a second: with the settings above a transaction takes it
 * 25 µs of a core, with these 20. They cost it 20 MB.
 */
const ROUTER_FLAGS = ['--max-semi-space-size=4', '--max-old-space-size=256', '--v8-pool-size=1']
const ROUTER_MALLOC = { MALLOC_ARENA_MAX: '1' }
const settingsOf = (command) =>
  command === 'router' ? { flags: ROUTER_FLAGS, malloc: ROUTER_MALLOC } : { flags: FLAGS, malloc: MALLOC }

/** Loads the program of `command` into a small process. May not return: then the process begins anew. */
export async function loadSmall(command) {
  const [stage, ...set] = wordsOf(process.env[STAGE])
  // PostgreSQL is a child of ours, and these would make it slow: they are for this process alone.
  for (const name of [STAGE, ...set]) delete process.env[name]
  if (stage === 0) beginAnew(1, settingsOf(command))
  // Only where the process could not be replaced do these come late.
  if (stage === 0) for (const flag of HEAP_FLAGS) setFlagsFromString(flag)
  const cached = useCache()
  const { main } = await import('../src/cli/main.ts')
  for (const room of ROOMS[command]) await import(room)
  if (cached) {
    modules.flushCompileCache()
    // The type stripper stays in memory once it was used. Its work is kept now: begin anew without it.
    if (stage === 1 && hasStripper()) beginAnew(2, settingsOf(command))
  }
  return main
}

export const isLongLived = (command) => Object.hasOwn(ROOMS, command ?? '')

function beginAnew(stage, { flags, malloc }) {
  if (typeof process.execve !== 'function') return
  const program = fileURLToPath(new URL('./holdfast.js', import.meta.url))
  const others = process.execArgv.filter((flag) => !flags.includes(flag))
  const words = [process.execPath, ...others, ...flags, program, ...process.argv.slice(2)]
  const set = Object.keys(malloc).filter((name) => process.env[name] === undefined)
  const env = { ...malloc, ...process.env, [STAGE]: [stage, ...set].join(' ') }
  try {
    process.execve(process.execPath, words, env)
  } catch {
    // Refused before anything was done (Windows, a policy of permissions): go on as we are.
  }
}

function wordsOf(text = '0') {
  const [stage, ...set] = text.split(' ')
  return [Number(stage), ...set.filter((name) => Object.hasOwn(MALLOC, name))]
}

/** Compiled code is run as it is found, so its folder must be ours alone. */
function useCache() {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast', 'compiled')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const real = ownFolder(folder)
    if (real === null) return false
    const { ENABLED, ALREADY_ENABLED } = modules.constants.compileCacheStatus
    return [ENABLED, ALREADY_ENABLED].includes(modules.enableCompileCache(real).status)
  } catch {
    return false
  }
}

/** Its real path when nobody but us and root may change it or put another in its place, on the whole way to it. */
function ownFolder(folder) {
  const real = realpathSync(folder)
  const own = process.getuid?.()
  if (own === undefined) return real
  for (let at = real; ; at = dirname(at)) {
    const { uid, mode } = statSync(at)
    // In a sticky folder, such as /tmp, only its owner can put another in a folder's place.
    const open = (mode & 0o022) !== 0 && (at === real || (mode & 0o1000) === 0)
    if (open || (uid !== own && (uid !== 0 || at === real))) return null
    if (at === dirname(at)) return real
  }
}

function hasStripper() {
  return process.moduleLoadList.some((name) => name.includes('amaro'))
}
