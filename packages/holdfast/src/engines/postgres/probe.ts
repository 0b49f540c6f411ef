/**
 * Looks at the member's server: one question over a connection of its own, never longer than the deadline. A server
 * that is stopped (SIGSTOP), hung, or cannot write any more counts as not answering. Once a second a primary must also
 * commit a row: a full or broken disk lets questions pass.
 */
import { readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineView, MemberName, Position, StandbyView } from '../../core/model.ts'
import type { CallOptions } from '../contract.ts'
import { parseSyncNames, upstreamOf } from './config.ts'
import type { Answer, Row } from './connection.ts'
import type { Engine } from './engine.ts'
import { boundLog } from './home.ts'
import type { StandbyWord } from './standby-ears.ts'

/** A question older than this is given up and its connection dropped; younger ones are joined by the next look. */
const QUESTION_MS = 2_000
const WRITE_EVERY_MS = 1_000
/** A local commit that takes longer than this is a disk that does not write. */
const WRITE_MS = 3_000
/** With less than this left for the server's account no table can grow. */
const FULL_BYTES = 256 * 1024
const LOG_CHECK_MS = 10_000
const LOG_BYTES_MAX = 16 * 1024 * 1024
const DATA_CHECK_MS = 2_500

/**
 * The receiver, once its upstream has sent it something. Before that it calls itself streaming, and names the timeline
 * it asked for, although the upstream may be about to turn it away, again and again. Both times are the moment of its
 * start until the first message (walreceiver.c). A log that ends exactly with a segment gives nothing to send; then it
 * takes until the primary's next heartbeat.
 */
export const RECEIVER = `select status, received_tli, sender_host, sender_port from pg_stat_wal_receiver
  where last_msg_send_time is distinct from last_msg_receipt_time`

/**
 * `pg_current_wal_flush_lsn` and `pg_walfile_name` fail on a replica; CASE does not evaluate the branch not taken.
 * The timeline right after a promotion comes from the file name: the control file lags (R32).
 */
const QUESTION = `
select r.replica,
  case when r.replica
    then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'
    else pg_current_wal_flush_lsn() - '0/0' end as lsn,
  case when r.replica then null else substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) end as timeline_hex,
  case when r.replica then 0 else greatest(pg_current_wal_flush_lsn() - c.redo_lsn, 0) end as redo_bytes,
  current_setting('primary_conninfo') as conninfo,
  current_setting('synchronous_standby_names') as sync_names,
  w.status as receiver, w.received_tli,
  (select coalesce(json_agg(json_build_array(application_name, state, flush_lsn - '0/0', pid, reply_time)), '[]'::json)
     from pg_stat_replication) as standbys
from (select pg_is_in_recovery() as replica) r
  cross join pg_control_checkpoint() c
  left join (${RECEIVER}) w on true`

/** `local`: the disk is asked, not the standbys. */
export const HEARTBEAT = `set synchronous_commit = local; update holdfast.heartbeat set beat = beat + 1`

/** SQLSTATEs of a commit that failed because the server cannot store it: disk full, I/O error, out of memory. */
const CANNOT_WRITE = /^(53|58|XX)/

export class Probe {
  readonly #engine: Engine
  #asking: { readonly sentAtMs: number; readonly answer: Promise<Answer> } | null = null
  #cannotWrite: string | null = null
  #writing = false
  #wroteAtMs = Number.NEGATIVE_INFINITY
  #logAtMs = Number.NEGATIVE_INFINITY
  #dataAtMs: number
  #said = ''

  constructor(engine: Engine) {
    this.#engine = engine
    this.#dataAtMs = engine.o.clock.nowMs()
  }

  async view(options: CallOptions): Promise<EngineView> {
    const { engine, nowMs } = { engine: this.#engine, nowMs: this.#engine.o.clock.nowMs() }
    this.#housekeeping(nowMs)
    const { postmaster } = engine
    if (postmaster.pid === null && engine.look.state === 'foreign') return this.#silent(nowMs, false, '')
    if (postmaster.pid === null) await postmaster.adopt()
    if (postmaster.pid === null) return this.#silent(nowMs, postmaster.anyAlive(), 'no main process')
    if (postmaster.stopped) return this.#silent(nowMs, true, 'the main process is stopped')
    const asked = this.#ask(nowMs)
    const answer = await within(asked.answer, options)
    if (answer === null) return this.#silent(asked.sentAtMs, true, `silent for ${options.deadlineMs} ms`)
    const row = answer.ok ? answer.rows[0] : undefined
    if (row === undefined) return this.#silent(nowMs, postmaster.anyAlive(), answer.ok ? 'no row' : answer.because)
    if (row.replica !== true) void this.writeProbe()
    return this.#seen(asked.sentAtMs, row)
  }

  /** Commits a row on this disk, at most once a second. A wait for standbys cannot delay it. */
  async writeProbe(): Promise<void> {
    const nowMs = this.#engine.o.clock.nowMs()
    if (this.#writing || nowMs - this.#wroteAtMs < WRITE_EVERY_MS) return
    this.#writing = true
    this.#wroteAtMs = nowMs
    const answer = await this.#engine.hand.ask(HEARTBEAT, WRITE_MS)
    // The log's files are made ahead, so a small commit passes on a disk where every larger one fails.
    const full = answer.ok && (await isFull(this.#engine.home.dataDir))
    this.#writing = false
    if (answer.ok) this.#cannotWrite = full ? `the disk of ${this.#engine.home.dataDir} is full` : null
    else if (answer.code === 'timeout') this.#cannotWrite = `a local commit takes longer than ${WRITE_MS} ms`
    else if (CANNOT_WRITE.test(answer.code)) this.#cannotWrite = answer.because
  }

  #ask(nowMs: number): { readonly sentAtMs: number; readonly answer: Promise<Answer> } {
    if (this.#asking !== null) return this.#asking
    const asked = { sentAtMs: nowMs, answer: this.#engine.eye.ask(QUESTION, QUESTION_MS) }
    this.#asking = asked
    void asked.answer.then(() => {
      if (this.#asking === asked) this.#asking = null
    })
    return asked
  }

  async #seen(observedAtMs: number, row: Row): Promise<EngineView> {
    const { engine } = this
    const replica = row.replica === true
    const lsn = row.lsn === null ? null : Number(row.lsn)
    const timeline = replica ? await this.#replicaTimeline(row, lsn) : Number.parseInt(String(row.timeline_hex), 16)
    const position: Position | null = lsn === null || timeline === null ? null : { timeline, lsn }
    engine.lastPosition = position ?? engine.lastPosition
    engine.lastRedoBytes = replica ? engine.lastRedoBytes : Number(row.redo_bytes)
    engine.lastRole = replica ? 'replica' : 'primary'
    const bad = replica ? null : this.#cannotWrite
    if (bad !== null) this.#say(bad)
    else this.#said = ''
    if (replica) engine.ears.forget()
    else engine.ears.note(wordsOf(row.standbys), observedAtMs)
    const upstream = replica ? upstreamOf(String(row.conninfo), engine.o.members) : null
    return {
      ...this.#frame(observedAtMs),
      running: true,
      answering: bad === null,
      role: engine.lastRole,
      position,
      receiving: replica && row.receiver === 'streaming',
      upstream: upstream?.member ?? null,
      standbys: replica ? [] : standbysOf(row.standbys, engine),
      sync: replica ? null : parseSyncNames(String(row.sync_names)),
      redoBytes: engine.lastRedoBytes,
    }
  }

  /**
   * While a receiver runs it tells. Without one (frozen, or its primary is gone) the newest log file that holds the
   * last durable byte does: a replica opens a file of the new timeline only when it receives from it.
   */
  async #replicaTimeline(row: Row, lsn: number | null): Promise<number | null> {
    if (row.received_tli !== null) return Number(row.received_tli)
    return lsn === null ? null : timelineOnDisk(this.engine.home.dataDir, lsn, this.engine.walSegmentBytes)
  }

  get engine(): Engine {
    return this.#engine
  }

  #silent(observedAtMs: number, running: boolean, because: string): EngineView {
    const { engine } = this
    if (running) this.#say(because)
    return {
      ...this.#frame(observedAtMs),
      running,
      answering: false,
      role: running ? engine.lastRole : 'none',
      position: running ? null : engine.lastPosition,
      receiving: false,
      upstream: null,
      standbys: [],
      sync: null,
      redoBytes: engine.lastRedoBytes,
    }
  }

  #frame(observedAtMs: number): Pick<EngineView, 'observedAtMs' | 'data' | 'systemId' | 'diskId' | 'unopenedEpoch'> {
    const { state, file } = this.engine.look
    return {
      observedAtMs,
      data: state,
      systemId: file?.systemId ?? null,
      diskId: file?.diskId ?? null,
      unopenedEpoch: file?.unopenedEpoch ?? null,
    }
  }

  /** Slow or hung disks must not delay a look: these run beside it. */
  #housekeeping(nowMs: number): void {
    if (nowMs - this.#dataAtMs >= DATA_CHECK_MS) {
      this.#dataAtMs = nowMs
      void this.engine.refresh().catch(() => undefined)
    }
    if (nowMs - this.#logAtMs < LOG_CHECK_MS) return
    this.#logAtMs = nowMs
    void boundLog(this.engine.home, LOG_BYTES_MAX).catch(() => undefined)
  }

  #say(because: string): void {
    if (because === this.#said) return
    this.#said = because
    this.engine.o.log.warn({ member: this.engine.o.member, because }, 'the engine does not answer')
  }
}

/** The newest timeline among the log files that hold byte `lsn - 1`. */
export async function timelineOnDisk(dataDir: string, lsn: number, segmentBytes: number): Promise<number | null> {
  const segment = Math.floor(Math.max(0, lsn - 1) / segmentBytes)
  const perFile = 2 ** 32 / segmentBytes
  const hex = (n: number): string => n.toString(16).toUpperCase().padStart(8, '0')
  const tail = hex(Math.floor(segment / perFile)) + hex(segment % perFile)
  let newest: number | null = null
  for (const name of await readdir(join(dataDir, 'pg_wal')).catch(() => [])) {
    if (name.length !== 24 || !name.endsWith(tail)) continue
    const timeline = Number.parseInt(name.slice(0, 8), 16)
    if (newest === null || timeline > newest) newest = timeline
  }
  return newest
}

async function isFull(dataDir: string): Promise<boolean> {
  const s = await statfs(dataDir).catch(() => null)
  return s !== null && s.bavail * s.bsize < FULL_BYTES
}

type StandbyRow = readonly [string, string, number | null, number, string | null]

function wordsOf(json: unknown): StandbyWord[] {
  return ((Array.isArray(json) ? json : []) as StandbyRow[]).map(([, , , pid, saidAt]) => [pid, saidAt])
}

/** Two rows of one member (an old connection not yet noticed as dead, and the new one) count as the better of both. */
function standbysOf(json: unknown, engine: Engine): StandbyView[] {
  const found = new Map<MemberName, StandbyView>()
  const known = new Set(engine.o.members.map((m) => m.member))
  for (const [member, state, flush] of (Array.isArray(json) ? json : []) as StandbyRow[]) {
    if (!known.has(member) || flush === null) continue
    const one = { member, streaming: state === 'streaming', flushLsn: Number(flush) }
    const other = found.get(member)
    if (other === undefined || (one.streaming && !other.streaming) || one.flushLsn > other.flushLsn)
      found.set(member, one)
  }
  return [...found.values()]
}

async function within(answer: Promise<Answer>, options: CallOptions): Promise<Answer | null> {
  let timer: NodeJS.Timeout | undefined
  let stop: (() => void) | undefined
  const late = new Promise<null>((resolve) => {
    stop = () => resolve(null)
    timer = setTimeout(stop, options.deadlineMs)
    options.signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
    if (stop !== undefined) options.signal.removeEventListener('abort', stop)
  }
}
