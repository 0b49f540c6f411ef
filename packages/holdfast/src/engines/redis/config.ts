/**
 * The settings and users Holdfast owns. Each start writes `redis.conf` and `users.acl` anew, outside the data
 * directory; nothing is ever taken over from what a server wrote by itself. Passwords stand there as hashes, except
 * the one a replica shows its primary, which Redis wants in clear (files of the engine's account, mode 600).
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MemberName, SyncSet } from '../../core/model.ts'
import { type Home, type LogLine, writeOwned } from './home.ts'
import type { RedisOptions } from './options.ts'

export const OPERATOR = 'holdfast'
export const PEER = 'holdfast-peer'
export const KNOCK = 'holdfast:knock:'
/** A replica of this address has no source: port 0 takes no connection. */
export const NOWHERE = { host: '127.0.0.1', port: 0 } as const
/** More replicas than can be: every write is refused with NOREPLICAS. */
export const CLOSED = 1_000_000
/** A primary counts a replica as there while it heard of it within this time. */
const LAG_SECONDS = 3

/** Set by us and by nobody else; naming one in `parameters` is a mistake of the description. */
export const OWNED: ReadonlySet<string> = new Set([
  ...['port', 'bind', 'unixsocket', 'unixsocketperm', 'dir', 'daemonize', 'supervised', 'pidfile', 'logfile'],
  ...['include', 'aclfile', 'user', 'requirepass', 'masterauth', 'masteruser', 'primaryauth', 'primaryuser'],
  ...['replicaof', 'slaveof', 'replica-read-only', 'slave-read-only', 'min-replicas-to-write', 'min-slaves-to-write'],
  ...['min-replicas-max-lag', 'min-slaves-max-lag', 'repl-backlog-ttl', 'appendonly', 'appenddirname', 'save'],
  ...['appendfilename', 'dbfilename', 'proc-title-template', 'set-proc-title', 'cluster-enabled', 'tls-port'],
  ...['tls-cert-file', 'tls-key-file', 'tls-ca-cert-file', 'tls-replication', 'tls-auth-clients', 'protected-mode'],
  ...['replica-announce-ip', 'replica-announce-port', 'slave-announce-ip', 'slave-announce-port', 'rename-command'],
  ...['enable-debug-command', 'enable-protected-configs', 'replica-serve-stale-data', 'stop-writes-on-bgsave-error'],
  ...['repl-diskless-load', 'rdb-del-sync-files', 'aof-use-rdb-preamble', 'no-appendfsync-on-rewrite'],
])

/** Ours unless the description says otherwise. */
const DEFAULTS: Readonly<Record<string, string | number | boolean>> = {
  'aof-timestamp-enabled': true,
  // Enough that a member that was away for a moment needs no copy.
  'repl-backlog-size': '64mb',
  'repl-diskless-sync': true,
  'repl-diskless-sync-delay': 0,
  'repl-timeout': 10,
  'tcp-keepalive': 5,
  maxclients: 10_000,
}

/** The first mistake in the user's parameters, or null. */
export function parameterMistake(parameters: RedisOptions['parameters']): string | null {
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(name)) return `"${name}" is no name of a Redis setting`
    if (OWNED.has(name)) return `parameter "${name}" is set by Holdfast; remove it from the description`
    if (name === 'appendfsync' && value !== 'everysec' && value !== 'always') {
      return 'parameter "appendfsync" may be "everysec" or "always"'
    }
    if (/[\r\n\0]/.test(String(value))) return `the value of parameter "${name}" has a line break`
  }
  return null
}

/** What the server shows of itself (`proc-title-template`), for `ps`, for other members and for a restarted agent. */
export interface Title {
  readonly systemId: string
  readonly line: LogLine
  readonly sync: SyncSet
}

export function titleText(title: Title): string {
  const { systemId, line, sync } = title
  const names = sync.members.map(encodeURIComponent).join(',')
  const said = `system=${systemId} timeline=${line.timeline} base=${line.base} need=${sync.need} of=${names}`
  return `redis-server {listen-addr} holdfast ${said} end`
}

export function parseTitle(text: string): Title | null {
  const m = / holdfast system=(\S*) timeline=(\d+) base=(\d+) need=(\d+) of=(\S*) end$/.exec(text)
  if (m === null) return null
  const members = (m[5] ?? '').split(',').filter((n) => n !== '')
  return {
    systemId: m[1] ?? '',
    line: { timeline: Number(m[2]), base: Number(m[3]) },
    sync: { members: members.map(decodeURIComponent), need: Number(m[4]) },
  }
}

/** Behind the gate: nobody is listed who could confirm, and somebody must. */
export function isClosed(sync: SyncSet): boolean {
  return sync.members.length === 0 && sync.need > 0
}

/** `min-replicas-to-write` for a rule. More than clients wait for cannot be proved by them: closed. */
export function leastReplicas(sync: SyncSet, o: RedisOptions): number {
  if (sync.need <= 0) return 0
  return sync.members.length === 0 || sync.need > o.confirmations ? CLOSED : sync.need
}

/**
 * Who may be connected as a replica: while somebody must confirm, only those who count. While nobody is listed nothing
 * is accepted that could be confirmed, so all may come and be there when the group opens.
 */
export function mayReplicate({ members, need }: SyncSet, member: MemberName): boolean {
  return need <= 0 || members.length === 0 || members.includes(member)
}

/** Where replicas confirm, the disk confirms as well; the description may say otherwise (SPEC.md, "After a crash"). */
export function fsyncOf(o: Pick<RedisOptions, 'parameters' | 'confirmations'>): 'always' | 'everysec' {
  const said = o.parameters?.appendfsync
  if (said === 'always' || said === 'everysec') return said
  return o.confirmations > 0 ? 'always' : 'everysec'
}

export function memberUser(member: MemberName): string {
  return `holdfast-member-${member}`
}

export interface StartSettings {
  readonly role: 'primary' | 'replica'
  /** `log`: from the append-only files. `snapshot`: from the snapshot, which knows where in history it is. */
  readonly load: 'log' | 'snapshot'
  readonly title: Title
}

export async function writeConfig(start: StartSettings, home: Home, o: RedisOptions): Promise<void> {
  if (o.tls !== undefined) {
    await writeOwned(home, join(home.runDir, 'server.crt'), await pem(o.tls.cert))
    await writeOwned(home, join(home.runDir, 'server.key'), await pem(o.tls.key))
    if (o.tls.ca !== undefined) await writeOwned(home, join(home.runDir, 'ca.crt'), await pem(o.tls.ca))
  }
  await writeOwned(home, home.usersFile, renderUsers(start, o))
  await writeOwned(home, home.confFile, renderConfig(start, home, o))
}

export function renderConfig(start: StartSettings, home: Home, o: RedisOptions): string {
  const settings: Record<string, string | number | boolean> = {
    ...DEFAULTS,
    ...o.parameters,
    ...listening(home, o),
    appendfsync: fsyncOf(o),
    bind: o.host,
    unixsocket: home.socket,
    unixsocketperm: '700',
    dir: home.dataDir,
    daemonize: false,
    pidfile: home.pidFile,
    logfile: '',
    aclfile: home.usersFile,
    masteruser: memberUser(o.member),
    masterauth: o.secrets.replication,
    'protected-mode': true,
    appendonly: start.load === 'log',
    appenddirname: 'appendonlydir',
    dbfilename: 'dump.rdb',
    // The log is the durable copy; a snapshot is made when we ask for one.
    save: '',
    'stop-writes-on-bgsave-error': false,
    'no-appendfsync-on-rewrite': false,
    'replica-read-only': true,
    'replica-serve-stale-data': true,
    // By its name: a primary may see its address as another one than it sees itself.
    'replica-announce-ip': memberUser(o.member),
    'repl-backlog-ttl': 0,
    'min-replicas-to-write': leastReplicas(start.title.sync, o),
    'min-replicas-max-lag': LAG_SECONDS,
    'proc-title-template': titleText(start.title),
  }
  const lines = Object.entries(settings).map(([k, v]) => `${k} ${quoted(v)}`)
  if (start.role === 'replica') lines.push(`replicaof ${NOWHERE.host} ${NOWHERE.port}`)
  return `# Written by Holdfast at each start; edits are lost.\n${lines.join('\n')}\n`
}

function listening(home: Home, o: RedisOptions): Record<string, string | number | boolean> {
  if (o.tls === undefined) return { port: o.port }
  const ca = o.tls.ca === undefined ? {} : { 'tls-ca-cert-file': join(home.runDir, 'ca.crt') }
  return {
    port: 0,
    'tls-port': o.port,
    'tls-cert-file': join(home.runDir, 'server.crt'),
    'tls-key-file': join(home.runDir, 'server.key'),
    'tls-replication': true,
    'tls-auth-clients': false,
    ...ca,
  }
}

/**
 * The default user is off and has no password, so nobody can be it; but it may do everything, because a server that
 * loads its log does so in its name: of what it may not do, whole transactions would be left out without a word.
 */
export function renderUsers(start: StartSettings, o: RedisOptions): string {
  const application = o.application?.user ?? 'app'
  const others = o.members.filter((m) => m.member !== o.member)
  return [
    'user default reset off ~* &* +@all',
    `user ${OPERATOR} reset on ${hashed(o.secrets.superuser)} ~* &* +@all`,
    `user ${PEER} reset on ${hashed(o.secrets.replication)} &${KNOCK}* +ping +info +config|get +subscribe ` +
      '+psync +replconf',
    ...others.map(({ member }) => {
      const state = start.role === 'primary' && mayReplicate(start.title.sync, member) ? 'on' : 'off'
      return `user ${memberUser(member)} reset ${state} ${hashed(o.secrets.replication)} +ping +psync +replconf`
    }),
    `user ${application} reset on ${hashed(o.secrets.application)} ~* &* ${APPLICATION_RULES}`,
    '',
  ].join('\n')
}

/** Everything that works with data; nothing that works with the server. */
const APPLICATION_RULES = '+@all -@admin -@dangerous +info +keys +sort +sort_ro +flushdb'

function hashed(password: string): string {
  return `#${createHash('sha256').update(password).digest('hex')}`
}

/** PEM text as it is, or from the file of that name. */
export async function pem(source: string): Promise<string> {
  return source.includes('-----BEGIN') ? source : readFile(source, 'utf8')
}

function quoted(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number') return String(value)
  if (/^[A-Za-z0-9_./:-]+$/.test(value)) return value
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
