/**
 * The tables all workloads write, and how a member says who it is. Making them twice changes nothing.
 *
 * `numbered` has no unique key on purpose: a row that came in twice must be able to stand there twice, so that the
 * checkers see it.
 */
export const ACCOUNTS = 8
export const OPENING_BALANCE = 1_000
/** What all balances add up to, always. */
export const BANK_TOTAL = ACCOUNTS * OPENING_BALANCE
/** Pause between two probes of one member; the two-writers checker reads gaps against it. */
export const PROBE_PERIOD_MS = 50

export const TABLES_SQL = `
create table if not exists numbered (n bigint not null, attempt int not null);
create index if not exists numbered_n on numbered (n);
create table if not exists account (id int primary key, balance bigint not null);
insert into account select i, ${OPENING_BALANCE} from generate_series(1, ${ACCOUNTS}) i on conflict do nothing;
create table if not exists list (key bigint primary key, value text not null);
create table if not exists probe (member text not null, n bigint not null, primary key (member, n));
`

/**
 * Columns by which the answering member says who it is: its address, its timeline, and how far its log is. Read in the
 * same statement or transaction as the write. They exist on a primary only: a standby answers them with an error.
 * Any role may ask for them.
 */
export const WHO = `host(inet_server_addr()) || ':' || inet_server_port() as who,
  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline,
  (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text as lsn`

export interface Who {
  readonly node: string
  readonly epoch: number
  /** Position in the log in bytes, of the statement at the latest. */
  readonly lsn: number
}

/** `nodes` gives members their names, by `address:port` or by port alone; who is not in it keeps its address. */
export function whoOf(row: unknown, nodes: Readonly<Record<string, string>>): Who {
  const { who, timeline, lsn } = row as { who: string; timeline: string; lsn: string }
  const port = who.slice(who.lastIndexOf(':') + 1)
  return { node: nodes[who] ?? nodes[port] ?? who, epoch: Number.parseInt(timeline, 16), lsn: Number(lsn) }
}
