/**
 * One client: a connection through the door, renewed when it is lost, and a line of history before and after each
 * operation. What an operation does is the workload's; what its end means is decided here and in `outcome.ts`.
 */
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Address, HistoryLine, Lane, OperationName } from '../contract.ts'
import { type HistoryWriter, nowNs, PROCESS_STRIDE } from '../history.ts'
import { isUnconfirmed, outcomeOf } from './outcome.ts'
import { type Who, whoOf } from './tables.ts'

export interface ClientOptions {
  readonly door: Address
  readonly login: Lane['login']
  readonly nodes: Readonly<Record<string, string>>
  readonly connectMs: number
  readonly answerMs: number
  readonly history: HistoryWriter
  /** Number of the client, below the stride of processes. */
  readonly client: number
  /** Aborted when no further operation is to begin. */
  readonly signal: AbortSignal
}

/** What a workload does in one operation. */
export interface Operation {
  readonly f: OperationName
  readonly value: unknown
  /** Leaves no transaction open; gives what came of it. An error in it decides the outcome. */
  readonly work: (query: Query) => Promise<{ readonly value: unknown; readonly who: unknown }>
}

export type Query = (text: string, values?: readonly unknown[]) => Promise<readonly unknown[]>

/** Back-off after an operation that did not succeed. */
const AGAIN_MS = 20

interface Connection {
  readonly client: pg.Client
  readonly socket: Socket
  unconfirmed: boolean
}

export class Client {
  readonly #options: ClientOptions
  #process: number
  #connection: Connection | null = null

  constructor(options: ClientOptions) {
    this.#options = options
    this.#process = options.client
  }

  get stopping(): boolean {
    return this.#options.signal.aborted
  }

  get number(): number {
    return this.#options.client
  }

  async operate(operation: Operation): Promise<'ok' | 'fail' | 'info'> {
    const beganNs = nowNs()
    let connection: Connection
    try {
      connection = await this.#connected()
    } catch (error) {
      // Nothing was sent: the time it began is told all the same, or the wait would not be seen.
      this.#log('invoke', operation, { time: beganNs })
      return this.#end('fail', operation, `connect: ${outcomeOf(error).error}`)
    }
    this.#log('invoke', operation, {})
    connection.unconfirmed = false
    try {
      const { value, who } = await operation.work(queryOn(connection.client))
      const by: Who = whoOf(who, this.#options.nodes)
      if (connection.unconfirmed) return await this.#end('info', operation, 'not confirmed by a replica')
      const told = isRecord(value) ? { ...value, lsn: by.lsn } : value
      this.#log('ok', { ...operation, value: told }, { node: by.node, epoch: by.epoch })
      return 'ok'
    } catch (error) {
      return await this.#failed(connection, operation, error)
    }
  }

  /** Asks outside the history, on the same connection; null when there was no answer. */
  async ask(text: string, values: readonly unknown[]): Promise<readonly unknown[] | null> {
    try {
      const connection = await this.#connected()
      return await queryOn(connection.client)(text, values)
    } catch {
      this.#drop()
      await this.pause(AGAIN_MS)
      return null
    }
  }

  /** Ends at once when no further operation is to begin. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#options.signal }).catch(() => {})
  }

  close(): void {
    this.#drop()
  }

  async #failed(connection: Connection, operation: Operation, error: unknown): Promise<'fail' | 'info'> {
    const outcome = outcomeOf(error)
    // A transaction that failed half-way is still open; on a connection that is going away this is lost work only.
    if (outcome.alive) {
      await queryOn(connection.client)('rollback').catch(() => this.#drop())
    } else this.#drop()
    return this.#end(outcome.type, operation, outcome.error)
  }

  async #end(type: 'fail' | 'info', operation: Operation, error: string): Promise<'fail' | 'info'> {
    this.#log(type, operation, { error })
    if (type === 'info') this.#process += PROCESS_STRIDE
    await this.pause(AGAIN_MS)
    return type
  }

  #log(type: HistoryLine['type'], { f, value }: Pick<Operation, 'f' | 'value'>, more: Partial<HistoryLine>): void {
    this.#options.history.write({ type, process: this.#process, f, value, ...more })
  }

  async #connected(): Promise<Connection> {
    if (this.#connection !== null) return this.#connection
    const { door, login, connectMs, answerMs } = this.#options
    // A socket of our own: it can be thrown away while a statement is under way, without a word to the server.
    const socket = new Socket()
    const client = new pg.Client({
      ...login,
      ...door,
      stream: () => socket,
      connectionTimeoutMillis: connectMs,
      query_timeout: answerMs,
    })
    const connection: Connection = { client, socket, unconfirmed: false }
    const lost = (): void => {
      if (this.#connection === connection) this.#drop()
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notice', (notice: unknown) => {
      if (isUnconfirmed(notice)) connection.unconfirmed = true
    })
    try {
      await client.connect()
    } catch (error) {
      socket.destroy()
      throw error
    }
    this.#connection = connection
    return connection
  }

  #drop(): void {
    this.#connection?.socket.destroy()
    this.#connection = null
  }
}

/** `commit` of a transaction that had failed is answered with ROLLBACK, not with an error. */
class RolledBack extends Error {
  readonly severity = 'ERROR'
  readonly code = '40000'
}

function queryOn(client: pg.Client): Query {
  return async (text, values) => {
    const result = await client.query(text, values === undefined ? undefined : [...values])
    if (text === 'commit' && result.command !== 'COMMIT') throw new RolledBack('commit was answered with a rollback')
    return result.rows
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
