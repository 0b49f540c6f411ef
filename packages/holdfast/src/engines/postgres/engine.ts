/**
 * What the operations of one member share: its home, its programs, its process, its connections, what was last written
 * into its settings and what was last seen of it. Holds no decisions.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Position } from '../../core/model.ts'
import { engineOwner, isShared } from '../../io/unprivileged.ts'
import type { CallOptions, Done, EngineEndpoint, Progress } from '../contract.ts'
import { type Binaries, findPostgres } from './binaries.ts'
import {
  CLOSED_NAMES,
  type LiveSettings,
  parameterMistake,
  pem,
  REPLICATION_USER,
  unnamedByCertificate,
  writeLive,
} from './config.ts'
import { Line, localTarget, type Target } from './connection.ts'
import { type DataLook, type Home, homeOf, lookAtData, prepareHome, writeMemberFile } from './home.ts'
import type { PostgresOptions } from './options.ts'
import { Postmaster } from './process.ts'
import { StandbyEars } from './standby-ears.ts'

export interface Source {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly ssl?: Exclude<Target['ssl'], false | undefined>
}

/** Cloning or rewinding that is under way. `result` never rejects. */
export interface Copy {
  readonly upstream: EngineEndpoint
  readonly abort: AbortController
  readonly result: Promise<Done>
  readonly step: string
  watch(progress: Progress | undefined): () => void
}

const SHARED_ACCOUNT = 'PostgreSQL runs as `nobody`, which other programs use as well and which can reach its data'
const OWN_ACCOUNT = 'useradd --system postgres; then, with the agent stopped: chown -R postgres: on the data directory'

export class Engine {
  readonly o: PostgresOptions
  readonly home: Home
  readonly postmaster: Postmaster
  /** For looking: its questions are short and a late one is dropped. */
  readonly eye: Line
  /** For writing: kept open on replicas too, so that a promotion has nothing to connect. */
  readonly hand: Line
  live: LiveSettings = { upstream: null, syncNames: CLOSED_NAMES }
  /** The server that the last reload reached. */
  #reloadedPid: number | null = null
  look: DataLook = { state: 'empty', file: null, because: '' }
  /** Where the log ended when last seen. */
  lastPosition: Position | null = null
  lastRedoBytes = 0
  /** Cloning or rewinding, while it goes on. */
  copy: Copy | null = null
  comparedAtMs = Number.NEGATIVE_INFINITY
  lastRole: 'primary' | 'replica' | 'none' = 'none'
  readonly ears = new StandbyEars()
  /** All data sets are made here, with the default size. */
  readonly walSegmentBytes = 16 * 1024 * 1024
  #binaries: Binaries | null = null
  #noted = 0
  #abort = new AbortController()

  private constructor(o: PostgresOptions, home: Home) {
    this.o = o
    this.home = home
    this.postmaster = new Postmaster(home)
    this.eye = new Line(localTarget(home, o), 'holdfast-eye')
    this.hand = new Line(localTarget(home, o), 'holdfast-hand')
  }

  static async open(o: PostgresOptions): Promise<Engine> {
    const owner = await engineOwner(o.dataDir)
    if (isShared(owner)) o.log.warn({ member: o.member, dataDir: o.dataDir, next: OWN_ACCOUNT }, SHARED_ACCOUNT)
    const engine = new Engine(o, await homeOf(o, owner))
    await engine.refresh()
    if (engine.look.state !== 'foreign') await engine.postmaster.adopt()
    return engine
  }

  /** Aborted by every fence; what begins after it gets a new one. */
  get fenceSignal(): AbortSignal {
    return this.#abort.signal
  }

  cancelAll(): void {
    this.#abort.abort(new Error('fenced'))
    this.#abort = new AbortController()
  }

  /** What must hold before anything is started: good parameters, directories, programs. */
  async ready(): Promise<{ readonly ok: true; readonly binaries: Binaries } | (Done & { readonly ok: false })> {
    const mistake = parameterMistake(this.o.parameters) ?? (await prepareHome(this.home))
    if (mistake !== null) return refused(mistake)
    if (this.#binaries !== null) return { ok: true, binaries: this.#binaries }
    const unnamed = await unnamedByCertificate(this.o)
    if (unnamed !== null) return refused(unnamed)
    const found = await findPostgres({
      ...(this.o.version === undefined ? {} : { version: this.o.version }),
      ...(this.o.binDir === undefined ? {} : { binDir: this.o.binDir }),
    })
    if (!found.ok) return refused(found.because)
    this.#binaries = found.binaries
    return { ok: true, binaries: found.binaries }
  }

  async refresh(): Promise<DataLook> {
    const noted = this.#noted
    const look = await lookAtData(this.home, this.o)
    // What was written in between is newer than what was read.
    if (noted === this.#noted) this.look = look
    return this.look
  }

  /** Writes the changing settings and tells the server. */
  async reload(live: LiveSettings): Promise<void> {
    this.live = live
    this.#reloadedPid = null
    await writeLive(live, this.home, this.o)
    if (this.postmaster.signal('SIGHUP')) this.#reloadedPid = this.postmaster.pid
  }

  /** The same settings were the last that this server was told: telling them again would cost a promotion its time. */
  wasTold(live: LiveSettings): boolean {
    const { pid } = this.postmaster
    return pid !== null && pid === this.#reloadedPid && isDeepStrictEqual(live, this.live)
  }

  async noteUnopened(epoch: number | null): Promise<void> {
    const file = this.look.file
    if (file === null || file.unopenedEpoch === epoch) return
    const next = { ...file, unopenedEpoch: epoch }
    await writeMemberFile(this.home, next)
    this.#noted++
    this.look = { ...this.look, file: next }
  }

  /** How to ask another member, as the replication role. */
  async target(at: EngineEndpoint): Promise<Target> {
    const { tls, secrets } = this.o
    const ca = tls?.ca === undefined ? {} : { ca: await pem(tls.ca) }
    const ssl = tls === undefined ? false : { rejectUnauthorized: tls.ca !== undefined, ...ca }
    return {
      host: at.host,
      port: at.port,
      user: REPLICATION_USER,
      password: secrets.replication,
      database: 'postgres',
      ssl,
    }
  }

  /** The same in the form that copying and rewinding take. */
  async source(at: EngineEndpoint): Promise<Source> {
    const { host, port, user, password, ssl } = await this.target(at)
    return { host, port, user, password, ...(ssl === undefined || ssl === false ? {} : { ssl }) }
  }

  close(): void {
    this.eye.close()
    this.hand.close()
    this.postmaster.close()
  }
}

/** One call's deadline and signal, in the form the steps of an operation use. */
export class Course {
  readonly signal: AbortSignal
  readonly #endMs: number
  readonly #nowMs: () => number
  readonly options: CallOptions

  constructor(engine: Engine, options: CallOptions) {
    this.options = options
    this.#nowMs = () => engine.o.clock.nowMs()
    this.#endMs = this.#nowMs() + options.deadlineMs
    this.signal = AbortSignal.any([options.signal, engine.fenceSignal])
  }

  /** Never below 1, so that it can be given to a timer. */
  leftMs(mostMs = Number.POSITIVE_INFINITY): number {
    return Math.max(1, Math.min(mostMs, this.#endMs - this.#nowMs()))
  }

  get over(): boolean {
    return this.signal.aborted || this.#nowMs() >= this.#endMs
  }

  /** Waits, shorter when the call is cancelled. True when there is time left for more. */
  async pause(ms: number): Promise<boolean> {
    if (this.over) return false
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.signal.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, this.leftMs(ms))
      this.signal.addEventListener('abort', finish, { once: true })
    })
    return !this.over
  }

  /** `over` settles when the time is up or the call is cancelled; `forget` frees its timer. */
  end(): { readonly over: Promise<null>; readonly forget: () => void } {
    let forget = (): void => undefined
    const over = new Promise<null>((resolve) => {
      const finish = (): void => {
        forget()
        resolve(null)
      }
      const timer = setTimeout(finish, this.leftMs())
      forget = () => {
        clearTimeout(timer)
        this.signal.removeEventListener('abort', finish)
      }
      this.signal.addEventListener('abort', finish, { once: true })
      if (this.signal.aborted) finish()
    })
    return { over, forget: () => forget() }
  }

  /** Why it ended early. */
  late(what: string): Done & { readonly ok: false } {
    return failed(this.signal.aborted ? `${what}: cancelled` : `${what}: not done within ${this.options.deadlineMs} ms`)
  }
}

/** May work when tried again. */
export function failed(because: string): Done & { readonly ok: false } {
  return { ok: false, because, retryable: true }
}

/** Will not work before a person changes something. */
export function refused(because: string): Done & { readonly ok: false } {
  return { ok: false, because, retryable: false }
}

export function done(position: Position | null): Done {
  return { ok: true, position, lsn: position?.lsn ?? 0 }
}
