/**
 * What the operations of one member share: its home, its program, its process, its connections, and what was last seen
 * of it. Holds no decisions.
 */
import { readFile } from 'node:fs/promises'
import type { MemberName, Position } from '../../core/model.ts'
import { engineOwner } from '../../io/unprivileged.ts'
import type { CallOptions, Done, EngineEndpoint } from '../contract.ts'
import { type Binaries, findRedis } from './binaries.ts'
import { OPERATOR, PEER, parameterMistake, pem } from './config.ts'
import { Line, type Target } from './connection.ts'
import {
  type DataLook,
  type Home,
  homeOf,
  type LogLine,
  lookAtData,
  type MemberFile,
  prepareHome,
  text,
  writeMemberFile,
} from './home.ts'
import type { RedisOptions } from './options.ts'
import { ServerProcess } from './process.ts'

/** Replication ids remembered; each promotion and restart makes one. */
const LINES_MAX = 16
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'

export class Engine {
  readonly o: RedisOptions
  readonly home: Home
  readonly server: ServerProcess
  readonly bootId: string
  /** For looking: its questions are short and a late one is dropped. */
  readonly eye: Line
  /** For acting. */
  readonly hand: Line
  look: DataLook = { state: 'empty', file: null, because: '' }
  lastPosition: Position | null = null
  lastRole: 'primary' | 'replica' | 'none' = 'none'
  lastRedoBytes = 0
  /** Standing before the door of a primary that has not let us in yet (SPEC.md, "Who may count"). */
  knock: { readonly member: MemberName; readonly line: Line } | null = null
  #binaries: Binaries | null = null
  #noting: Promise<unknown> = Promise.resolve()
  #noted = 0
  #promotionNoted: Promise<void> = Promise.resolve()
  #abort = new AbortController()

  private constructor(o: RedisOptions, home: Home, bootId: string) {
    this.o = o
    this.home = home
    this.bootId = bootId
    this.server = new ServerProcess(home)
    const local = { path: home.socket, host: o.host, port: o.port, user: OPERATOR, password: o.secrets.superuser }
    this.eye = new Line(local)
    this.hand = new Line(local)
  }

  static async open(o: RedisOptions): Promise<Engine> {
    const bootId = await readFile(BOOT_ID_FILE, 'utf8').catch(() => 'unknown')
    const engine = new Engine(o, await homeOf(o, await engineOwner()), bootId.trim())
    await engine.refresh()
    if (engine.look.state !== 'foreign') await engine.server.adopt()
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

  /** What must hold before anything is started: good parameters, directories, a program. */
  async ready(): Promise<{ readonly ok: true; readonly binaries: Binaries } | (Done & { readonly ok: false })> {
    const mistake = parameterMistake(this.o.parameters) ?? (await prepareHome(this.home))
    if (mistake !== null) return refused(mistake)
    if (this.#binaries !== null) return { ok: true, binaries: this.#binaries }
    const found = await findRedis({
      ...(this.o.version === undefined ? {} : { version: this.o.version }),
      ...(this.o.binDir === undefined ? {} : { binDir: this.o.binDir }),
    })
    if (!found.ok) return refused(found.because)
    this.#binaries = found.binaries
    return found
  }

  async refresh(): Promise<DataLook> {
    const noted = this.#noted
    const look = await lookAtData(this.home, this.o)
    // What was written in between is newer than what was read.
    if (noted === this.#noted) this.look = look
    return this.look
  }

  get file(): MemberFile | null {
    return this.look.file
  }

  /** Changes the member file, durably. One change at a time; nothing is written when nothing differs. */
  note(change: Partial<MemberFile>): Promise<void> {
    const mine = this.#noting.then(async () => {
      const { file } = this.look
      if (file === null) return
      const next = { ...file, ...change }
      if (JSON.stringify(next) === JSON.stringify(file)) return
      await writeMemberFile(this.home, next)
      this.#noted++
      // A look that ended meanwhile has read what was there before.
      if (this.look.file !== null) this.look = { ...this.look, file: next }
    })
    this.#noting = mine.catch(() => undefined)
    return mine
  }

  /** The same for what nothing depends on yet; a failure shows at the next change that matters. */
  noteSoon(change: Partial<MemberFile>): void {
    this.note(change).catch(() => undefined)
  }

  /** All that was to be noted is on the disk, or failed. */
  get settled(): Promise<unknown> {
    return this.#noting
  }

  /** What this server's leadership has to leave on the disk is there; rejects when it could not be written. */
  get promotionNoted(): Promise<void> {
    return this.#promotionNoted
  }

  notesPromotion(noted: Promise<void>): void {
    this.#promotionNoted = noted
    noted.catch(() => undefined)
  }

  /** The copy is being given up: whatever was still to be noted about it must not meet the next one. */
  async forget(): Promise<void> {
    this.#noted++
    this.look = { state: 'unfinished', file: null, because: '' }
    await this.#noting
  }

  /** `lines` with this one in it, bounded. */
  linesWith(replid: string, line: LogLine): Readonly<Record<string, LogLine>> {
    const others = Object.entries(this.file?.lines ?? {}).filter(([id]) => id !== replid)
    return Object.fromEntries([...others.slice(1 - LINES_MAX), [replid, line]])
  }

  /** How to ask another member. */
  async peer(at: EngineEndpoint): Promise<Target> {
    const { tls, secrets } = this.o
    const ca = tls?.ca === undefined ? {} : { ca: await pem(tls.ca) }
    return {
      host: at.host,
      port: at.port,
      user: PEER,
      password: secrets.replication,
      ...(tls === undefined ? {} : { tls: ca }),
    }
  }

  endKnock(): void {
    this.knock?.line.close()
    this.knock = null
  }

  close(): void {
    this.endKnock()
    this.eye.close()
    this.hand.close()
    this.server.close()
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

  /** Waits for what is being written; null when it is there. A disk that hangs fails as one that refuses. */
  async written(work: Promise<void>, mostMs = Number.POSITIVE_INFINITY): Promise<string | null> {
    const end = this.end(mostMs)
    try {
      const first = await Promise.race([work.then(() => 'there'), end.over])
      return first === null ? 'the disk has not taken it in time' : null
    } catch (error) {
      return text(error)
    } finally {
      end.forget()
    }
  }

  /** `over` settles when the time is up or the call is cancelled; `forget` frees its timer. */
  end(mostMs = Number.POSITIVE_INFINITY): { readonly over: Promise<null>; readonly forget: () => void } {
    let forget = (): void => undefined
    const over = new Promise<null>((resolve) => {
      const finish = (): void => {
        forget()
        resolve(null)
      }
      const timer = setTimeout(finish, this.leftMs(mostMs))
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
