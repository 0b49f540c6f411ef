/**
 * For tests of the server: real HTTP agents of one group that answer from values a test sets and wait like real ones,
 * and a server in this process with its own folder and database.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentStatus, ApiSession, FaultStatus, MemberStatus, ReasonLine } from '@holdfast/client'
import { loadPlatform } from '../config/load.ts'
import type { Platform } from '../config/platform.ts'
import { type Clock, systemClock } from '../io/clock.ts'
import { createLog } from '../io/log.ts'
import { type RunningServer, startServer } from './wire.ts'
import { World } from './world.fixture.ts'

export const TOKEN = 'a-token-of-good-length'
export const PASSWORD = 'correct horse battery'

export interface FakeAgent {
  readonly name: string
  readonly port: number
  /** Changes of the platform that reached it: `switchover`, `pause`, ... with their bodies. */
  readonly asked: { readonly verb: string; readonly group: string; readonly body: Record<string, unknown> }[]
  status: AgentStatus
  /** Faults of drills; lifted by `/v1/drills/lift`. */
  faults: FaultStatus[]
  /** Applies a change and answers everybody who waits. */
  tell(change: { readonly status?: Partial<AgentStatus>; readonly reasons?: readonly ReasonLine[] }): void
  close(): Promise<void>
}

const KEPT = 200

export async function fakeAgent(
  name: string,
  members: readonly MemberStatus[],
  world: World = new World(),
): Promise<FakeAgent> {
  const waiting = new Set<() => void>()
  let told: ReasonLine[] = []
  let total = 0
  let turn = 0
  const asked: FakeAgent['asked'] = []
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const mark = () => `boot-${name}.${total}.${turn}`
  const agent: FakeAgent = {
    name,
    port: (server.address() as AddressInfo).port,
    asked,
    status: statusOf(name, members),
    faults: [],
    tell({ status = {}, reasons = [] }) {
      agent.status = { ...agent.status, ...status }
      told = [...told, ...reasons].slice(-KEPT)
      total += reasons.length
      turn += 1
      for (const done of [...waiting]) done()
    },
    close: () => shut(server),
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://agent')
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      response.writeHead(401).end('{}')
      return
    }
    if (url.pathname.startsWith('/v1/drills/')) return faultsAt(agent, response, url.pathname)
    if (url.pathname !== '/v1/status') return action(request, response, url.pathname)
    const after = url.searchParams.get('after') ?? ''
    if (after === mark()) await pause(waiting, Number(url.searchParams.get('waitMs')))
    const [boot, known] = after.split('.')
    const from = boot === `boot-${name}` ? Number(known) : 0
    const fresh = Math.min(told.length, Math.max(0, total - from))
    const body = { ...agent.status, boot: `boot-${name}`, mark: mark(), reasonsTotal: total }
    const reasons = fresh === 0 ? [] : told.slice(-fresh)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...body, reasons }))
  }
  async function action(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const [, , room, group = '', verb = ''] = path.split('/')
    const text = Buffer.concat(chunks).toString('utf8')
    const said = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    if (room === 'groups') asked.push({ verb, group, body: said })
    const reply = world.reply(request.method ?? '', path, said)
    if (reply !== null) {
      response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body))
      return
    }
    const epoch = agent.status.groups.find((record) => record.group === group)?.epoch
    if (said.ifEpoch !== undefined && said.ifEpoch !== epoch) {
      const message = `${group} is at epoch ${epoch}, not ${said.ifEpoch}`
      const error = { code: 'HF_GROUP_CHANGED', message, next: 'look again', retryable: true, doc: '' }
      response.writeHead(409, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
      return
    }
    const body = verb === 'pause' || verb === 'resume' ? { ok: true } : { id: 'an-intent' }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  world.agents.push(agent)
  return agent
}

function faultsAt(agent: FakeAgent, response: ServerResponse, path: string): void {
  if (path === '/v1/drills/lift') agent.faults = []
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ faults: agent.faults }))
}

function pause(waiting: Set<() => void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      waiting.delete(done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    waiting.add(done)
  })
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

export function statusOf(
  agent: string,
  members: readonly MemberStatus[],
  changes: Partial<AgentStatus> = {},
): AgentStatus {
  return {
    agent,
    site: 'north',
    version: '0.1.0',
    loopAgeMs: 4,
    store: { reachable: true, lastConfirmedMsAgo: 120 },
    guard: { alive: true, pid: 4_000 },
    members,
    groups: [groupRecord('orders-1', 7)],
    reasons: [],
    reasonsTotal: 0,
    boot: '',
    mark: '',
    ...changes,
  }
}

export function groupRecord(holder: string, epoch: number, group = 'orders'): AgentStatus['groups'][number] {
  const eligible = ['orders-1', 'orders-2', 'orders-3']
  return { group, epoch, phase: 'open', holder, eligible, need: 1, paused: null, failsafe: false }
}

export function memberWords(n: number, primary: boolean, group = 'orders'): MemberStatus {
  return {
    group,
    member: `${group}-${n}`,
    agent: `agent-${n}`,
    site: n === 3 ? 'south' : 'north',
    role: primary ? 'primary' : 'replica',
    epoch: 7,
    engine: {
      running: true,
      answering: true,
      role: primary ? 'primary' : 'replica',
      data: 'ready',
      timeline: 3,
      lsn: 1_000_000,
      receiving: !primary,
      upstream: primary ? null : `${group}-1`,
      started: '100.1.a',
    },
    writableForMs: primary ? 2_400 : 0,
    lagBytes: 0,
    staleMs: 0,
    address: { host: '127.0.0.1', port: 5_432 },
    work: null,
  }
}

export interface TestServer {
  readonly url: string
  readonly code: string
  readonly folder: string
  readonly platform: Platform
  readonly agents: readonly FakeAgent[]
  readonly world: World
  readonly server: RunningServer
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>
  /** Makes the first admin. */
  admin(): Promise<Session>
  login(user: string, password: string): Promise<Session>
  close(): Promise<void>
}

export interface Session {
  readonly cookie: string
  readonly csrf: string
}

export interface AskOptions {
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string
  readonly session?: Session
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The path is not below the API. */
  readonly absolute?: true
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

interface Described {
  /** More lines of the description's `server:` block. */
  readonly more?: string
  /** More groups. */
  readonly groups?: string
}

export interface TestOptions extends Described {
  readonly databaseUrl?: string
  readonly clock?: Clock
  readonly dashboardDir?: string
  readonly adminCode?: boolean
  readonly port?: number
  /** Every secret of the description. */
  readonly token?: string
}

export function description(ports: readonly number[], { more = '', groups = '' }: Described = {}): string {
  const site = (index: number): string => (index === 2 ? 'south' : 'north')
  const agents = ports.map(
    (port, index) => `  - { name: agent-${index + 1}, site: ${site(index)}, listen: 127.0.0.1:${port} }`,
  )
  const members = ports.map((_, index) => {
    const n = index + 1
    return `      - { name: orders-${n}, agent: agent-${n}, listen: 127.0.0.1:${n}, dataDir: data-${n} }`
  })
  return `version: 1
platform: shop
sites: [{ name: north }, { name: south }, { name: hill, witness: true }]
store: { kind: embedded, site: hill, listen: 127.0.0.1:9, token: { env: HOLDFAST_TOKEN } }
agentDefaults: { token: { env: HOLDFAST_TOKEN } }
agents:
${agents.join('\n')}
groups:
  - name: orders
    engine: postgres
    replication: sync
    members:
${members.join('\n')}
    secrets: { superuser: { env: HOLDFAST_TOKEN }, replication: { env: HOLDFAST_TOKEN } }
${groups}services:
  - { name: shop, home: north, objectives: { rto: 10s, rpo: 0s }, groups: [{ group: orders }] }
server:
  listen: 127.0.0.1:8
${more}`
}

export async function testServer(options: TestOptions = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-server-'))
  const world = new World()
  const agents = await Promise.all([1, 2, 3].map((n) => fakeAgent(`agent-${n}`, [memberWords(n, n === 1)], world)))
  const file = join(folder, 'holdfast.yaml')
  writeFileSync(
    file,
    description(
      agents.map(({ port }) => port),
      options,
    ),
  )
  const loaded = loadPlatform(file, { env: { HOLDFAST_TOKEN: options.token ?? TOKEN } })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
  const { platform } = loaded
  const server = await startServer({
    platform,
    name: 'test',
    listen: { host: '127.0.0.1', port: options.port ?? 0 },
    databaseUrl: options.databaseUrl ?? null,
    adminCode: options.adminCode ?? false,
    dashboardDir: options.dashboardDir ?? join(folder, 'none'),
    version: '0.1.0',
    clock: options.clock ?? systemClock,
    log: createLog({ level: 'silent', name: 'test' }),
  })
  const { url } = server
  const ask = (method: string, path: string, more: AskOptions = {}) => askAt(url, method, path, more)
  return {
    ...{ url, folder, platform, agents, world, server, ask },
    code: server.code ?? '',
    admin: async () => sessionFrom(await ask('POST', '/session/first-admin', { body: adminBody(server.code ?? '') })),
    login: async (user, password) => sessionFrom(await ask('POST', '/session', { body: { user, password } })),
    close: async () => {
      await server.close()
      await Promise.all(agents.map((agent) => agent.close()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export function adminBody(code: string) {
  return { code, user: 'root', password: PASSWORD }
}

export function sessionFrom(answer: Answer): Session {
  if (answer.status !== 200) throw new Error(`no session: ${answer.status} ${answer.text}`)
  const cookie = (answer.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
  return { cookie, csrf: (answer.json as unknown as ApiSession).csrf }
}

export async function askAt(url: string, method: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { body, raw, session, token, headers = {} } = options
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const answer = await fetch(options.absolute || path.startsWith('/api') ? `${url}${path}` : `${url}/api/v1${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
      ...(session === undefined ? {} : { cookie: session.cookie, 'holdfast-csrf': session.csrf }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(sent === undefined ? {} : { body: sent }),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await answer.text()
  let json: Answer['json'] = {}
  try {
    json = JSON.parse(text) as Answer['json']
  } catch {
    // Not every answer is a document.
  }
  return { status: answer.status, headers: answer.headers, text, json: json }
}

/** Until it holds, with a deadline that only a defect reaches. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, ms = 30_000): Promise<void> {
  const endMs = systemClock.nowMs() + ms
  while (!(await holds())) {
    if (systemClock.nowMs() > endMs) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
