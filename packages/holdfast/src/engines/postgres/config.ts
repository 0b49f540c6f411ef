/**
 * The settings Holdfast owns. Each start and each change writes `holdfast.conf` and `pg_hba.conf` anew, and takes the
 * owned names out of `postgresql.auto.conf`, so that neither a clone nor ALTER SYSTEM can override them. Passwords
 * stand in a password file outside the data directory, never in a connection string.
 */
import { X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { SyncSet } from '../../core/model.ts'
import { readPlain } from '../../io/files.ts'
import type { EngineEndpoint } from '../contract.ts'
import { type Home, writeOwned } from './home.ts'
import type { PostgresOptions } from './options.ts'

export const SUPERUSER = 'holdfast'
export const REPLICATION_USER = 'holdfast_replication'
/** A standby name nobody has: while it alone is asked for, every acknowledgement waits. */
export const GATE_NAME = 'holdfast-gate'

/** The file that initdb writes is 30 kB, most of it comments. */
const SETTINGS_BYTES_MAX = 2 ** 20

/** What changes while the server runs. */
export interface LiveSettings {
  readonly upstream: EngineEndpoint | null
  /** The literal value of synchronous_standby_names. */
  readonly syncNames: string
}

/** Set by us and by nobody else; naming one in `parameters` is a mistake of the description. */
const OWNED = new Set([
  ...['port', 'listen_addresses', 'unix_socket_directories', 'wal_log_hints', 'hot_standby'],
  ...['hot_standby_feedback', 'recovery_init_sync_method', 'wal_retrieve_retry_interval', 'primary_conninfo'],
  ...['primary_slot_name', 'synchronous_standby_names', 'synchronous_commit', 'fsync', 'full_page_writes'],
  ...['data_directory', 'hba_file', 'ident_file', 'config_file', 'external_pid_file', 'recovery_target_timeline'],
  ...['ssl', 'ssl_cert_file', 'ssl_key_file', 'ssl_ca_file', 'password_encryption', 'restart_after_crash'],
  ...['wal_receiver_status_interval', 'wal_receiver_timeout', 'wal_sender_timeout', 'logging_collector'],
  ...['include', 'include_dir', 'include_if_exists', 'promote_trigger_file', 'recovery_target', 'restore_command'],
])

/** Ours unless the description says otherwise. */
const DEFAULTS: Readonly<Record<string, string | number | boolean>> = {
  wal_level: 'replica',
  max_connections: 200,
  max_wal_senders: 16,
  max_replication_slots: 16,
  shared_buffers: '128MB',
  // Enough that a member that was away for a moment needs no copy, bounded so that a dead one cannot fill the disk.
  wal_keep_size: '512MB',
  max_slot_wal_keep_size: '4GB',
  max_wal_size: '1GB',
  // A dead client's or standby's connection is noticed in seconds, not after the kernel's two hours.
  tcp_keepalives_idle: 5,
  tcp_keepalives_interval: 2,
  tcp_keepalives_count: 3,
  log_line_prefix: '%m [%p] ',
}

/**
 * Connections that the application leaves to the superuser and to members that compare or rewind their log. Commits
 * that wait for a lost standby keep theirs although their clients are gone; if they filled the server, no member could
 * come back to confirm them.
 */
const CONNECTIONS_LEFT = 10

export function applicationConnections(o: PostgresOptions): number {
  const all = Number({ ...DEFAULTS, ...o.parameters }.max_connections)
  return Number.isInteger(all) ? Math.max(1, all - CONNECTIONS_LEFT) : -1
}

/** The first mistake in the user's parameters, or null. */
export function parameterMistake(parameters: PostgresOptions['parameters']): string | null {
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (!/^[a-z_][a-z0-9_.]{0,62}$/i.test(name)) return `"${name}" is no name of a PostgreSQL parameter`
    if (OWNED.has(name.toLowerCase())) return `parameter "${name}" is set by Holdfast; remove it from the description`
    if (name.toLowerCase() === 'wal_level' && value !== 'replica' && value !== 'logical') {
      return 'parameter "wal_level" may be "replica" or "logical"'
    }
    if (/[\r\n\0]/.test(String(value))) return `the value of parameter "${name}" has a line break`
  }
  return null
}

/** `''`: nobody confirms. With nobody named and somebody needed, everything waits. */
export function syncNamesOf(sync: SyncSet, method: 'ANY' | 'FIRST' = 'ANY'): string {
  if (sync.need <= 0) return ''
  if (sync.members.length === 0) return `ANY ${sync.need} ("${GATE_NAME}")`
  const quoted = sync.members.map((m) => `"${m.replaceAll('"', '""')}"`)
  // In the strict form the gate stands first, so that nobody's priority is 1, which is what ANY shows.
  if (method === 'FIRST') quoted.unshift(`"${GATE_NAME}"`)
  return `${method} ${sync.need} (${quoted.join(', ')})`
}

/** A replica's setting: inert until it is promoted, and then nothing is acknowledged before somebody says so. */
export const CLOSED_NAMES = syncNamesOf({ members: [], need: 1 })

/** Back from the server's setting; null when it is not one of ours. */
export function parseSyncNames(value: string): SyncSet | null {
  if (value.trim() === '') return { members: [], need: 0 }
  const m = /^\s*(?:ANY|FIRST)\s+(\d+)\s*\((.*)\)\s*$/s.exec(value)
  if (m === null) return null
  const members = [...(m[2] ?? '').matchAll(/"((?:[^"]|"")*)"/g)].map((x) => (x[1] ?? '').replaceAll('""', '"'))
  return { members: members.filter((n) => n !== GATE_NAME), need: Number(m[1]) }
}

/** Slot names allow less than member names; a member whose name was changed by that gets a mark of its own. */
export function slotOf(member: string): string {
  const plain = member.toLowerCase().replace(/[^a-z0-9_]/g, '_')
  const mark = plain === member ? '' : `_${fingerprint(member)}`
  return `holdfast_${plain.slice(0, 40)}${mark}`
}

function fingerprint(s: string): string {
  let h = 2166136261
  for (const c of Buffer.from(s)) h = Math.imul(h ^ c, 16777619) >>> 0
  return h.toString(16).padStart(8, '0')
}

export function conninfo(upstream: EngineEndpoint, home: Home, o: PostgresOptions): string {
  const parts: Record<string, string> = {
    host: upstream.host,
    port: String(upstream.port),
    user: REPLICATION_USER,
    passfile: home.passFile,
    application_name: o.member,
    connect_timeout: '2',
    keepalives_idle: '2',
    keepalives_interval: '1',
    keepalives_count: '3',
    tcp_user_timeout: '5000',
    sslmode: o.tls === undefined ? 'disable' : o.tls.ca === undefined ? 'require' : 'verify-full',
    // The upstream's proof that it knows our password counts for this very connection.
    channel_binding: o.tls === undefined ? 'prefer' : 'require',
  }
  if (o.tls?.ca !== undefined) parts.sslrootcert = join(home.runDir, 'ca.crt')
  return Object.entries(parts)
    .map(([k, v]) => `${k}='${v.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ')
}

/** The member a connection string leads to. */
export function upstreamOf(value: string, members: readonly EngineEndpoint[]): EngineEndpoint | null {
  const host = /(?:^|\s)host='((?:[^'\\]|\\.)*)'/.exec(value)?.[1]
  const port = /(?:^|\s)port='(\d+)'/.exec(value)?.[1]
  return members.find((m) => m.host === host && String(m.port) === port) ?? null
}

export function renderConfig(live: LiveSettings, home: Home, o: PostgresOptions): string {
  const settings: Record<string, string | number | boolean> = {
    ...DEFAULTS,
    ...o.parameters,
    port: o.port,
    listen_addresses: o.host,
    unix_socket_directories: home.socketDir,
    password_encryption: 'scram-sha-256',
    wal_log_hints: true,
    hot_standby: true,
    hot_standby_feedback: false,
    recovery_init_sync_method: process.platform === 'linux' ? 'syncfs' : 'fsync',
    // R32: with the default of 5 s a promotion sent near the primary's death now and then waits that long.
    wal_retrieve_retry_interval: '100ms',
    recovery_target_timeline: 'latest',
    wal_receiver_status_interval: '1s',
    wal_receiver_timeout: '3s',
    // Also what a clean stop waits at most for a standby that went away.
    wal_sender_timeout: '3s',
    synchronous_commit: 'on',
    synchronous_standby_names: live.syncNames,
    primary_conninfo: live.upstream === null ? '' : conninfo(live.upstream, home, o),
    primary_slot_name: live.upstream === null ? '' : slotOf(o.member),
    // After a crash of one process the whole server is given up or restarted by decision (R6), never by itself.
    restart_after_crash: false,
    logging_collector: false,
    ...tlsSettings(home, o),
  }
  const lines = Object.entries(settings).map(([k, v]) => `${k} = ${literal(v)}`)
  return `# Written by Holdfast at each start and change; edits are lost.\n${lines.join('\n')}\n`
}

function tlsSettings(home: Home, o: PostgresOptions): Record<string, string | boolean> {
  if (o.tls === undefined) return { ssl: false }
  const ca = o.tls.ca === undefined ? {} : { ssl_ca_file: join(home.runDir, 'ca.crt') }
  const cert = { ssl_cert_file: join(home.runDir, 'server.crt'), ssl_key_file: join(home.runDir, 'server.key') }
  return { ssl: true, ...cert, ...ca }
}

export function renderHba(o: PostgresOptions): string {
  const host = o.tls === undefined ? 'host' : 'hostssl'
  return [
    '# Written by Holdfast at each start and change; edits are lost.',
    `local all ${SUPERUSER} scram-sha-256`,
    `host all ${SUPERUSER} all reject`,
    `${host} replication ${REPLICATION_USER} all scram-sha-256`,
    `${host} postgres ${REPLICATION_USER} all scram-sha-256`,
    `host all ${REPLICATION_USER} all reject`,
    'local all all scram-sha-256',
    `${host} all all all scram-sha-256`,
    '',
  ].join('\n')
}

/** Everything a start needs. `syncNames` and `upstream` take effect with the start or the next reload. */
export async function writeConfig(live: LiveSettings, home: Home, o: PostgresOptions): Promise<void> {
  await writePassFile(live.upstream !== null, home, o)
  await writeTls(home, o)
  await writeOwned(home, join(home.dataDir, 'pg_hba.conf'), renderHba(o))
  await writeLive(live, home, o)
  await includeOurs(home)
}

/** Only what changes while running: the fast path of a promotion. */
export async function writeLive(live: LiveSettings, home: Home, o: PostgresOptions): Promise<void> {
  await writeOwned(home, join(home.dataDir, 'holdfast.conf'), renderConfig(live, home, o))
  await disarmAutoConf(home)
}

/** Without the file no receiver can open a new connection, whatever setting it still holds (R13). */
export async function writePassFile(present: boolean, home: Home, o: PostgresOptions): Promise<void> {
  if (!present) return rm(home.passFile, { force: true })
  const password = o.secrets.replication.replaceAll('\\', '\\\\').replaceAll(':', '\\:')
  await writeOwned(home, home.passFile, `*:*:*:${REPLICATION_USER}:${password}\n`)
}

async function writeTls(home: Home, o: PostgresOptions): Promise<void> {
  if (o.tls === undefined) return
  await writeOwned(home, join(home.runDir, 'server.crt'), await pem(o.tls.cert))
  await writeOwned(home, join(home.runDir, 'server.key'), await pem(o.tls.key))
  if (o.tls.ca !== undefined) await writeOwned(home, join(home.runDir, 'ca.crt'), await pem(o.tls.ca))
}

/** PEM text as it is, or from the file of that name. */
export async function pem(source: string): Promise<string> {
  return source.includes('-----BEGIN') ? source : readFile(source, 'utf8')
}

/** The other members look for our address in our certificate: without it none of them could follow us. */
export async function unnamedByCertificate(o: PostgresOptions): Promise<string | null> {
  if (o.tls?.ca === undefined) return null
  const kind = isIP(o.host) === 0 ? 'DNS' : 'IP'
  try {
    const certificate = new X509Certificate(await pem(o.tls.cert))
    const named = kind === 'IP' ? certificate.checkIP(o.host) : certificate.checkHost(o.host)
    if (named !== undefined) return null
  } catch (error) {
    return `the certificate of member ${o.member} cannot be read: ${error instanceof Error ? error.message : error}`
  }
  const next = `make one with subjectAltName=${kind}:${o.host}`
  return `the certificate of member ${o.member} does not name its address ${o.host}; ${next}`
}

async function includeOurs(home: Home): Promise<void> {
  const path = join(home.dataDir, 'postgresql.conf')
  const now = await settingsIn(path)
  const line = "include 'holdfast.conf'"
  if (now.trimEnd().endsWith(line)) return
  const rest = now.split('\n').filter((l) => l.trim() !== line)
  await writeOwned(home, path, `${rest.join('\n').trimEnd()}\n${line}\n`)
}

/** `postgresql.auto.conf` is read last: an owned name in it would win over ours. */
async function disarmAutoConf(home: Home): Promise<void> {
  const path = join(home.dataDir, 'postgresql.auto.conf')
  const now = await settingsIn(path)
  const kept = now.split('\n').filter((l) => !OWNED.has((/^\s*([\w.]+)/.exec(l)?.[1] ?? '').toLowerCase()))
  if (kept.length !== now.split('\n').length) await writeOwned(home, path, kept.join('\n'))
}

/** The server's account can put anything there, and what we write anew it can read: no other file's content. */
async function settingsIn(path: string): Promise<string> {
  return (await readPlain(path, SETTINGS_BYTES_MAX))?.toString('utf8') ?? ''
}

function literal(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (typeof value === 'number') return String(value)
  // PostgreSQL reads backslash escapes inside quoted values of its configuration files.
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

/** An address in a form that goes into a URL or a message. */
export function shown(at: EngineEndpoint): string {
  return isIP(at.host) === 6 ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`
}
