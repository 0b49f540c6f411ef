/**
 * Looks at a PostgreSQL that Holdfast did not make, and does nothing else: one question over TCP, with a role that
 * needs no more than pg_monitor. Touches no file and no process; every command is refused, and its guard has nothing
 * to kill.
 */
import type { EngineView, MemberName, Position, StandbyView } from '../../core/model.ts'
import type { Clock } from '../../io/clock.ts'
import type { CallOptions, Done, EngineAdapter, EngineEndpoint, FenceTarget } from '../contract.ts'
import { type Answer, Line, type Row } from './connection.ts'

export interface ObserverOptions {
  readonly member: MemberName
  readonly host: string
  readonly port: number
  readonly members: readonly EngineEndpoint[]
  readonly user: string
  readonly password: string
  /** PEM text of the authority that signed the server's certificate; without it the connection is plain. */
  readonly ca?: string
  readonly clock: Clock
}

/**
 * A receiver knows its sender, so nobody has to read a connection string. Without one the newest checkpoint tells the
 * timeline of a replica.
 */
const QUESTION = `
select r.replica,
  case when r.replica
    then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'
    else pg_current_wal_flush_lsn() - '0/0' end as lsn,
  case when r.replica then null else substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) end as timeline_hex,
  c.timeline_id, s.system_identifier::text as system_id, w.status as receiver, w.received_tli, w.sender_host,
  w.sender_port,
  (select coalesce(json_agg(json_build_array(application_name, state, flush_lsn - '0/0')), '[]'::json)
     from pg_stat_replication) as standbys
from (select pg_is_in_recovery() as replica) r
  cross join pg_control_checkpoint() c
  cross join pg_control_system() s
  left join pg_stat_wal_receiver w on true`

const REFUSED: Done = { ok: false, because: 'this group is only observed', retryable: false }
const NOTHING_TO_DO: Done = { ok: true, position: null, lsn: 0 }
/** No process works here, so a fence of it kills nobody. */
const NOWHERE = '/nowhere/holdfast-only-observes'

export function createPostgresObserver(o: ObserverOptions): EngineAdapter {
  const ssl = o.ca === undefined ? {} : { ssl: { ca: o.ca, rejectUnauthorized: true } }
  const line = new Line({ ...o, database: 'postgres', ...ssl, anyProof: true }, 'holdfast-observer')
  let known: EngineView | null = null
  const refuse = async (): Promise<Done> => REFUSED
  const nothing = async (): Promise<Done> => NOTHING_TO_DO
  const fenceTarget = (): FenceTarget => ({ member: o.member, dataDir: NOWHERE, mainPid: null })
  return {
    capabilities: { syncReplication: true, rewind: false },
    async view({ deadlineMs }: CallOptions): Promise<EngineView> {
      const askedAtMs = o.clock.nowMs()
      const answer = await line.ask(QUESTION, deadlineMs)
      const row = answer.ok ? answer.rows[0] : undefined
      if (row === undefined) return silent(known, askedAtMs, answer)
      known = seen(row, askedAtMs, o.members)
      return known
    },
    dataState: async () => 'ready',
    create: refuse,
    follow: refuse,
    freeze: refuse,
    promote: refuse,
    restart: refuse,
    applySync: refuse,
    checkpoint: refuse,
    stop: nothing,
    fence: nothing,
    mainProcess: () => null,
    fenceTarget,
    onExit: () => {},
    close: async () => line.close(),
  }
}

function seen(row: Row, observedAtMs: number, members: readonly EngineEndpoint[]): EngineView {
  const replica = row.replica === true
  const lsn = row.lsn === null ? null : Number(row.lsn)
  const timeline = replica ? Number(row.received_tli ?? row.timeline_id) : Number.parseInt(String(row.timeline_hex), 16)
  const position: Position | null = lsn === null ? null : { timeline, lsn }
  const upstream = members.find((m) => m.host === row.sender_host && m.port === Number(row.sender_port))
  return {
    ...NOT_OURS,
    observedAtMs,
    running: true,
    answering: true,
    role: replica ? 'replica' : 'primary',
    systemId: String(row.system_id),
    position,
    receiving: replica && row.receiver === 'streaming',
    upstream: upstream?.member ?? null,
    standbys: standbysOf(row.standbys, members),
  }
}

/** Refused at the door: nothing runs there. Anything else may be a server that does not answer in time. */
function silent(known: EngineView | null, observedAtMs: number, answer: Answer): EngineView {
  const gone = !answer.ok && (answer.code === 'ECONNREFUSED' || answer.code === 'ENOTFOUND')
  return {
    ...NOT_OURS,
    observedAtMs,
    running: !gone,
    answering: false,
    role: 'none',
    systemId: known?.systemId ?? null,
    position: known?.position ?? null,
    receiving: false,
    upstream: null,
    standbys: [],
  }
}

const NOT_OURS = { data: 'ready', diskId: null, sync: null, unopenedEpoch: null, redoBytes: 0 } as const

/** Standbys that call themselves like members; others are not ours to name. */
function standbysOf(json: unknown, members: readonly EngineEndpoint[]): readonly StandbyView[] {
  const rows = (Array.isArray(json) ? json : []) as [string, string, number | null][]
  return rows.flatMap(([name, state, flush]) => {
    const named = members.some((m) => m.member === name) && flush !== null
    return named ? [{ member: name, streaming: state === 'streaming', flushLsn: Number(flush) }] : []
  })
}
