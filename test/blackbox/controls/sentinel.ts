/**
 * A control of the `lost` checker by a program known to lose: Redis with three Sentinels, whose planned failover
 * promotes a replica while the old primary goes on acknowledging for about a second. One client pushes numbers, each
 * once, to the primary that Sentinel names; the history is the black box's own. The checker must find what is gone.
 *
 *   node test/blackbox/controls/sentinel.ts [--tries 3] [--output json]
 *
 * Exit code 0 when it found a loss, 1 when it found none within the tries, 2 when Redis could not be run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loopbackWorld } from '../../../bench/loopback.ts'
import { programPath } from '../../../packages/holdfast/src/io/program-path.ts'
import { freePorts } from '../../platform.ts'
import { lost } from '../checkers/lost.ts'
import type { HistoryLine, Verdict, World } from '../contract.ts'
import { nowNs } from '../history.ts'

const NODES = 3
const HOST = '127.0.0.1'
const GROUP = 'numbers'
const LIST = 'numbers'
const ANSWER_MS = 300
const PACE_MS = 2
const AGAIN_MS = 20
const READY_MS = 30_000
const TAKEOVER_MS = 30_000
const BEFORE_MS = 1_500
const AFTER_MS = 1_500
const REPLY_BYTES_MAX = 64 * 1_048_576

export interface SentinelResult {
  readonly verdict: Verdict
  readonly moved: boolean
}

/** One group, one planned failover, one verdict. */
export async function sentinelRun(): Promise<SentinelResult> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-sentinel-'))
  const world = loopbackWorld([])
  try {
    const ports = await freePorts(2 * NODES)
    const [servers, sentinels] = [ports.slice(0, NODES), ports.slice(NODES)]
    startAll(world, folder, { servers, sentinels })
    const [first = 0] = sentinels
    await until('the group to be whole', READY_MS, () => isWhole(first, servers[0] ?? 0))
    const pusher = new Pusher(first)
    await sleep(BEFORE_MS)
    const before = await primaryOf(first)
    await ask(first, ['SENTINEL', 'FAILOVER', GROUP])
    await until('another primary', TAKEOVER_MS, async () => (await primaryOf(first)) !== before)
    const newPrimary = await primaryOf(first)
    await until('the client to write there', TAKEOVER_MS, async () => pusher.writesTo(newPrimary))
    await sleep(AFTER_MS)
    await pusher.stop()
    const rows = (await ask(newPrimary, ['LRANGE', LIST, '0', '-1'])) as readonly string[]
    const primary = String(newPrimary)
    const final = { primary, members: { [primary]: { rows: rows.map((n) => `${n}/1`), balances: [], lists: {} } } }
    const verdict = lost({ history: pusher.history, final, mode: 'sync', bound: null, promotions: [] })
    return { verdict, moved: newPrimary !== before }
  } finally {
    await world.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Ports {
  readonly servers: readonly number[]
  readonly sentinels: readonly number[]
}

function startAll(world: World, folder: string, { servers, sentinels }: Ports): void {
  const [server, sentinel] = [programPath('redis-server'), programPath('redis-sentinel')]
  if (server === null || sentinel === null) throw new Error('needs redis with sentinel: npm run engines -- --rivals')
  const [first = 0] = servers
  for (const port of servers) {
    const follows = port === first ? [] : ['--replicaof', HOST, String(first)]
    const words = ['--port', String(port), '--bind', HOST, '--dir', folder, '--dbfilename', `${port}.rdb`]
    const args = [...words, '--repl-diskless-sync-delay', '0', ...follows]
    world.spawn({ host: 'h1', command: server, args, cwd: folder, log: join(folder, `${port}.log`) })
  }
  for (const port of sentinels) {
    const file = join(folder, `sentinel-${port}.conf`)
    writeFileSync(
      file,
      `port ${port}
bind ${HOST}
dir ${folder}
sentinel monitor ${GROUP} ${HOST} ${first} 2
sentinel down-after-milliseconds ${GROUP} 1000
sentinel failover-timeout ${GROUP} 10000
`,
    )
    world.spawn({ host: 'h1', command: sentinel, args: [file], cwd: folder, log: join(folder, `${port}.log`) })
  }
}

/** Both replicas stream, and every Sentinel knows the others and them. */
async function isWhole(sentinel: number, primary: number): Promise<boolean> {
  const state = String(await ask(primary, ['INFO', 'replication']))
  const fields = (await ask(sentinel, ['SENTINEL', 'MASTER', GROUP])) as readonly string[]
  const field = (name: string): string | undefined => fields[fields.indexOf(name) + 1]
  const known = field('num-slaves') === String(NODES - 1) && field('num-other-sentinels') === String(NODES - 1)
  return known && (state.match(/state=online/g)?.length ?? 0) === NODES - 1
}

async function primaryOf(sentinel: number): Promise<number> {
  const answer = (await ask(sentinel, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP])) as readonly string[]
  return Number(answer[1])
}

/** Pushes each number once; a number without an answer is unknown, and is never sent again. */
class Pusher {
  readonly history: HistoryLine[] = []
  readonly #sentinel: number
  readonly #done: Promise<void>
  #running = true

  constructor(sentinel: number) {
    this.#sentinel = sentinel
    this.#done = this.#push()
  }

  writesTo(port: number): boolean {
    return this.history.findLast(({ type }) => type === 'ok')?.node === String(port)
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #push(): Promise<void> {
    let link: Link | null = null
    for (let n = 1; this.#running; n += 1) {
      try {
        link ??= await Link.open(await primaryOf(this.#sentinel))
      } catch {
        await sleep(AGAIN_MS)
        continue
      }
      this.#tell('invoke', n)
      try {
        await link.ask(['RPUSH', LIST, String(n)])
        this.#tell('ok', n, String(link.port))
        await sleep(PACE_MS)
      } catch (error) {
        // A refusal was not done; silence may have been.
        this.#tell(error instanceof Refusal ? 'fail' : 'info', n)
        link.close()
        link = null
        await sleep(AGAIN_MS)
      }
    }
    link?.close()
  }

  #tell(type: 'invoke' | 'ok' | 'fail' | 'info', n: number, node = ''): void {
    const who = type === 'ok' ? { node, epoch: 0 } : {}
    const value = { n, attempt: 1 }
    this.history.push({ index: this.history.length, time: nowNs(), type, process: n, f: 'insert', value, ...who })
  }
}

type Reply = string | null | readonly Reply[]
class Refusal extends Error {}

/** One connection, one question at a time. */
class Link {
  readonly port: number
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)
  #waiter: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | null = null

  private constructor(port: number) {
    this.port = port
    this.#socket = connect({ host: HOST, port, noDelay: true })
    this.#socket.on('data', (chunk) => this.#take(chunk))
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('the connection ended')))
  }

  static async open(port: number): Promise<Link> {
    const link = new Link(port)
    await link.ask(['PING'])
    return link
  }

  ask(words: readonly string[]): Promise<Reply> {
    const limit = setTimeout(() => this.#fail(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS)
    const answer = new Promise<Reply>((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
    this.#socket.write(`*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`)
    return answer.finally(() => clearTimeout(limit))
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    if (this.#bytes.length > REPLY_BYTES_MAX) this.#fail(new Error('the reply is too long'))
    const parsed = parse(this.#bytes, 0)
    if (parsed === null) return
    this.#bytes = this.#bytes.subarray(parsed.end)
    const waiter = this.#waiter
    this.#waiter = null
    if (parsed.reply instanceof Refusal) waiter?.reject(parsed.reply)
    else waiter?.resolve(parsed.reply)
  }

  #fail(error: Error): void {
    this.#socket.destroy()
    this.#waiter?.reject(error)
    this.#waiter = null
  }
}

interface Parsed {
  readonly reply: Reply | Refusal
  readonly end: number
}

/** RESP 2 (redis.io, "Redis serialization protocol"); null when more bytes are needed. */
function parse(bytes: Buffer, at: number): Parsed | null {
  const line = bytes.indexOf('\r\n', at)
  if (line < 0) return null
  const [kind, text, next] = [bytes.toString('latin1', at, at + 1), bytes.toString('utf8', at + 1, line), line + 2]
  if (kind === '+' || kind === ':') return { reply: text, end: next }
  if (kind === '-') return { reply: new Refusal(text), end: next }
  const count = Number(text)
  if (kind === '$') {
    if (count < 0) return { reply: null, end: next }
    const end = next + count
    return bytes.length < end + 2 ? null : { reply: bytes.toString('utf8', next, end), end: end + 2 }
  }
  const list: Reply[] = []
  let end = next
  for (let i = 0; i < count; i += 1) {
    const one = parse(bytes, end)
    if (one === null) return null
    list.push(one.reply instanceof Refusal ? one.reply.message : one.reply)
    end = one.end
  }
  return { reply: list, end }
}

async function ask(port: number, words: readonly string[]): Promise<Reply> {
  const link = await Link.open(port)
  try {
    return await link.ask(words)
  } finally {
    link.close()
  }
}

async function until(what: string, boundMs: number, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + boundMs
  while (performance.now() < untilMs) {
    if (await holds().catch(() => false)) return
    await sleep(100)
  }
  throw new Error(`${what} did not come within ${boundMs} ms`)
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { tries: { type: 'string', default: '3' }, output: { type: 'string' } } })
  let last: SentinelResult | null = null
  for (let at = 1; at <= Number(values.tries); at += 1) {
    last = await sentinelRun()
    const { figures, ok } = last.verdict
    if (values.output !== 'json') {
      console.log(`try ${at}: ${figures.acknowledged} acknowledged, ${figures.lost} lost, ${figures.unknown} unknown`)
    }
    if (!ok) break
  }
  const found = last !== null && !last.verdict.ok
  if (values.output === 'json') console.log(JSON.stringify({ found, ...last }))
  else console.log(found ? 'the checker found the loss' : 'THE CHECKER FOUND NO LOSS')
  return found ? 0 : 1
}

if (import.meta.main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    console.error(`sentinel: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 2
  }
}
