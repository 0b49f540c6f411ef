/**
 * Everything that may ever be sent to a supervised group. The doors (`redis-door.ts`, `patroni/door.ts`) send nothing
 * that does not stand here, so that no mistake elsewhere can promote, demote or reconfigure a member: `REPLICAOF`,
 * `CLUSTER FAILOVER FORCE`, `pg_promote()` and their like have no words in this file.
 */

/** Read; any number of times, by anybody. Words beyond the first two are arguments. */
const REDIS_READS: readonly string[] = [
  'AUTH',
  'CLUSTER INFO',
  'CLUSTER NODES',
  'CONFIG GET min-replicas-to-write',
  'INFO replication',
  'INFO server',
  'SENTINEL CKQUORUM',
  'SENTINEL GET-MASTER-ADDR-BY-NAME',
  'SENTINEL MASTERS',
  'SENTINEL REPLICAS',
  'SENTINEL SENTINELS',
]

/** Asked for by an operator, never by a look. Each is whole: nothing may follow but what the pattern says. */
const REDIS_ASKS: readonly RegExp[] = [
  /^SENTINEL FAILOVER [^ ]+$/,
  // Sent to a replica, agreed with its primary: writers wait, nothing is lost. FORCE and TAKEOVER are not asked for.
  /^CLUSTER FAILOVER$/,
  // The writers' pause around a Sentinel's move.
  /^CLIENT PAUSE \d{1,5} WRITE$/,
  /^CLIENT UNPAUSE$/,
  /^CLIENT KILL TYPE normal$/,
  /^CONFIG SET min-replicas-to-write \d{1,5}$/,
  /^CONFIG REWRITE$/,
]

export function isRedisRead(words: readonly string[]): boolean {
  const text = words.join(' ')
  return REDIS_READS.some((read) => text === read || text.startsWith(`${read} `))
}

export function isRedisAsk(words: readonly string[]): boolean {
  const text = words.join(' ')
  return !/[\r\n]/.test(text) && REDIS_ASKS.some((ask) => ask.test(text))
}

const PATRONI_READS: ReadonlySet<string> = new Set(['/cluster', '/patroni', '/config'])
const PATRONI_ASKS: ReadonlySet<string> = new Set(['POST /switchover', 'POST /failover', 'PATCH /config'])

export function isPatroniRead(path: string): boolean {
  return PATRONI_READS.has(path)
}

export function isPatroniAsk(method: string, path: string): boolean {
  return PATRONI_ASKS.has(`${method} ${path}`)
}

/** Keys that a change of Patroni's configuration may have. */
export function isPatroniPatch(body: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(body).join() === 'pause' && (body.pause === true || body.pause === null)
}
