/**
 * Installs servers from Debian's packages. Nothing is started and no cluster is made: a policy file forbids starts
 * while the packages unpack, and postgresql-common is told not to make a cluster; both are put back afterwards.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { programPath } from '../../packages/holdfast/src/io/program-path.ts'
import { lastLines, run } from './run.ts'

const POLICY_PATH = '/usr/sbin/policy-rc.d'
/** 101 = "action forbidden by policy". */
const POLICY_TEXT = '#!/bin/sh\nexit 101\n'
const CLUSTER_SETTINGS_PATH = '/etc/postgresql-common/createcluster.conf'
const APT_INSTALL = ['-o', 'DPkg::Lock::Timeout=600', '-y', '--no-install-recommends', 'install']
const APT_ENV = { DEBIAN_FRONTEND: 'noninteractive' }

export type Installed = { readonly ok: true; readonly note: string } | { readonly ok: false; readonly because: string }

/** Why packages cannot be installed here, or null when they can. */
export function whyNoPackages(): string | null {
  if (programPath('apt-get') === null) return 'there is no apt-get here'
  if (process.getuid?.() !== 0) return 'only root may install packages'
  return null
}

export class DebianPackages {
  #updated = false

  async installEtcd(): Promise<Installed> {
    return this.install(['etcd-server'])
  }

  async installFaketime(): Promise<Installed> {
    return this.install(['libfaketime'])
  }

  /** The newest of the supported majors that the distribution has. */
  async installPostgres(majors: readonly number[]): Promise<Installed> {
    await this.update()
    const known = await run('apt-cache', ['pkgnames', 'postgresql-'])
    const names = new Set(known.output.split('\n'))
    const major = majors.toReversed().find((one) => names.has(`postgresql-${one}`))
    if (major === undefined) return { ok: false, because: `apt has none of postgresql-${majors.join(', -')}` }
    const first = await this.install(['postgresql-common'])
    if (!first.ok) return first
    return withoutCluster(() => this.install([`postgresql-${major}`]))
  }

  async install(names: readonly string[]): Promise<Installed> {
    await this.update()
    const answer = await withoutStarts(() => run('apt-get', [...APT_INSTALL, ...names], { env: APT_ENV }))
    if (!answer.ok) return { ok: false, because: `apt-get install ${names.join(' ')}: ${lastLines(answer.output)}` }
    return { ok: true, note: `installed by apt-get (${names.join(' ')}), not started` }
  }

  /** The lists of packages, once a run. */
  async update(): Promise<void> {
    if (this.#updated) return
    this.#updated = true
    // A failed update is no end: the lists that are there may do, and the installation says what it lacks.
    await run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', 'update'], { env: APT_ENV })
  }
}

async function withoutStarts<T>(work: () => Promise<T>): Promise<T> {
  const ours = !existsSync(POLICY_PATH)
  if (ours) writeFileSync(POLICY_PATH, POLICY_TEXT, { mode: 0o755 })
  try {
    return await work()
  } finally {
    if (ours) rmSync(POLICY_PATH, { force: true })
  }
}

async function withoutCluster<T>(work: () => Promise<T>): Promise<T> {
  const before = existsSync(CLUSTER_SETTINGS_PATH) ? readFileSync(CLUSTER_SETTINGS_PATH, 'utf8') : null
  if (before !== null) writeFileSync(CLUSTER_SETTINGS_PATH, `${before}\ncreate_main_cluster = false\n`)
  try {
    return await work()
  } finally {
    if (before !== null) writeFileSync(CLUSTER_SETTINGS_PATH, before)
  }
}
