/**
 * Connections to a Redis server, with deadlines that hold even when the server is stopped in the middle of an answer.
 * Results are values; a broken connection is opened anew by the next question.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { encode, type Reply, ReplyError, ReplyReader } from '../../io/resp.ts'

/** A connection that is not open after this long is given up. */
const OPEN_MS = 3_000
/** Questions sent and not answered; nobody here asks that many. */
const WAITING_MAX = 1_000

export interface Target {
  /** Path of a socket, or host and port. */
  readonly path?: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly tls?: { readonly ca?: string } | undefined
}

export type Answer =
  | { readonly ok: true; readonly replies: readonly Reply[] }
  /** `code` is the first word of the server's error, or the system's code, or `timeout`. */
  | { readonly ok: false; readonly because: string; readonly code: string }

interface Waiting {
  readonly want: number
  readonly replies: Reply[]
  readonly settle: (answer: Answer) => void
}

/** One connection. Commands of one question travel together; questions are answered in order. */
export class Line {
  readonly #target: Target
  #socket: Socket | null = null
  #opening: Promise<Socket> | null = null
  #waiting: Waiting[] = []
  #closed = false

  constructor(target: Target) {
    this.#target = target
  }

  get open(): boolean {
    return this.#socket !== null
  }

  /** Never rejects, never takes longer than `timeoutMs`. After a time-out the connection is dropped. */
  async ask(commands: readonly (readonly string[])[], timeoutMs: number): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => {
        this.drop(`no answer within ${Math.round(timeoutMs)} ms`)
        resolve(failed('timeout', `no answer within ${Math.round(timeoutMs)} ms`))
      }, timeoutMs)
    })
    try {
      return await Promise.race([late, this.#send(commands)])
    } finally {
      clearTimeout(timer)
    }
  }

  /** The same, where an error of the server in any reply fails the whole. */
  async must(commands: readonly (readonly string[])[], timeoutMs: number): Promise<Answer> {
    const answer = await this.ask(commands, timeoutMs)
    if (!answer.ok) return answer
    for (const reply of answer.replies.flat(1)) {
      if (reply instanceof ReplyError) return failed(reply.code, reply.message)
    }
    return answer
  }

  async #send(commands: readonly (readonly string[])[]): Promise<Answer> {
    if (this.#closed) return failed('closed', 'closed')
    try {
      const socket = this.#socket ?? (await this.#connected())
      if (this.#waiting.length >= WAITING_MAX) return failed('busy', 'too many questions are waiting')
      return await new Promise<Answer>((settle) => {
        this.#waiting.push({ want: commands.length, replies: [], settle })
        socket.write(commands.map(encode).join(''))
      })
    } catch (error) {
      return errorAnswer(error)
    }
  }

  /** A slow opening goes on when a question gives up on it: on a loaded machine the next one finds it done. */
  #connected(): Promise<Socket> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  async #open(): Promise<Socket> {
    const socket = await openSocket(this.#target)
    if (this.#closed) {
      socket.destroy()
      throw new Error('closed')
    }
    const reader = new ReplyReader()
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const reply of reader.read(chunk)) this.#onReply(reply)
      } catch (error) {
        if (this.#socket === socket) this.drop(errorText(error))
      }
    })
    const gone = (because: string) => (): void => {
      if (this.#socket === socket) this.drop(because)
    }
    socket.on('close', gone('the connection was closed'))
    socket.on('error', gone('the connection broke'))
    this.#socket = socket
    const { user, password } = this.#target
    const auth = await new Promise<Answer>((settle) => {
      this.#waiting.push({ want: 1, replies: [], settle })
      socket.write(encode(['AUTH', user, password]))
    })
    const refused = auth.ok ? auth.replies[0] : null
    if (!auth.ok) throw Object.assign(new Error(auth.because), { code: auth.code })
    // A server that still loads answers so to everything; the question itself will meet it.
    if (refused instanceof ReplyError && refused.code !== 'LOADING') {
      this.drop(refused.message)
      throw Object.assign(new Error(refused.message), { code: refused.code })
    }
    return socket
  }

  #onReply(reply: Reply): void {
    const first = this.#waiting[0]
    // Messages of a subscription are not awaited by anybody.
    if (first === undefined) return
    first.replies.push(reply)
    if (first.replies.length < first.want) return
    this.#waiting.shift()
    first.settle({ ok: true, replies: first.replies })
  }

  /** Breaks the connection at once; the next question opens a new one. */
  drop(because = 'dropped'): void {
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) one.settle(failed('gone', because))
  }

  close(): void {
    this.#closed = true
    this.drop('closed')
  }
}

/** A connected socket, or an error; never later than the bound. */
export function openSocket(target: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { path, host, port, tls } = target
    const socket =
      tls === undefined
        ? connectTcp(path === undefined ? { host, port, noDelay: true } : { path })
        : connectTls({ host, port, ...tlsOptions(tls) })
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${OPEN_MS} ms`)), OPEN_MS)
    const opened = (): void => {
      clearTimeout(timer)
      socket.off('error', refused)
      socket.on('error', () => undefined)
      resolve(socket)
    }
    const refused = (error: Error): void => {
      clearTimeout(timer)
      reject(error)
    }
    socket.once('error', refused)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', opened)
  })
}

/** Members are known by their authority, not by the name in the certificate. */
function tlsOptions(tls: { readonly ca?: string }): object {
  const checkServerIdentity = (): undefined => undefined
  return tls.ca === undefined
    ? { rejectUnauthorized: false }
    : { ca: tls.ca, rejectUnauthorized: true, checkServerIdentity }
}

function failed(code: string, because: string): Answer & { readonly ok: false } {
  return { ok: false, because, code }
}

function errorAnswer(error: unknown): Answer {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown'
  return failed(code, errorText(error))
}

function errorText(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
