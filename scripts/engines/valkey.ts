/**
 * Brings Valkey. Where the distribution has no package of it, Debian's backports may: they are read with lists of their
 * own, so that nothing of the machine's apt changes, and unpacked into the cache, not installed beside the Redis that
 * is there.
 */
import { chmodSync, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findRedis } from '../../packages/holdfast/src/engines/redis/binaries.ts'
import { valkeyHomes } from '../../packages/holdfast/src/engines/redis/valkey-fixture.ts'
import type { DebianPackages, Installed } from './debian.ts'
import { lastLines, run } from './run.ts'

const PACKAGES = ['valkey-server', 'valkey-tools']
/** What both programs load; Debian's Redis brings most of them. */
const LIBRARIES = ['libatomic1', 'libjemalloc2', 'liblzf1']
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

export async function installValkey(packages: DebianPackages): Promise<Installed> {
  const known = await run('apt-cache', ['policy', PACKAGES[0] ?? ''])
  if (/Candidate: \d/.test(known.output)) return packages.install(PACKAGES)
  const suite = await backportsOf()
  if (suite === null) return { ok: false, because: 'the distribution has no valkey-server, and is no Debian' }
  const libraries = await packages.install(LIBRARIES)
  if (!libraries.ok) return libraries
  const work = await mkdtemp(join(tmpdir(), 'holdfast-valkey-'))
  // apt gives up root's rights to download.
  chmodSync(work, 0o755)
  try {
    return await fromSuite(suite, work)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function backportsOf(): Promise<string | null> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1]
  return /^ID=debian$/m.test(text) && codename !== undefined && existsSync(KEYRING) ? `${codename}-backports` : null
}

async function fromSuite(suite: string, work: string): Promise<Installed> {
  const sources = join(work, 'sources.list')
  await writeFile(sources, `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`)
  for (const dir of ['lists/partial', 'cache/archives/partial']) await mkdir(join(work, dir), { recursive: true })
  const settings = [
    ...[`Dir::Etc::sourcelist=${sources}`, 'Dir::Etc::sourceparts=-'],
    ...[`Dir::State::lists=${join(work, 'lists')}`, `Dir::Cache=${join(work, 'cache')}`],
  ].flatMap((setting) => ['-o', setting])
  const updated = await run('apt-get', [...settings, 'update'])
  if (!updated.ok) return { ok: false, because: `apt-get update of ${suite}: ${lastLines(updated.output)}` }
  const brought = await run('apt-get', [...settings, 'download', ...PACKAGES], { cwd: work })
  if (!brought.ok) return { ok: false, because: `apt-get download from ${suite}: ${lastLines(brought.output)}` }
  const [home = ''] = valkeyHomes()
  const partial = `${home}.partial-${process.pid}`
  await mkdir(dirname(home), { recursive: true, mode: 0o755 })
  await rm(partial, { recursive: true, force: true })
  try {
    for (const name of (await readdir(work)).filter((one) => one.endsWith('.deb'))) {
      const unpacked = await run('dpkg-deb', ['-x', join(work, name), partial])
      if (!unpacked.ok) return { ok: false, because: `dpkg-deb -x ${name}: ${lastLines(unpacked.output)}` }
    }
    const works = await findRedis({ binDir: join(partial, 'usr/bin'), product: 'valkey' })
    if (!works.ok) return { ok: false, because: works.because }
    // A folder that is there was found unusable, or somebody else was faster; either way ours is whole.
    await rm(home, { recursive: true, force: true })
    await rename(partial, home)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return { ok: true, note: `unpacked from ${suite} (${PACKAGES.join(' ')})` }
}
