/**
 * For tests of the command line: real HTTP servers that answer like the agents of one group, from values a test sets.
 * What the CLI sends is kept, so that a test can look at it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentStatus, GroupExplanation, GroupStatus, IntentState, MemberStatus } from '@holdfast/client'
import { main } from './main.ts'

export const TOKEN = 'a-token-of-good-length'

export interface Sent {
  readonly agent: string
  readonly method: string
  readonly path: string
  readonly authorized: boolean
  readonly body: unknown
}

export interface Reply {
  readonly status: number
  readonly body: unknown
  /** Takes the request and never answers. */
  readonly silent?: true
}

export interface FakeAgents {
  readonly file: string
  readonly folder: string
  readonly sent: Sent[]
  status: (agent: number) => AgentStatus
  explanation: GroupExplanation
  /** Answers to `POST .../switchover` and the like; by verb. */
  posts: Record<string, Reply>
  /** Answers to `GET .../intents/:id`, one after the other; the last one stays. */
  intents: Reply[]
  stop(agent: number): Promise<void>
  close(): Promise<void>
}

export async function fakeAgents(): Promise<FakeAgents> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  const servers: Server[] = []
  const fake: FakeAgents = {
    file: join(folder, 'holdfast.yaml'),
    folder,
    sent: [],
    status: (agent) => agentStatus(agent),
    explanation: EXPLANATION,
    posts: {},
    intents: [],
    stop: (agent) => shut(servers[agent - 1]),
    close: async () => {
      await Promise.all(servers.map(shut))
      rmSync(folder, { recursive: true, force: true })
    },
  }
  for (const agent of [1, 2, 3]) servers.push(await serve(fake, agent))
  writeFileSync(fake.file, description(servers.map((server) => (server.address() as AddressInfo).port)))
  return fake
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the command line in this process, as in a pipe or as in a terminal; `interrupt` is its Ctrl-C. */
export async function run(
  argv: readonly string[],
  options: { isTty?: boolean; interrupt?: AbortSignal; onOut?: (text: string) => void } = {},
): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await main(argv, {
    out: (text) => {
      out += text
      options.onOut?.(out)
    },
    err: (text) => {
      err += text
    },
    isTty: options.isTty ?? false,
    env: { HOLDFAST_TOKEN: TOKEN },
    interrupted: options.interrupt ?? new AbortController().signal,
  })
  return { code, out, err }
}

function description(ports: readonly number[]): string {
  const agents = ports.map((port, index) => `  - { name: agent-${index + 1}, site: north, listen: 127.0.0.1:${port} }`)
  const members = ports.map((_, index) => {
    const n = index + 1
    return `      - { name: orders-${n}, agent: agent-${n}, listen: 127.0.0.1:${n}, dataDir: data-${n} }`
  })
  return `version: 1
platform: shop
sites: [{ name: north }]
store: { kind: embedded, listen: 127.0.0.1:4, token: { env: HOLDFAST_TOKEN } }
agentDefaults: { token: { env: HOLDFAST_TOKEN } }
agents:
${agents.join('\n')}
groups:
  - name: orders
    engine: postgres
    replication: sync
    members:
${members.join('\n')}
    secrets: { superuser: { env: NOT_SET }, replication: { env: NOT_SET } }
`
}

async function serve(fake: FakeAgents, agent: number): Promise<Server> {
  const server = createServer(async (request, response) => {
    const reply = await replyTo(fake, agent, request)
    if (reply.silent === true) return
    response.writeHead(reply.status, { 'content-type': 'application/json' })
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

async function replyTo(fake: FakeAgents, agent: number, request: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  const path = request.url ?? ''
  const authorized = request.headers.authorization === `Bearer ${TOKEN}`
  const body: unknown = text === '' ? null : JSON.parse(text)
  fake.sent.push({ agent: `agent-${agent}`, method: request.method ?? '', path, authorized, body })
  if (!authorized) return refusal(401, 'HF_AUTH_REQUIRED', 'this path needs the token of the agents')
  if (path === '/v1/status') return { status: 200, body: fake.status(agent) }
  if (path.endsWith('/explain')) return { status: 200, body: fake.explanation }
  if (path.includes('/intents/')) {
    const [next = refusal(404, 'HF_INTENT_UNKNOWN', 'no such request')] = fake.intents
    if (fake.intents.length > 1) fake.intents.shift()
    return next
  }
  return fake.posts[path.split('/').at(-1) ?? ''] ?? refusal(404, 'HF_PATH_UNKNOWN', `nothing at ${path}`)
}

export function refusal(status: number, code: string, message: string, next = ''): Reply {
  return { status, body: { error: { code, message, next, retryable: false, doc: '' } } }
}

export function intent(state: IntentState['state'], because: string, holder = 'orders-1'): Reply {
  return { status: 200, body: { id: 'i-1', state, because, holder, epoch: 8 } satisfies IntentState }
}

async function shut(server: Server | undefined): Promise<void> {
  if (server === undefined || !server.listening) return
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

export function memberStatus(agent: number, changes: Partial<MemberStatus> = {}): MemberStatus {
  const primary = agent === 1
  return {
    group: 'orders',
    member: `orders-${agent}`,
    agent: `agent-${agent}`,
    site: 'north',
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
      upstream: primary ? null : 'orders-1',
      started: '100.1.a',
    },
    writableForMs: primary ? 2_400 : 0,
    lagBytes: primary ? 0 : (agent - 2) * 1_536,
    staleMs: 0,
    address: { host: '127.0.0.1', port: agent },
    work: null,
    ...changes,
  }
}

export function groupStatus(changes: Partial<GroupStatus> = {}): GroupStatus {
  return {
    group: 'orders',
    epoch: 7,
    phase: 'open',
    holder: 'orders-1',
    eligible: ['orders-2', 'orders-3'],
    need: 1,
    paused: null,
    failsafe: false,
    ...changes,
  }
}

export function agentStatus(
  agent: number,
  changes: { member?: Partial<MemberStatus>; group?: Partial<GroupStatus>; status?: Partial<AgentStatus> } = {},
): AgentStatus {
  return {
    agent: `agent-${agent}`,
    site: 'north',
    version: '0.1.0',
    loopAgeMs: 4,
    store: { reachable: true, lastConfirmedMsAgo: 120 },
    guard: { alive: true, pid: 4_000 + agent },
    members: [memberStatus(agent, changes.member)],
    groups: [groupStatus(changes.group)],
    reasons: [],
    reasonsTotal: 0,
    boot: `boot-${agent}`,
    mark: `boot-${agent}.0.x`,
    ...changes.status,
  }
}

const EXPLANATION: GroupExplanation = {
  group: 'orders',
  seenBy: 'orders-1',
  holder: 'orders-1',
  epoch: 7,
  phase: 'open',
  candidates: [
    { member: 'orders-1', eligible: true, because: [] },
    { member: 'orders-2', eligible: true, because: [] },
    {
      member: 'orders-3',
      eligible: false,
      because: [
        {
          wallMs: 0,
          code: 'behind-floor',
          group: 'orders',
          member: 'orders-3',
          rule: 'R12',
          detail: { floorLsn: 1_000_000, lsn: 996_928, behindBytes: 3_072 },
        },
        {
          wallMs: 0,
          code: 'not-in-sync-set',
          group: 'orders',
          member: 'orders-3',
          rule: 'R16',
          detail: { need: 1 },
        },
      ],
    },
  ],
  wouldDo: 'orders-2 would take over.',
}
