/**
 * Managers and engines that answer as a test says: well, or with what no program should send. Everything that reaches
 * them is kept, so that a test can see that nothing but what is permitted was ever sent.
 */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { encode, ReplyReader } from '../io/resp.ts'

export interface Fake {
  readonly port: number
  /** Redis: words joined by blanks. HTTP: `GET /path`, with `!auth` when a password came along. */
  readonly heard: string[]
  close(): Promise<void>
}

export type RedisAnswer = (words: readonly string[], socket: Socket) => string | null

/** Answers raw protocol text; null: nothing at all. */
export async function fakeRedis(answer: RedisAnswer): Promise<Fake> {
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    const reader = new ReplyReader()
    socket.on('data', (chunk: Buffer) => {
      for (const command of reader.read(chunk)) {
        const words = Array.isArray(command) ? command.map(String) : [String(command)]
        heard.push(words.join(' '))
        const text = answer(words, socket)
        if (text !== null && !socket.destroyed) socket.write(text)
      }
    })
  })
  return { port: await listening(server), heard, close: () => closed(server, sockets) }
}

export async function fakeHttp(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Fake> {
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const server = createHttp((request, response) => {
    const proof = request.headers.authorization === undefined ? '' : ' !auth'
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      heard.push(`${request.method} ${request.url}${proof}${body === '' ? '' : ` ${body}`}`)
      answer(request, response)
    })
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return { port: await listening(server), heard, close: () => closed(server, sockets) }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function closed(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
}

/** A list of texts, as Sentinels answer. */
export function flat(pairs: Readonly<Record<string, string | number>>): string {
  return encode(Object.entries(pairs).flatMap(([name, value]) => [name, String(value)]))
}

export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}
