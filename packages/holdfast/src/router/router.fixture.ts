/**
 * For tests: a router on real sockets with a real store, the embedded one, in a folder of its own. Backends are small
 * TCP servers that greet as PostgreSQL does and then echo, so that every byte can be followed.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GroupRecord } from '../core/model.ts'
import { systemClock } from '../io/clock.ts'
import type { Store } from '../store/contract.ts'
import { connectEmbeddedStore } from '../store/embedded/client.ts'
import { type EmbeddedStore, startEmbeddedStore } from '../store/embedded/server.ts'
import { refusalPacket } from './postgres-greeting.ts'
import { type Router, type RouterOptions, startRouter } from './wire.ts'

export const HOST = '127.0.0.1'
export const TOKEN = 'a-token-for-tests'
export const ends: (() => unknown)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
})

export const STARTUP = Buffer.concat([Buffer.from([0, 0, 0, 15, 0, 3, 0, 0]), Buffer.from('user\0x\0')])
STARTUP.writeUInt32BE(STARTUP.length, 0)
export const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
const NOT_NOW = refusalPacket({ sqlState: '57P03', message: 'starting up', detail: '', hint: '' })

type Mood = 'echo' | 'silent' | 'not-now' | 'drain-nothing'

/** Answers the start-up packet with its name, then echoes. */
export class Backend {
  readonly name: string
  readonly sockets = new Set<Socket>()
  mood: Mood = 'echo'
  accepted = 0
  #server: Server | null = null
  port = 0

  constructor(name: string) {
    this.name = name
  }

  async up(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket)).listen(this.port, HOST)
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  async down(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    const server = this.#server
    this.#server = null
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.accepted += 1
    this.sockets.add(socket)
    let greeted = false
    socket.on('error', () => {})
    socket.on('close', () => this.sockets.delete(socket))
    if (this.mood === 'drain-nothing') {
      socket.pause()
      return
    }
    socket.on('data', (chunk) => {
      if (this.mood === 'silent') return
      if (!greeted && chunk.equals(SSL_REQUEST)) socket.write('N')
      else if (this.mood === 'not-now') socket.end(NOT_NOW)
      else if (!greeted) {
        greeted = true
        socket.write(`R${this.name};`)
      } else socket.write(chunk)
    })
  }
}

/** A client that collects what it reads. */
export class Client {
  readonly socket: Socket
  text = ''
  closed = false

  constructor(port: number, first: Buffer | string | null = STARTUP) {
    this.socket = connect(port, HOST)
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1')
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
    })
    if (first !== null) this.socket.write(first)
    ends.push(() => this.socket.destroy())
  }

  async reads(wanted: string, boundMs = 2_000): Promise<void> {
    await until(() => this.text.includes(wanted), boundMs, `"${wanted}" in "${this.text}"`)
  }

  async ends(boundMs = 2_000): Promise<void> {
    await until(() => this.closed, boundMs, 'the client’s connection ends')
  }
}

export async function until(holds: () => boolean, boundMs: number, what: string): Promise<void> {
  const endMs = systemClock.nowMs() + boundMs
  while (!holds()) {
    assert.ok(systemClock.nowMs() < endMs, `not within ${boundMs} ms: ${what}`)
    await sleep(2)
  }
}

export function record(epoch: number, phase: GroupRecord['phase'], holder: string | null): GroupRecord {
  const none = { release: null, intent: null, pause: null, lastIntent: null, lastOpen: null, lastPublished: null }
  const sync = { members: [], need: 0, disks: {} }
  const who = { holder, agent: holder, session: 's', systemId: '1', timeline: epoch, members: ['a', 'b'] }
  return { v: 1, stamp: `${epoch} ${phase}`, group: 'g', epoch, phase, ...who, sync, ...none }
}

interface Rig {
  readonly a: Backend
  readonly b: Backend
  readonly router: Router
  readonly port: number
  readonly codes: string[]
  readonly server: EmbeddedStore
  put(value: GroupRecord): Promise<void>
  door(): ReturnType<Router['status']>['doors'][number]
}

async function freshStore(): Promise<{ server: EmbeddedStore; store: Store }> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-router-'))
  ends.push(() => rmSync(dir, { recursive: true, force: true }))
  const server = await startEmbeddedStore({ host: HOST, port: 0, file: join(dir, 'store.db'), token: TOKEN })
  ends.push(() => server.close())
  const store = connectEmbeddedStore({ urls: [server.url], token: TOKEN })
  ends.push(() => store.close())
  return { server, store }
}

export async function rig(more: Partial<RouterOptions> = {}, storeUp = true): Promise<Rig> {
  const [a, b] = [new Backend('a'), new Backend('b')]
  for (const backend of [a, b]) {
    await backend.up()
    ends.push(() => backend.down())
  }
  const { server, store } = await freshStore()
  if (!storeUp) await server.close()
  const codes: string[] = []
  const router = await startRouter({
    name: 'r1',
    site: 'east',
    doors: [{ group: 'g', listen: { host: HOST, port: 0 } }],
    members: {
      a: { group: 'g', host: HOST, port: a.port, site: 'east' },
      b: { group: 'g', host: HOST, port: b.port, site: 'west' },
    },
    store,
    agents: { urls: [], token: null },
    clock: systemClock,
    onReason: (reason) => codes.push(reason.code),
    ...more,
  })
  ends.push(() => router.close())
  let revision = 0
  async function put(value: GroupRecord): Promise<void> {
    const result = await store.compareAndSet('groups/g', JSON.stringify(value), revision, 1_000)
    assert.equal(result.kind, 'ok')
    if (result.kind === 'ok') revision = result.entry.revision
  }
  const door = () => {
    const [first] = router.status().doors
    assert.ok(first)
    return first
  }
  return { a, b, router, port: door().port, codes, server, put, door }
}
