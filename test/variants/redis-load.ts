/**
 * Numbered writes of Redis clients through a router's door, and what became of them. In a group where replicas confirm
 * a write counts when `WAIT` says so; else when Redis answers.
 */
import type { Socket } from 'node:net'
import { openSocket } from '../../packages/holdfast/src/engines/redis/connection.ts'
import { encode, type Reply, ReplyError, ReplyReader } from '../../packages/holdfast/src/io/resp.ts'
import { SECRETS, until } from '../platform.ts'

const WRITERS = 4
const PACE_MS = 4
const AGAIN_MS = 10
const ANSWER_MS = 1_000
const WAIT_MS = '500'

/** One connection; an answer that does not come in time ends it. */
export class RedisClient {
  readonly #socket: Socket
  #waiting: { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void }[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    const reader = new ReplyReader()
    socket.on('data', (chunk: Buffer) => {
      for (const reply of reader.read(chunk)) this.#waiting.shift()?.resolve(reply)
    })
    socket.on('close', () => {
      for (const one of this.#waiting.splice(0)) one.reject(new Error('cut'))
    })
  }

  static async open(port: number, user = 'app', password = SECRETS.HF_APP): Promise<RedisClient> {
    const client = new RedisClient(await openSocket({ host: '127.0.0.1', port, user, password }))
    const answer = await client.run('AUTH', user, password)
    if (answer instanceof ReplyError) throw new Error(answer.message)
    return client
  }

  run(...words: string[]): Promise<Reply> {
    if (this.#socket.destroyed) return Promise.reject(new Error('cut'))
    const timer = setTimeout(() => this.close(), ANSWER_MS)
    const answer = new Promise<Reply>((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encode(words))
    })
    return answer.finally(() => clearTimeout(timer))
  }

  close(): void {
    this.#socket.destroy()
  }
}

export async function asked(port: number, ...words: string[]): Promise<Reply> {
  return until(`an answer to ${words.join(' ')}`, async () => {
    const client = await RedisClient.open(port).catch(() => null)
    try {
      const reply = (await client?.run(...words)) ?? null
      return reply instanceof ReplyError ? null : reply
    } catch {
      return null
    } finally {
      client?.close()
    }
  })
}

export class RedisLoad {
  readonly acked: { readonly n: number; readonly atMs: number }[] = []
  readonly refused = new Map<string, number>()
  readonly #port: number
  readonly #confirmations: number
  readonly #writers: Promise<void>[]
  #running = true
  #next = 0

  constructor(port: number, confirmations: number) {
    this.#port = port
    this.#confirmations = confirmations
    this.#writers = Array.from({ length: WRITERS }, () => this.#write())
  }

  /** Waits until this many more were acknowledged. */
  async more(count = 50): Promise<void> {
    const from = this.acked.length
    const told = (): string => JSON.stringify([...this.refused])
    await until(`${count} more acknowledged writes`, async () => this.acked.length >= from + count).catch((error) => {
      throw new Error(`${String(error)}; refused: ${told()}`)
    })
  }

  /** The longest time without an acknowledgement that ended after this moment. */
  outageMs(sinceMs: number): number {
    let longest = 0
    for (let i = 1; i < this.acked.length; i++) {
      const [before, now] = [this.acked[i - 1]?.atMs ?? 0, this.acked[i]?.atMs ?? 0]
      if (now > sinceMs) longest = Math.max(longest, now - before)
    }
    return Math.round(longest)
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#writers)
  }

  /** Numbers acknowledged so far that the primary does not have; what is acknowledged meanwhile it cannot show yet. */
  async lost(): Promise<readonly number[]> {
    const acked = this.acked.slice()
    const members = await asked(this.#port, 'SMEMBERS', 'entry')
    const have = new Set((Array.isArray(members) ? members : []).map(Number))
    return acked.map(({ n }) => n).filter((n) => !have.has(n))
  }

  async #write(): Promise<void> {
    let client: RedisClient | null = null
    while (this.#running) {
      try {
        client ??= await RedisClient.open(this.#port)
        await this.#one(client)
        await new Promise((resolve) => setTimeout(resolve, PACE_MS))
      } catch (error) {
        this.#refuse(error instanceof Error ? error.message : String(error))
        client?.close()
        client = null
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      }
    }
    client?.close()
  }

  async #one(client: RedisClient): Promise<void> {
    const n = this.#next++
    const added = await client.run('SADD', 'entry', String(n))
    if (added instanceof ReplyError) {
      this.#refuse(added.code)
      // A replica is no place to go on asking.
      if (added.code === 'READONLY') throw new Error('READONLY')
      return
    }
    if (this.#confirmations > 0) {
      const have = await client.run('WAIT', String(this.#confirmations), WAIT_MS)
      if (Number(have) < this.#confirmations) return this.#refuse('not confirmed')
    }
    this.acked.push({ n, atMs: performance.now() })
  }

  #refuse(why: string): void {
    this.refused.set(why, (this.refused.get(why) ?? 0) + 1)
  }
}
