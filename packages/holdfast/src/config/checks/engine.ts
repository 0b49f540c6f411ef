/** What differs between engines: versions, the application's database, and what Redis cannot promise. */
import { type Draft, type Findings, managedGroups } from '../draft.ts'

const VERSIONS: Readonly<Record<string, readonly [number, number]>> = { postgres: [15, 18], redis: [7, 99] }

const LISTEN = "it is the member's `listen`"
const TLS = "it follows the group's `tls`"
const ACCESS = 'files and users of its own are written by the agent'
const LEASE = 'only the lease decides who leads and who follows'
const DATA = 'what is on the disk must be what was acknowledged'
const COUNT = 'it follows `replication`'

/** Name and reason; the adapter of the engine refuses the same names. */
export const REDIS_OWNED: Readonly<Record<string, string>> = {
  aclfile: ACCESS,
  appenddirname: DATA,
  appendfilename: DATA,
  appendonly: DATA,
  bind: LISTEN,
  'cluster-enabled': 'Redis Cluster has a manager of its own',
  daemonize: 'the agent keeps its engine',
  dbfilename: DATA,
  dir: "it is the member's `dataDir`",
  include: ACCESS,
  logfile: 'the agent keeps the log of its engine',
  masterauth: ACCESS,
  masteruser: ACCESS,
  'min-replicas-max-lag': COUNT,
  'min-replicas-to-write': COUNT,
  'no-appendfsync-on-rewrite': DATA,
  pidfile: ACCESS,
  port: LISTEN,
  'proc-title-template': 'members tell each other there where in history they are',
  'protected-mode': ACCESS,
  'rename-command': 'the agent needs the commands by their names',
  'repl-backlog-ttl': 'a member that was away must be able to go on',
  'replica-announce-ip': LISTEN,
  'replica-announce-port': LISTEN,
  'replica-read-only': LEASE,
  replicaof: LEASE,
  requirepass: ACCESS,
  save: DATA,
  'tls-ca-cert-file': TLS,
  'tls-cert-file': TLS,
  'tls-key-file': TLS,
  'tls-port': TLS,
  'tls-replication': TLS,
  unixsocket: 'sockets are placed by the agent',
  user: ACCESS,
}

export function checkEngine(root: Draft, findings: Findings): void {
  for (const group of managedGroups(root)) {
    const engine = group.text('engine')
    if (engine !== 'postgres' && engine !== 'redis') continue
    const [low, high] = VERSIONS[engine] ?? [0, 99]
    const version = group.number('version')
    if (version !== null && (version < low || version > high)) {
      const right = engine === 'redis' ? '7 or newer' : `a whole number from ${low} to ${high}`
      findings.mistakes.push(group.wrong('version', `${engine} ${version} is not managed`, right))
    }
    if (engine === 'redis') checkRedis(group, findings)
    else if (group.get('application').present && !group.get('application').get('database').present) {
      const path = group.get('application').get('database').path
      findings.mistakes.push({ path, at: 'key', what: '`database` is missing', right: 'the name of its database' })
    }
  }
}

function checkRedis(group: Draft, findings: Findings): void {
  const application = group.get('application')
  if (application.get('database').present) {
    const what = 'a Redis group has no databases with names'
    findings.mistakes.push({ path: application.get('database').path, at: 'key', what, right: 'remove it' })
  }
  const user = application.text('user')
  if (user !== null && (user === 'default' || user.startsWith('holdfast'))) {
    const what = `the user \`${user}\` is not for an application: it belongs to the engine or to Holdfast`
    findings.mistakes.push(application.wrong('user', what, 'a user of the application'))
  }
  if (group.text('failover') === 'observe') {
    const what = 'a Redis group cannot be only observed'
    findings.mistakes.push(group.wrong('failover', what, '`automatic` or `manual`'))
  }
  parameters(group.get('parameters'), findings)
  const replication = group.get('replication')
  const need = replication.value === 'sync' ? 1 : (replication.number('quorum') ?? 0)
  if (need === 0) return
  const left = group.list('members').find((member) => member.get('noFailover').value === true)
  if (left !== undefined) {
    const what = 'where replicas confirm, Redis counts every replica, so each must be able to take over'
    findings.mistakes.push(left.wrong('noFailover', what, 'remove it, or `replication: { async: .. }`'))
  }
  const what = `Redis answers before a replica has the write: only what a client waited for (WAIT ${need}) is safe`
  const right = `applications that send WAIT ${need} after what must not be lost; the rest is as with async`
  findings.warnings.push(group.wrong('replication', what, right))
}

function parameters(block: Draft, findings: Findings): void {
  for (const key of block.keys()) {
    const why = Object.hasOwn(REDIS_OWNED, key) ? REDIS_OWNED[key] : undefined
    if (why === undefined) continue
    const what = `\`${key}\` is set by Holdfast: ${why}`
    findings.mistakes.push({ path: [...block.path, key], at: 'key', what, right: 'remove it' })
  }
  const fsync = block.get('appendfsync').value
  if (fsync !== undefined && fsync !== 'everysec' && fsync !== 'always') {
    const what = 'a log that is not written to the disk is none'
    findings.mistakes.push(block.wrong('appendfsync', what, '`everysec` or `always`'))
  }
}
