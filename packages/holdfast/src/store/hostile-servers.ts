/**
 * Servers and lines as they are on bad days, for tests of store clients: they accept and say nothing, answer nonsense,
 * or stop carrying bytes without closing. All on loopback and on free ports.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface HostileServer {
  readonly url: string
  close(): Promise<void>
}

/** Accepts connections and never says anything. */
export function startBlackhole(): Promise<HostileServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.resume()
  })
  return listening(server, () => {
    for (const socket of sockets) socket.destroy()
  })
}

/** A port whose process is stopped and whose queue is full: connecting takes for ever. */
export async function startDeafPort(): Promise<HostileServer> {
  const program = `const s = require('node:net').createServer(() => {})
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = Number(String(await new Promise((resolve) => child.stdout.once('data', resolve))))
  const gone = once(child, 'exit')
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 8 }, () => connect({ host: '127.0.0.1', port }).on('error', () => {}))
  await new Promise((resolve) => setTimeout(resolve, 50))
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      for (const filler of fillers) filler.destroy()
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** Says `words` to whoever connects, HTTP or not. */
export function startBabbler(words: string): Promise<HostileServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.resume()
    socket.end(words)
  })
  return listening(server, () => {
    for (const socket of sockets) socket.destroy()
  })
}

export const NONSENSE: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'a web page': (response) => respond(response, 200, '<html><body>captive portal</body></html>'),
  'half a JSON object': (response) => respond(response, 200, '{"header":{"cluster_id":"1","revi'),
  'nothing at all': (response) => respond(response, 200, ''),
  'an array': (response) => respond(response, 200, '[1,2,3]'),
  null: (response) => respond(response, 200, 'null'),
  'an empty object': (response) => respond(response, 200, '{}'),
  'fields of wrong types': (response) =>
    respond(
      response,
      200,
      JSON.stringify({
        store: 7,
        revision: '9x',
        applied: 'yes',
        entry: { key: 1, value: {}, revision: -4 },
        entries: 'none',
        header: { cluster_id: 5, revision: 1.5, raft_term: [] },
        kvs: { key: 3 },
        succeeded: 'no',
        responses: [null],
        result: 12,
      }),
    ),
  'a good header and bad entries': (response) =>
    respond(
      response,
      200,
      JSON.stringify({
        store: 'abc',
        revision: 5,
        applied: true,
        entry: { key: 'other/key', value: 'x', revision: 5 },
        entries: [{ key: 'other/key', value: 3, revision: 5 }],
        header: { cluster_id: '5', revision: '5', raft_term: '2' },
        kvs: [{ key: 'b3RoZXI=', mod_revision: 'NaN', value: 'eA==' }],
        succeeded: true,
        responses: [{}],
        result: { header: { cluster_id: '5' }, events: [{ type: 'MOVE' }] },
      }),
    ),
  'an error of the server': (response) => respond(response, 500, '{"error":"out of order","code":2}'),
  'an error page': (response) => respond(response, 502, '<h1>Bad gateway</h1>'),
  'a body without an end': (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const timer = setInterval(() => response.write('x'.repeat(65_536)), 1)
    response.on('close', () => clearInterval(timer))
  },
  'a body that stops half-way': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1_000 })
    response.write('{"header":')
  },
  'a connection that breaks': (response) => response.destroy(),
}

export function startNonsense(answer: (response: ServerResponse) => void): Promise<HostileServer> {
  const server = createHttpServer((request, response) => {
    response.on('error', () => {})
    request.resume()
    request.on('error', () => {})
    request.on('end', () => answer(response))
  })
  return listening(server, () => server.closeAllConnections())
}

export interface Line extends HostileServer {
  /** Bytes are no longer carried; connections stay open. */
  cut(): void
  /** Requests are still carried, answers are not. Until `heal`. */
  deafen(): void
  /** New connections go to another target; the present ones end. */
  retarget(target: string): void
  /** New connections are carried again; those that were cut stay dead. */
  heal(): void
}

/** A line to `target` that can be cut silently. */
export async function startLine(target: string): Promise<Line> {
  let to = new URL(target)
  const pairs = new Set<readonly [near: Socket, far: Socket]>()
  let state: 'open' | 'deaf' | 'cut' = 'open'
  const server = createServer((near) => {
    const far = connect({ host: to.hostname, port: Number(to.port), noDelay: true })
    near.setNoDelay(true)
    pairs.add([near, far])
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
    if (state !== 'cut') near.pipe(far)
    if (state === 'open') far.pipe(near)
  })
  const destroyAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    pairs.clear()
  }
  const { url, close } = await listening(server, destroyAll)
  const hush = (next: 'deaf' | 'cut') => {
    state = next
    for (const [near, far] of pairs) {
      far.unpipe(near)
      far.pause()
      if (next === 'deaf') continue
      near.unpipe(far)
      near.pause()
    }
  }
  return {
    url: url.replace('http:', to.protocol),
    close,
    cut: () => hush('cut'),
    deafen: () => hush('deaf'),
    retarget: (next) => {
      to = new URL(next)
      destroyAll()
    },
    heal: () => {
      state = 'open'
    },
  }
}

function respond(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(body)
}

function listening(server: Server, destroyAll: () => void): Promise<HostileServer> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      resolve({
        url: `http://127.0.0.1:${port}`,
        close: () =>
          new Promise((done) => {
            server.close(() => done())
            destroyAll()
          }),
      })
    })
  })
}
