/**
 * Numbered changes of the tables, forward only. Each runs in one transaction with its own number, so a process that is
 * killed half-way leaves the version before; two processes that start at once take turns. A database that is newer than
 * this program is refused, untouched.
 */
import { type Kysely, sql, type Transaction } from 'kysely'
import { HoldfastError } from '../../errors.ts'
import type { Tables } from './tables.ts'

export interface Migration {
  readonly name: string
  /** One statement each; both databases take them. Never changed once released. */
  readonly statements: readonly string[]
}

export const MIGRATIONS: readonly Migration[] = [
  {
    name: 'platform, access and audit',
    statements: [
      'create table leader (id integer primary key, holder text not null, epoch bigint not null, beat bigint not null)',
      "insert into leader values (1, '', 0, 0)",
      'create table numbers (name text primary key, value bigint not null)',
      "insert into numbers values ('event', 0)",
      'create table facts (key text primary key, body text not null)',
      `create table events (
        number bigint primary key, wall_ms bigint not null, recorded_ms bigint not null, kind text not null,
        severity text not null, code text not null, summary text not null, group_name text, member text,
        source text not null, rule text, incident text, detail text not null)`,
      'create index events_by_group on events (group_name, number)',
      'create index events_by_incident on events (incident, number)',
      `create table incidents (
        id text primary key, group_name text not null, state text not null, opened_ms bigint not null,
        body text not null)`,
      'create index incidents_by_age on incidents (opened_ms)',
      `create table approvals (
        id text primary key, group_name text not null, state text not null, asked_ms bigint not null,
        expires_ms bigint not null, body text not null)`,
      `create table users (
        name text primary key, display text not null, by_kind text not null, identity text unique, password text,
        disabled integer not null, grants text not null, created_ms bigint not null, last_login_ms bigint)`,
      `create table sessions (
        hash text primary key, user_name text not null references users (name) on delete cascade,
        by_kind text not null, csrf text not null, created_ms bigint not null, used_ms bigint not null,
        expires_ms bigint not null)`,
      'create index sessions_by_user on sessions (user_name)',
      `create table tokens (
        id text primary key, hash text not null unique, user_name text not null references users (name)
        on delete cascade, label text not null, rights text not null, groups text, created_ms bigint not null,
        expires_ms bigint not null, last_used_ms bigint)`,
      'create table one_time_codes (kind text primary key, hash text not null, expires_ms bigint not null)',
      `create table oidc_flows (
        state_hash text primary key, browser_hash text not null, verifier text not null, nonce text not null,
        expires_ms bigint not null)`,
      `create table audit (
        number bigint primary key, wall_ms bigint not null, actor text not null, action text not null,
        subject text not null, body text not null, hash text not null)`,
      'create table audit_head (id integer primary key, number bigint not null, hash text not null)',
      "insert into audit_head values (1, 0, '')",
      'create table audit_checkpoints (number bigint primary key, body text not null)',
    ],
  },
  {
    name: 'log-ins at the provider by address',
    statements: ["alter table oidc_flows add column address text not null default ''"],
  },
  {
    name: 'plans of services',
    statements: [
      'create table plans (id text primary key, scope text not null, seen_ms bigint not null, body text not null)',
      'create index plans_by_scope on plans (scope, seen_ms)',
    ],
  },
  {
    name: 'drills and their reports',
    statements: [
      `create table drill_orders (
        id text primary key, slot text unique, state text not null, asked_ms bigint not null, runner text,
        body text not null)`,
      'create index drill_orders_by_state on drill_orders (state, asked_ms)',
      'create index drill_orders_by_age on drill_orders (asked_ms)',
      `create table drill_reports (
        id text primary key, group_name text not null, seq bigint not null, practice integer not null,
        key_id text not null, ended_ms bigint not null, sha256 text not null, body text not null, page text)`,
      'create index drill_reports_by_age on drill_reports (ended_ms)',
    ],
  },
  {
    name: 'what clients see',
    statements: [
      `create table canary_periods (
        group_name text not null, length_ms bigint not null, start_ms bigint not null, acked bigint not null,
        failed bigint not null, unknown bigint not null, up_ms bigint not null, down_ms bigint not null,
        unmeasured_ms bigint not null, read_up_ms bigint not null, read_down_ms bigint not null,
        read_unmeasured_ms bigint not null, latency_sum_ms bigint not null, latency_max_ms bigint not null,
        stale_max_ms bigint not null, lost bigint not null, primary key (group_name, length_ms, start_ms))`,
      'create index canary_periods_by_age on canary_periods (length_ms, start_ms)',
      `create table canary_outages (
        id text primary key, group_name text not null, incident text, kind text not null, began_ms bigint not null,
        body text not null)`,
      'create index canary_outages_by_group on canary_outages (group_name, began_ms)',
      'create index canary_outages_by_age on canary_outages (began_ms)',
    ],
  },
  {
    name: 'switchovers asked of managers',
    statements: [
      `create table manager_moves (
        id text primary key, group_name text not null, asked_ms bigint not null, body text not null)`,
      'create index manager_moves_by_group on manager_moves (group_name, asked_ms)',
    ],
  },
  {
    name: 'beats of who runs a drill',
    statements: ['alter table drill_orders add column beat bigint not null default 0'],
  },
]

export interface Migrating {
  readonly db: Kysely<Tables>
  /** Holds off everybody else who would migrate until the transaction ends. */
  readonly lock: (transaction: Transaction<Tables>) => Promise<void>
  readonly wallMs: () => number
}

export async function migrate(
  { db, lock, wallMs }: Migrating,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  for (;;) {
    const done = await db.transaction().execute(async (transaction) => {
      await lock(transaction)
      await sql`create table if not exists holdfast_versions
        (version integer primary key, name text not null, applied_ms bigint not null)`.execute(transaction)
      const found = await sql<{
        version: number | null
      }>`select max(version) as version from holdfast_versions`.execute(transaction)
      const version = found.rows[0]?.version ?? 0
      if (version > migrations.length) throw newer(version, migrations.length)
      const next = migrations[version]
      if (next === undefined) return true
      for (const statement of next.statements) await sql.raw(statement).execute(transaction)
      await sql`insert into holdfast_versions values (${version + 1}, ${next.name}, ${Math.round(wallMs())})`.execute(
        transaction,
      )
      return false
    })
    if (done) return
  }
}

function newer(found: number, known: number): HoldfastError {
  const message = `the server's database is of version ${found}, this program knows ${known}; nothing was changed`
  return new HoldfastError('HF_DATABASE_NEWER', message, 'start the version of Holdfast that wrote it, or a newer one')
}
