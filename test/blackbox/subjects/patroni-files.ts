/**
 * What Patroni, etcd and HAProxy are told: their settings as files and arguments. The two profiles are
 * Patroni's defaults and the tightest settings it accepts. Settings of PostgreSQL that have no part in failover are
 * those Holdfast gives its engines, so that both run the same server. Starts nothing.
 */
import type { Address, ReplicationMode } from '../contract.ts'

export type PatroniProfile = 'default' | 'tight'

interface ProfileFigures {
  readonly ttlSeconds: number
  readonly loopSeconds: number
  readonly retrySeconds: number
  readonly checkEveryMs: number
  readonly checkMs: number
  readonly connectMs: number
  readonly connectRetries: number
}

/** `default`: Patroni's own, behind quicker health checks than its manual's. `tight`: the least that Patroni takes. */
export const PROFILES: Readonly<Record<PatroniProfile, ProfileFigures>> = {
  default: {
    ...{ ttlSeconds: 30, loopSeconds: 10, retrySeconds: 10 },
    ...{ checkEveryMs: 1_000, checkMs: 5_000, connectMs: 4_000, connectRetries: 2 },
  },
  tight: {
    ...{ ttlSeconds: 20, loopSeconds: 1, retrySeconds: 3 },
    ...{ checkEveryMs: 200, checkMs: 1_000, connectMs: 500, connectRetries: 0 },
  },
}

/** A replica further behind than this is not promoted; Patroni's own default. */
export const LAG_BYTES_MAX = 1_048_576
const SCOPE = 'orders'
const HBA = [
  'local all all scram-sha-256',
  'host all all 0.0.0.0/0 scram-sha-256',
  'host replication replicator 0.0.0.0/0 scram-sha-256',
]

export interface Secrets {
  readonly superuser: string
  readonly replication: string
  readonly rewind: string
}

export interface MemberWords {
  readonly member: string
  readonly sql: Address
  readonly rest: Address
  readonly etcd: Address
  readonly folder: string
  readonly dataDir: string
  readonly binDir: string
  readonly profile: PatroniProfile
  readonly mode: ReplicationMode
  readonly secrets: Secrets
}

/** Patroni reads YAML, of which JSON is a part. */
export function patroniText(words: MemberWords): string {
  const { sql, rest, secrets } = words
  const { ttlSeconds, loopSeconds, retrySeconds } = PROFILES[words.profile]
  return JSON.stringify({
    scope: SCOPE,
    name: words.member,
    restapi: { listen: textOf(rest), connect_address: textOf(rest) },
    // One etcd may be reached at another address by each host, so nobody asks it for the addresses it announces.
    etcd3: { hosts: [textOf(words.etcd)], use_proxies: true },
    bootstrap: {
      dcs: {
        ttl: ttlSeconds,
        loop_wait: loopSeconds,
        retry_timeout: retrySeconds,
        maximum_lag_on_failover: LAG_BYTES_MAX,
        synchronous_mode: words.mode === 'quorum' ? 'quorum' : words.mode === 'sync',
        postgresql: { use_pg_rewind: true, use_slots: true, parameters: parameters() },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
    },
    postgresql: {
      listen: textOf(sql),
      connect_address: textOf(sql),
      data_dir: words.dataDir,
      bin_dir: words.binDir,
      pgpass: `${words.folder}/pgpass`,
      parameters: { unix_socket_directories: words.folder },
      pg_hba: HBA,
      authentication: {
        superuser: { username: 'postgres', password: secrets.superuser },
        replication: { username: 'replicator', password: secrets.replication },
        rewind: { username: 'rewinder', password: secrets.rewind },
      },
    },
    watchdog: { mode: 'off' },
  })
}

function parameters(): Readonly<Record<string, string | number>> {
  return {
    max_connections: 200,
    shared_buffers: '128MB',
    synchronous_commit: 'on',
    recovery_init_sync_method: 'syncfs',
    wal_retrieve_retry_interval: '100ms',
    wal_receiver_status_interval: '1s',
    wal_receiver_timeout: '3s',
    wal_sender_timeout: '3s',
  }
}

export interface EtcdWords {
  readonly client: Address
  readonly peer: Address
  readonly dataDir: string
}

export function etcdArguments(words: EtcdWords): readonly string[] {
  const [client, peer] = [`http://${textOf(words.client)}`, `http://${textOf(words.peer)}`]
  return [
    ...['--name', 'e1', '--data-dir', words.dataDir, '--log-level', 'error'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `e1=${peer}`],
  ]
}

export interface Backend {
  readonly member: string
  readonly sql: Address
  readonly rest: Address
}

/** The door to the primary as Patroni's manual has it: asks each member's Patroni whether it leads. */
export function haproxyText(door: Address, backends: readonly Backend[], profile: PatroniProfile): string {
  const { checkEveryMs, checkMs, connectMs, connectRetries } = PROFILES[profile]
  const servers = backends.map(
    ({ member, sql, rest }) =>
      `  server ${member} ${textOf(sql)} maxconn 200 check addr ${rest.host} port ${rest.port}`,
  )
  return `global
  maxconn 1000
defaults
  mode tcp
  retries ${connectRetries}
  timeout connect ${connectMs}ms
  timeout client 30m
  timeout server 30m
  timeout check ${checkMs}ms
listen primary
  bind ${textOf(door)}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter ${checkEveryMs}ms fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join('\n')}
`
}

export function textOf({ host, port }: Address): string {
  return `${host}:${port}`
}
