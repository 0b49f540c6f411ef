/**
 * Prometheus and Alertmanager with their check tools, for the tests of what `holdfast generate` makes. Prometheus is
 * taken out of Debian's package into the cache: its two programs need nothing of the 200 MB the package asks for.
 * Alertmanager reads its templates at a fixed place, so it is installed; like all of Debian's servers not started.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { programPath } from '../../packages/holdfast/src/io/program-path.ts'
import type { DebianPackages, Installed } from './debian.ts'
import { cacheDirectory } from './npm-postgres.ts'
import { lastLines, run } from './run.ts'

export type Monitoring = 'prometheus' | 'prometheus-alertmanager'
type Program = Monitoring | 'promtool' | 'amtool'

const TOOLS: Readonly<Record<Monitoring, Program>> = { prometheus: 'promtool', 'prometheus-alertmanager': 'amtool' }

/** Our own copy first: it is of the version the tests were written with. */
export function monitoringProgram(name: Program): string | null {
  const own = join(cacheDirectory(), 'prometheus', 'usr', 'bin', name)
  if (existsSync(own)) return own
  return programPath(name) ?? (name === 'prometheus-alertmanager' ? programPath('alertmanager') : null)
}

/** The server and its tool; null when one of them is missing. */
export async function findMonitoring(name: Monitoring): Promise<{ path: string; version: string } | null> {
  const path = monitoringProgram(name)
  if (path === null || monitoringProgram(TOOLS[name]) === null) return null
  const answer = await run(path, ['--version'])
  const version = /version (\S+)/.exec(answer.output)?.[1]
  return version === undefined ? null : { path, version }
}

export async function installMonitoring(name: Monitoring, packages: DebianPackages): Promise<Installed> {
  return name === 'prometheus' ? takeOut(name, packages) : packages.install([name])
}

async function takeOut(name: string, packages: DebianPackages): Promise<Installed> {
  const home = join(cacheDirectory(), name)
  const partial = `${home}.partial-${process.pid}`
  try {
    await mkdir(partial, { recursive: true, mode: 0o755 })
    const download = () => run('apt-get', ['-q', 'download', name], { cwd: partial })
    let brought = await download()
    if (!brought.ok) {
      await packages.update()
      brought = await download()
    }
    if (!brought.ok) return { ok: false, because: `apt-get download ${name}: ${lastLines(brought.output)}` }
    const archive = (await readdir(partial)).find((entry) => entry.endsWith('.deb'))
    if (archive === undefined) return { ok: false, because: `apt-get download ${name} brought no package` }
    const unpacked = await run('dpkg-deb', ['-x', archive, '.'], { cwd: partial })
    if (!unpacked.ok) return { ok: false, because: `dpkg-deb -x ${archive}: ${lastLines(unpacked.output)}` }
    await rm(join(partial, archive))
    await rm(home, { recursive: true, force: true })
    await rename(partial, home)
    return { ok: true, note: `taken out of Debian's package ${archive}, not installed` }
  } catch (error) {
    return { ok: false, because: error instanceof Error ? error.message : String(error) }
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}
