/**
 * Looks at the member's server: one round trip over a connection of its own, never longer than the deadline. A server
 * that is stopped (SIGSTOP), hung, or cannot write its log any more counts as not answering.
 */
import type { EngineView, Position, StandbyView } from '../../core/model.ts'
import type { Reply } from '../../io/resp.ts'
import type { CallOptions } from '../contract.ts'
import { KNOCK, parseTitle, type Title } from './config.ts'
import type { Answer } from './connection.ts'
import type { Engine } from './engine.ts'
import { boundLog, type LogLine } from './home.ts'
import { ASK_INFO, ASK_TITLE, parseInfo, type ServerInfo, settingOf, standbysOf } from './info.ts'
import { RESERVE_BYTES } from './promotion.ts'
import { greet } from './upstream.ts'

/** A question older than this is given up and its connection dropped; younger ones are joined by the next look. */
const QUESTION_MS = 2_000
/** Replicas tell what they hold once a second by themselves; asked, within a round trip. A slow one gets this long. */
const ACK_MS = '10'
const LOG_CHECK_MS = 10_000
const LOG_BYTES_MAX = 16 * 1024 * 1024
const DATA_CHECK_MS = 1_000
/** How old the noted least position may get. */
const NOTE_EVERY_MS = 5_000
const LEARN_EVERY_MS = 100
const LEARN_MS = 1_000

export class Probe {
  readonly #engine: Engine
  #asking: { readonly sentAtMs: number; readonly answer: Promise<Answer> } | null = null
  #replicas = 0
  #logAtMs = Number.NEGATIVE_INFINITY
  #dataAtMs: number
  #notedAtMs: number
  #learnAtMs = Number.NEGATIVE_INFINITY
  #said = ''

  constructor(engine: Engine) {
    this.#engine = engine
    this.#dataAtMs = engine.o.clock.nowMs()
    this.#notedAtMs = this.#dataAtMs
  }

  async view(options: CallOptions): Promise<EngineView> {
    const engine = this.#engine
    const nowMs = engine.o.clock.nowMs()
    this.#housekeeping(nowMs)
    const { server } = engine
    if (server.pid === null && engine.look.state === 'foreign') return this.#silent(nowMs, false, '')
    if (server.pid === null) await server.adopt()
    if (server.pid === null) return this.#silent(nowMs, server.anyAlive(), 'no main process')
    if (server.stopped) return this.#silent(nowMs, true, 'the main process is stopped')
    const asked = this.#ask(nowMs)
    const answer = await within(asked.answer, options)
    if (answer === null) return this.#silent(asked.sentAtMs, true, `silent for ${options.deadlineMs} ms`)
    if (!answer.ok) return this.#silent(nowMs, server.anyAlive(), answer.because)
    const [knocks, title, info] = answer.replies.slice(-3).reverse()
    const seen = parseInfo(info)
    if (seen === null) return this.#silent(nowMs, true, 'it loads its data')
    return this.#seen(asked.sentAtMs, seen, parseTitle(settingOf(title, 'proc-title-template') ?? ''), knocks)
  }

  #ask(nowMs: number): { readonly sentAtMs: number; readonly answer: Promise<Answer> } {
    if (this.#asking !== null) return this.#asking
    const wait = this.#replicas > 0 ? [['PING'], ['WAIT', String(this.#replicas), ACK_MS]] : []
    const commands = [...wait, ASK_INFO, ASK_TITLE, ['PUBSUB', 'CHANNELS', `${KNOCK}*`]]
    const asked = { sentAtMs: nowMs, answer: this.#engine.eye.ask(commands, QUESTION_MS) }
    this.#asking = asked
    void asked.answer.then(() => {
      if (this.#asking === asked) this.#asking = null
    })
    return asked
  }

  async #seen(
    observedAtMs: number,
    info: ServerInfo,
    title: Title | null,
    knocks: Reply | undefined,
  ): Promise<EngineView> {
    const engine = this.#engine
    const replica = info.role === 'replica'
    this.#replicas = replica ? 0 : info.replicas.filter((r) => r.online).length
    const line = replica ? (engine.file?.lines[info.replid] ?? null) : (title?.line ?? null)
    const position = line === null ? null : { timeline: line.timeline, lsn: line.base + info.offset }
    engine.lastRole = info.role
    engine.lastPosition = position ?? engine.lastPosition
    engine.lastRedoBytes = info.logBytes
    await this.#remember(observedAtMs, info, line, position)
    const upstream = engine.o.members.find((m) => m.host === info.upstream?.host && m.port === info.upstream.port)
    if (replica && line === null && info.linkUp && upstream !== undefined) this.#learn(observedAtMs, upstream)
    if (info.logOk) this.#said = ''
    else this.#say('it cannot write its log')
    return {
      ...this.#frame(observedAtMs),
      running: true,
      answering: info.logOk,
      role: info.role,
      position,
      receiving: replica && info.linkUp && upstream !== undefined,
      upstream: replica ? (upstream?.member ?? null) : null,
      standbys: replica || line === null ? [] : this.#standbys(info, line, knocks),
      sync: replica ? null : (title?.sync ?? null),
      redoBytes: info.logBytes,
    }
  }

  /** Those who stand before the door are there and healthy, but hold nothing that counts (SPEC.md). */
  #standbys(info: ServerInfo, line: LogLine, knocks: Reply | undefined): StandbyView[] {
    const { members } = this.#engine.o
    const found = standbysOf(info, members, line.base)
    for (const channel of Array.isArray(knocks) ? knocks : []) {
      const member = members.find((m) => `${KNOCK}${m.member}` === channel)?.member
      if (member !== undefined && !found.some((s) => s.member === member)) {
        found.push({ member, streaming: true, flushLsn: -1 })
      }
    }
    return found
  }

  /** What has to be on the disk so that a later life can go on safely. */
  async #remember(nowMs: number, info: ServerInfo, line: LogLine | null, position: Position | null): Promise<void> {
    const engine = this.#engine
    const { file } = engine
    if (file === null) return
    const failed = (): void => undefined
    const settled = info.logOn && !info.logBusy && info.rewriteOk && !info.copying
    if (info.copying && !file.logPending) await engine.note({ logPending: true }).catch(failed)
    else if (file.logPending && settled && (info.role === 'primary' || info.linkUp)) {
      engine.noteSoon({ logPending: false })
    }
    if (position === null || line === null) return
    if (info.role === 'primary' && position.lsn > file.reservedLsn - RESERVE_BYTES / 2) {
      const reserving = engine.note({ reservedLsn: position.lsn + RESERVE_BYTES }).catch(failed)
      if (position.lsn > file.reservedLsn) await reserving
    }
    if (nowMs - this.#notedAtMs < NOTE_EVERY_MS || info.copying) return
    this.#notedAtMs = nowMs
    if (position.lsn > file.lastLsn) engine.noteSoon({ lastLsn: position.lsn, line })
  }

  /** The server went on by itself to a history it had not been shown: its source restarted. */
  #learn(nowMs: number, upstream: Parameters<typeof greet>[1]): void {
    if (nowMs - this.#learnAtMs < LEARN_EVERY_MS) return
    this.#learnAtMs = nowMs
    const engine = this.#engine
    void greet(engine, upstream, LEARN_MS).then(async (g) => {
      if (!g.ok || g.title.systemId !== engine.file?.systemId || g.info.role !== 'primary') return
      await engine.note({ lines: engine.linesWith(g.info.replid, g.title.line) }).catch(() => undefined)
    })
  }

  #silent(observedAtMs: number, running: boolean, because: string): EngineView {
    const engine = this.#engine
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
    const { state, file } = this.#engine.look
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
      void this.#engine.refresh().catch(() => undefined)
    }
    if (nowMs - this.#logAtMs < LOG_CHECK_MS) return
    this.#logAtMs = nowMs
    void boundLog(this.#engine.home, LOG_BYTES_MAX).catch(() => undefined)
  }

  #say(because: string): void {
    if (because === this.#said) return
    this.#said = because
    this.#engine.o.log.warn({ member: this.#engine.o.member, because }, 'the engine does not answer')
  }
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
