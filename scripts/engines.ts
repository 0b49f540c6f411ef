/**
 * Finds, or installs, what engine tests start: etcd, a PostgreSQL with pg_rewind, PostgreSQL 15 to 18, Redis, Valkey,
 * libfaketime, HAProxy, Sentinel, Patroni, Prometheus, Alertmanager, Chromium. Says what it found, what it did and what
 * stays untested. `--list` only looks; `--output json` for machines; `--rivals` is about what measurements run beside
 * Holdfast, and nothing else. Exit code 1 when something is missing and CI is set; without CI those tests are skipped
 * with a reason.
 */
import { parseArgs } from 'node:util'
import { inCi } from './ci.ts'
import { DebianPackages, type Installed, whyNoPackages } from './engines/debian.ts'
import { installMonitoring } from './engines/monitoring.ts'
import { installNpmPostgres } from './engines/npm-postgres.ts'
import { findPatroni, findRivals, installRival, PATRONI } from './engines/rivals.ts'
import { installValkey } from './engines/valkey.ts'
import {
  CHROMIUM,
  type EngineRow,
  ETCD,
  FAKETIME,
  findAll,
  HAPROXY,
  MAJORS,
  MONITORING,
  postgresName,
  REDIS_SERVER,
  REWIND,
  SENTINEL,
  VALKEY,
} from './engines/wanted.ts'

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { list: { type: 'boolean' }, rivals: { type: 'boolean' }, output: { type: 'string' } },
  })
  const [look, bring] = values.rivals === true ? [findRivals, installRivals] : [findTested, install]
  const before = await look()
  const missing = before.filter((row) => !row.found).map((row) => row.engine)
  const rows = values.list === true || missing.length === 0 ? before : await bring(missing)
  console.log(values.output === 'json' ? JSON.stringify(rows, null, 2) : tableOf(rows))
  const absent = rows.filter((row) => !row.found)
  if (absent.length === 0) return 0
  for (const row of absent)
    console.error(`engines: ${row.engine} is missing (${row.note}); not tested: ${row.neededFor}`)
  if (inCi()) console.error('engines: CI is set, so a missing engine is a failure')
  return inCi() ? 1 : 0
}

async function findTested(): Promise<readonly EngineRow[]> {
  return [...(await findAll()), await findPatroni('supervised groups, and the comparison with patroni')]
}

/** Installs what is missing, one after the other, and looks again. */
async function install(missing: readonly string[]): Promise<readonly EngineRow[]> {
  const results = new Map<string, Installed>()
  const obstacle = whyNoPackages()
  const packages = new DebianPackages()
  const byPackage: Readonly<Record<string, () => Promise<Installed>>> = {
    [ETCD]: () => packages.installEtcd(),
    [REWIND]: () => packages.installPostgres(MAJORS),
    [FAKETIME]: () => packages.installFaketime(),
    [REDIS_SERVER]: () => packages.install(['redis-server']),
    [VALKEY]: () => installValkey(packages),
    [SENTINEL]: () => packages.install(['redis-sentinel']),
    [HAPROXY]: () => packages.install(['haproxy']),
    [PATRONI]: () => installRival(PATRONI, packages),
    ...Object.fromEntries(MONITORING.map((name) => [name, () => installMonitoring(name, packages)])),
    [CHROMIUM]: () => packages.install(['chromium', 'fonts-dejavu-core']),
  }
  for (const [engine, bring] of Object.entries(byPackage).filter(([one]) => missing.includes(one))) {
    console.error(`engines: ${engine} is missing, installing it`)
    results.set(engine, obstacle === null || engine === PATRONI ? await bring() : { ok: false, because: obstacle })
  }
  const between = await findAll()
  for (const major of MAJORS) {
    const name = postgresName(major)
    if (between.some((row) => row.engine === name && row.found)) continue
    console.error(`engines: ${name} is missing, fetching it from npm`)
    results.set(name, await installNpmPostgres(major))
  }
  return (await findTested()).map((row) => ({ ...row, note: noteOf(row, results.get(row.engine)) }))
}

async function installRivals(missing: readonly string[]): Promise<readonly EngineRow[]> {
  const results = new Map<string, Installed>()
  const packages = new DebianPackages()
  for (const engine of missing) {
    console.error(`engines: ${engine} is missing, installing it`)
    results.set(engine, await installRival(engine, packages))
  }
  return (await findRivals()).map((row) => ({ ...row, note: noteOf(row, results.get(row.engine)) }))
}

function noteOf(row: EngineRow, result: Installed | undefined): string {
  if (result === undefined) return row.note
  if (!result.ok) return result.because
  return row.found ? result.note : 'installed, but it does not run'
}

function tableOf(rows: readonly EngineRow[]): string {
  const cells = rows.map((row) => [row.engine, row.version ?? '-', row.path ?? '-', row.note])
  const all = [['ENGINE', 'VERSION', 'PATH', 'NOTE'], ...cells]
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((line) => line[column]?.length ?? 0)))
  return all.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

process.exitCode = await main()
