/** Engine settings that Holdfast sets itself, because its promises rest on them. */
import { type Draft, type Findings, managedGroups } from '../draft.ts'

const LISTEN = "it is the member's `listen`"
const TLS = "it follows the group's `tls`"
const RECOVERY = 'recovery is led by the agent'
const ACCESS = 'files of its own are written by the agent'
const DETECTION = 'how soon a dead peer is noticed rests on it'

/** Name and reason; the adapter of the engine refuses the same names. */
export const OWNED_PARAMETERS: Readonly<Record<string, string>> = {
  config_file: ACCESS,
  data_directory: "it is the member's `dataDir`",
  external_pid_file: ACCESS,
  fsync: 'without it an acknowledged write may be gone after a crash',
  full_page_writes: 'without it a crash can tear pages',
  hba_file: ACCESS,
  hot_standby: 'replicas must answer the agent',
  hot_standby_feedback: 'a slow reader of a replica must not stop the primary from cleaning up',
  ident_file: ACCESS,
  include: ACCESS,
  include_dir: ACCESS,
  include_if_exists: ACCESS,
  listen_addresses: LISTEN,
  logging_collector: 'the agent keeps the log of its engine',
  password_encryption: 'passwords are kept as scram',
  port: LISTEN,
  primary_conninfo: 'it follows the holder of the lease',
  primary_slot_name: 'slots are kept by the agent',
  promote_trigger_file: 'only the lease promotes',
  recovery_init_sync_method: RECOVERY,
  recovery_target: RECOVERY,
  recovery_target_timeline: RECOVERY,
  restart_after_crash: 'a crashed engine starts again only with the lease',
  restore_command: RECOVERY,
  ssl: TLS,
  ssl_ca_file: TLS,
  ssl_cert_file: TLS,
  ssl_key_file: TLS,
  synchronous_commit: 'it follows `replication`',
  synchronous_standby_names: 'it follows `replication`',
  unix_socket_directories: 'sockets are placed by the agent',
  wal_log_hints: 'rejoining after a failover needs it',
  wal_receiver_status_interval: DETECTION,
  wal_receiver_timeout: DETECTION,
  wal_retrieve_retry_interval: RECOVERY,
  wal_sender_timeout: DETECTION,
}

export function checkParameters(root: Draft, findings: Findings): void {
  for (const group of managedGroups(root)) {
    if (group.text('engine') === 'redis') continue
    const parameters = group.get('parameters')
    for (const key of parameters.keys()) {
      const why = Object.hasOwn(OWNED_PARAMETERS, key) ? OWNED_PARAMETERS[key] : undefined
      if (why === undefined) continue
      const what = `\`${key}\` is set by Holdfast: ${why}`
      findings.mistakes.push({ path: [...parameters.path, key], at: 'key', what, right: 'remove it' })
    }
    const walLevel = parameters.get('wal_level').value
    if (walLevel !== undefined && walLevel !== 'replica' && walLevel !== 'logical') {
      findings.mistakes.push(parameters.wrong('wal_level', 'replicas need the whole log', '`replica` or `logical`'))
    }
    const user = group.get('application').text('user')
    if (user === null || !(user === 'postgres' || user.startsWith('pg_') || user.startsWith('holdfast'))) continue
    const what = `the role \`${user}\` is not for an application: it belongs to the engine or to Holdfast`
    findings.mistakes.push(group.get('application').wrong('user', what, 'a role of the application'))
  }
}
