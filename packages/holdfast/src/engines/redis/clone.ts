/**
 * Makes a copy of a primary's data: its snapshot, streamed over the replication protocol to a file, with progress. The
 * connection asks for the snapshot only (`rdb-only`), so it is never counted as a replica that confirms writes. The
 * file knows its place in history; the server started on it goes on from there. Marked as unfinished until the end.
 */
import { once } from 'node:events'
import { chmod, chown, type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { freshId } from '../../io/random.ts'
import { encode } from '../../io/resp.ts'
import type { Done, EngineEndpoint, Progress } from '../contract.ts'
import type { Title } from './config.ts'
import { openSocket, type Target } from './connection.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import { markUnfinished, text, unmark, wipe, writeMemberFile } from './home.ts'

/** A primary is silent while it makes the snapshot, apart from line breaks that keep the connection. */
const SILENCE_MS = 60_000
const LINE_BYTES_MAX = 4_096
/** Diskless snapshots end with a mark of this length, announced at their start. */
const MARK_BYTES = 40

export async function clone(engine: Engine, upstream: EngineEndpoint, title: Title, course: Course): Promise<Done> {
  const { home, o } = engine
  try {
    const left = await engine.server.kill(course.leftMs())
    if (left.alive > 0) return failed(`clone: ${left.alive} processes of the former server do not end`)
    await markUnfinished(home, o)
    await engine.forget()
    const kept = await wipe(home, o)
    if (kept !== null) return refused(kept)
    await mkdir(home.dataDir, { recursive: true, mode: 0o700 })
    await chmod(home.dataDir, 0o700)
    const partial = join(home.dataDir, 'dump.rdb.partial')
    const from = await fetchSnapshot(await engine.peer(upstream), partial, course)
    const dump = join(home.dataDir, 'dump.rdb')
    await rename(partial, dump)
    if (home.owner !== null) {
      for (const path of [home.dataDir, dump]) await chown(path, home.owner.uid, home.owner.gid)
    }
    const { line, systemId } = title
    const lsn = line.base + from.offset
    await writeMemberFile(home, {
      ...{ v: 1, engine: 'redis', group: o.group, member: o.member, systemId, diskId: freshId(), madeBy: 'clone' },
      ...{ unopenedEpoch: null, wasPrimary: false, line, lines: { [from.replid]: line }, reservedLsn: lsn },
      ...{ lastLsn: lsn, logPending: true, bootId: engine.bootId },
      clean: { timeline: line.timeline, lsn, ...from, saved: true },
    })
    await unmark(home)
    return done({ timeline: line.timeline, lsn })
  } catch (error) {
    return course.over ? course.late('clone') : failed(`clone: ${text(error)}`)
  }
}

interface Origin {
  readonly replid: string
  readonly offset: number
}

async function fetchSnapshot(target: Target, path: string, course: Course): Promise<Origin> {
  const socket = await openSocket(target)
  const cancel = (): void => void socket.destroy(new Error('cancelled'))
  course.signal.addEventListener('abort', cancel, { once: true })
  const silence = setTimeout(() => socket.destroy(new Error(`nothing came for ${SILENCE_MS} ms`)), SILENCE_MS)
  try {
    if (course.signal.aborted) cancel()
    const file = await open(path, 'wx', 0o600)
    try {
      return await new SnapshotReader(socket, file, silence, course.options.progress).run(target)
    } finally {
      await file.close()
    }
  } finally {
    clearTimeout(silence)
    course.signal.removeEventListener('abort', cancel)
    socket.destroy()
  }
}

class SnapshotReader {
  readonly #socket: Socket
  readonly #file: FileHandle
  readonly #silence: NodeJS.Timeout
  readonly #progress: Progress | undefined
  #bytes: Buffer = Buffer.alloc(0)

  constructor(socket: Socket, file: FileHandle, silence: NodeJS.Timeout, progress: Progress | undefined) {
    this.#socket = socket
    this.#file = file
    this.#silence = silence
    this.#progress = progress
  }

  async run(target: Target): Promise<Origin> {
    const say = (...words: string[]): unknown => this.#socket.write(encode(words))
    say('AUTH', target.user, target.password)
    this.#mustBeOk(await this.#line(), 'AUTH')
    say('REPLCONF', 'rdb-only', '1')
    this.#mustBeOk(await this.#line(), 'REPLCONF rdb-only')
    say('REPLCONF', 'capa', 'eof', 'capa', 'psync2')
    this.#mustBeOk(await this.#line(), 'REPLCONF capa')
    say('PSYNC', '?', '-1')
    this.#progress?.('snapshot', 0, null)
    const answer = await this.#line()
    const m = /^\+FULLRESYNC ([0-9a-f]{40}) (\d+)$/.exec(answer)
    if (m === null) throw new Error(`the primary does not send a snapshot: ${answer}`)
    const head = await this.#line()
    if (head.startsWith('$EOF:')) await this.#untilMark(Buffer.from(head.slice(5)))
    else if (head.startsWith('$')) await this.#exactly(Number(head.slice(1)))
    else throw new Error(`the primary does not send a snapshot: ${head}`)
    await this.#file.sync()
    return { replid: m[1] ?? '', offset: Number(m[2]) }
  }

  #mustBeOk(answer: string, to: string): void {
    if (answer !== '+OK') throw new Error(`${to}: ${answer}`)
  }

  /** The next line that says something; empty ones keep the connection alive. */
  async #line(): Promise<string> {
    for (;;) {
      const end = this.#bytes.indexOf('\n')
      if (end >= 0) {
        const line = this.#bytes.toString('latin1', 0, end).trim()
        this.#bytes = this.#bytes.subarray(end + 1)
        if (line !== '') return line
        continue
      }
      if (this.#bytes.length > LINE_BYTES_MAX) throw new Error('this is not the replication protocol')
      await this.#more()
    }
  }

  /** Waits for more; at most one chunk is held beside what is being written. */
  async #more(): Promise<void> {
    for (;;) {
      const chunk = this.#socket.read() as Buffer | null
      if (chunk !== null) {
        this.#silence.refresh()
        this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
        return
      }
      const { errored, readableEnded, destroyed } = this.#socket
      if (errored !== null) throw errored
      if (readableEnded || destroyed) throw new Error('the connection was closed')
      const stop = new AbortController()
      const { signal } = stop
      try {
        await Promise.race([
          once(this.#socket, 'readable', { signal }),
          once(this.#socket, 'end', { signal }),
          once(this.#socket, 'close', { signal }),
        ])
      } finally {
        stop.abort()
      }
    }
  }

  async #exactly(total: number): Promise<void> {
    if (!Number.isSafeInteger(total) || total <= 0) throw new Error('the snapshot has no size')
    let got = 0
    while (got < total) {
      if (this.#bytes.length === 0) await this.#more()
      const part = this.#bytes.subarray(0, total - got)
      await this.#file.write(part)
      got += part.length
      this.#bytes = this.#bytes.subarray(part.length)
      this.#progress?.('snapshot', got, total)
    }
  }

  async #untilMark(mark: Buffer): Promise<void> {
    if (mark.length !== MARK_BYTES) throw new Error('the snapshot has no end mark')
    let got = 0
    for (;;) {
      const end = this.#bytes.length >= MARK_BYTES && this.#bytes.subarray(-MARK_BYTES).equals(mark)
      const keep = end ? this.#bytes.length - MARK_BYTES : Math.max(0, this.#bytes.length - MARK_BYTES)
      const part = this.#bytes.subarray(0, keep)
      await this.#file.write(part)
      got += part.length
      this.#bytes = Buffer.from(this.#bytes.subarray(keep))
      this.#progress?.('snapshot', got, null)
      if (end) return
      await this.#more()
    }
  }
}
