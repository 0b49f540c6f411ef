/** The server as people meet it: state, events, actions, approvals, over real HTTP and against agents that answer. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ApiEvent, followServer, type ReasonLine, type StreamMessage } from '@holdfast/client'
import { systemClock } from '../io/clock.ts'
import { API_ROUTES, type ApiRoute } from './api/routes.ts'
import {
  groupRecord,
  memberWords,
  PASSWORD,
  type Session,
  type TestServer,
  TOKEN,
  testServer,
  until,
} from './server.fixture.ts'

const reason = (code: string, detail: ReasonLine['detail'] = {}): ReasonLine => {
  return { wallMs: systemClock.wallMs(), code, group: 'orders', member: 'orders-2', rule: 'R12', detail }
}

let server: TestServer
let root: Session
before(async () => {
  server = await testServer()
  root = await server.admin()
  await until('all agents are seen', async () =>
    (await server.ask('GET', '/platform', { session: root })).text.includes('"writer":"orders-1"'),
  )
})
after(() => server.close())

const events = async (query = ''): Promise<ApiEvent[]> =>
  (await server.ask('GET', `/events?limit=500${query}`, { session: root })).json.events as ApiEvent[]

describe('state', () => {
  it('every document answers as the contract says', async () => {
    const paths: Record<string, string> = {
      group: '/groups/orders',
      groupCanary: '/groups/orders/canary',
      service: '/services/shop',
      serviceCanary: '/services/shop/canary',
      plans: '/services/shop/plans',
      draftPlan: '/services/shop/dry-run?to=south',
    }
    for (const [id, route] of Object.entries<ApiRoute>(API_ROUTES)) {
      if (route.method !== 'GET' || typeof route.answer === 'string' || route.path.includes(':id')) continue
      if (id === 'explainGroup') continue
      const answer = await server.ask('GET', paths[id] ?? route.path, { session: root })
      assert.equal(answer.status, 200, `${id}: ${answer.text}`)
      assert.deepEqual(route.answer.parse(answer.json), answer.json, `${id} tells more or less than it promises`)
    }
  })

  it('health, readiness and metrics need nobody', async () => {
    for (const path of ['livez', 'readyz']) assert.equal((await fetch(`${server.url}/${path}`)).status, 200)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(metrics, /^holdfast_group_writable\{group="orders"\} 1$/m)
    assert.doesNotMatch(metrics, new RegExp(TOKEN))
  })
})

describe('a failover', () => {
  it('is told without being asked for, in order, with its incident; who was away hears it later, once', async () => {
    const seen: StreamMessage[] = []
    const following = followServer({
      url: server.url,
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, cookie: root.cookie } }),
      onMessage: (message) => seen.push(message),
    })
    await until('the stream begins', () => seen.some(({ type }) => type === 'platform'))
    const [one, two, three] = server.agents
    one?.tell({ status: { members: [{ ...memberWords(1, true), role: 'fencing', writableForMs: 0 }] } })
    await until('nobody writes', () => seen.some((m) => m.type === 'event' && m.data.code === 'incident-opened'))
    two?.tell({
      reasons: [reason('gathers-positions', { seen: 2 }), reason('claims', { epoch: 8 }), reason('claimed')],
    })
    const led = { ...groupRecord('orders-2', 8), phase: 'open' }
    const after = { members: [{ ...memberWords(2, true), epoch: 8 }], groups: [led] }
    two?.tell({ status: after, reasons: [reason('opens', { epoch: 8 })] })
    three?.tell({ status: { groups: [led] } })
    one?.tell({ status: { members: [memberWords(1, false)], groups: [led] } })
    await until('it is over', () => seen.some((m) => m.type === 'event' && m.data.code === 'incident-closed'))
    following.close()
    const numbers = seen.flatMap((m) => (m.type === 'event' ? [m.data.number] : []))
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
    assert.equal(new Set(numbers).size, numbers.length)

    const incidents = (await server.ask('GET', '/incidents', { session: root })).json as unknown as {
      kind: string
      state: string
      from: string
      to: string
      toEpoch: number
      phases: { phase: string }[]
    }[]
    const [incident] = incidents
    assert.equal(incidents.length, 1)
    assert.deepEqual(
      [incident?.kind, incident?.state, incident?.from, incident?.to, incident?.toEpoch],
      ['failover', 'closed', 'orders-1', 'orders-2', 8],
    )
    const phases = incident?.phases.map(({ phase }) => phase) ?? []
    assert.deepEqual(phases.toSorted(), ['decide', 'detect', 'fence', 'healthy', 'promote', 'route'])

    const stored = await events('&after=0')
    assert.equal(stored.filter(({ code }) => code === 'claims').length, 1)
    const first = numbers[0] ?? 0
    const again: number[] = []
    await new Promise<void>((resolve) => {
      const late = followServer({
        url: server.url,
        after: first,
        fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, cookie: root.cookie } }),
        onMessage: (message) => {
          if (message.type === 'event') again.push(message.data.number)
          if (again.at(-1) !== numbers.at(-1)) return
          late.close()
          resolve()
        },
      })
    })
    assert.deepEqual(
      again,
      stored.map(({ number }) => number).filter((number) => number > first && number <= (numbers.at(-1) ?? 0)),
    )
  })
})

describe('what people ask for', () => {
  const grant = async (name: string, role: string): Promise<Session> => {
    const body = { user: name, password: PASSWORD, grants: [{ role, groups: ['orders'] }] }
    const made = await server.ask('POST', '/users', { session: root, body })
    assert.equal(made.status, 200, made.text)
    return server.login(name, PASSWORD)
  }
  const sent = (verb: string) => server.agents.flatMap(({ asked }) => asked).filter((one) => one.verb === verb)
  let operator: Session
  let approver: Session
  before(async () => {
    operator = await grant('otto', 'operator')
    approver = await grant('anna', 'approver')
  })

  it('a switchover goes to the agents with the name that asked, and into the audit log before and after', async () => {
    const answer = await server.ask('POST', '/groups/orders/switchover', {
      session: operator,
      body: { to: 'orders-3' },
    })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.json.intent, 'an-intent')
    assert.deepEqual(sent('switchover').at(-1)?.body, { to: 'orders-3', by: 'otto' })
    const audit = (await server.ask('GET', '/audit?action=switchover', { session: root })).json.entries as {
      outcome: string
    }[]
    assert.deepEqual(
      audit.map(({ outcome }) => outcome),
      ['done', 'asked'],
    )
    assert.ok((await events('&kind=action')).some(({ summary }) => summary.includes('otto asked for: switchover')))
  })

  it('a failover that may lose data waits for an approver, who is somebody else, and happens once', async () => {
    const body = { to: 'orders-2', allowDataLoss: true }
    const asked = await server.ask('POST', '/groups/orders/failover', { session: operator, body })
    assert.equal(asked.status, 200, asked.text)
    assert.equal(asked.json.intent, null)
    assert.equal(sent('failover').length, 0)
    const { id } = asked.json.approval as { id: string }
    const at = `/approvals/${id}/approve`
    assert.equal((await server.ask('POST', at, { session: operator, body: {} })).status, 403)
    const both = await Promise.all([1, 2].map(() => server.ask('POST', at, { session: approver, body: {} })))
    assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 409])
    assert.deepEqual(
      sent('failover').map((one) => one.body),
      [{ to: 'orders-2', ifEpoch: 8, by: 'anna', allowDataLoss: true }],
    )
    assert.equal((await server.ask('POST', `/approvals/${id}/reject`, { session: approver, body: {} })).status, 409)
  })

  it('an approval holds for what was true when it was asked: at another epoch it is refused and over', async () => {
    const body = { to: 'orders-3', allowDataLoss: true }
    const asked = await server.ask('POST', '/groups/orders/failover', { session: operator, body })
    const { id, epoch } = asked.json.approval as { id: string; epoch: number }
    assert.equal(epoch, 8)
    for (const agent of server.agents) agent.tell({ status: { groups: [groupRecord('orders-2', 9)] } })
    const at = `/approvals/${id}/approve`
    const late = await server.ask('POST', at, { session: approver, body: {} })
    assert.equal(late.status, 409, late.text)
    assert.match(late.text, /orders is at epoch 9, not 8.*which has ended.*ask for it again/)
    const failed = (await server.ask('GET', '/approvals?state=failed', { session: root })).text
    assert.ok(failed.includes(id), failed)
    assert.match((await server.ask('POST', at, { session: approver, body: {} })).text, /HF_APPROVAL_CLOSED/)
    const seen = { session: root, body: { ...body, ifEpoch: 8 } }
    const direct = await server.ask('POST', '/groups/orders/failover', seen)
    assert.equal(direct.status, 409, direct.text)
    assert.match(direct.text, /HF_GROUP_CHANGED/)
  })

  it('nobody approves what he asked for himself, also as admin', async () => {
    const asked = await server.ask('POST', '/groups/orders/switchover', { session: root, body: { askApproval: true } })
    const { id } = asked.json.approval as { id: string }
    assert.equal((await server.ask('POST', `/approvals/${id}/approve`, { session: root, body: {} })).status, 403)
    assert.equal((await server.ask('POST', `/approvals/${id}/reject`, { session: root, body: {} })).status, 200)
  })

  it('automation off pauses every group for a bounded time, on resumes it', async () => {
    const endless = { automation: 'off', because: 'maintenance' }
    assert.equal((await server.ask('POST', '/automation', { session: root, body: endless })).status, 400)
    const off = await server.ask('POST', '/automation', { session: root, body: { ...endless, validMs: 60_000 } })
    assert.deepEqual(off.json.outcomes, [{ group: 'orders', ok: true, because: '' }])
    assert.deepEqual(sent('pause').at(-1)?.body, { by: 'root', because: 'maintenance', validMs: 60_000 })
    await server.ask('POST', '/automation', { session: root, body: { automation: 'on', because: 'done' } })
    assert.deepEqual(sent('resume').at(-1)?.body, { by: 'root' })
    assert.equal((await server.ask('POST', '/automation', { session: operator, body: endless })).status, 403)
  })

  it('agents that are gone are told as such, and the try is in the audit log', async () => {
    const alone = await testServer()
    const session = await alone.admin()
    await Promise.all(alone.agents.map((agent) => agent.close()))
    const answer = await alone.ask('POST', '/groups/orders/switchover', { session, body: {} })
    assert.equal(answer.status, 503)
    assert.match(answer.text, /HF_AGENT_UNREACHABLE/)
    const audit = (await alone.ask('GET', '/audit?action=switchover', { session })).json.entries as {
      outcome: string
    }[]
    assert.deepEqual(
      audit.map(({ outcome }) => outcome),
      ['failed', 'asked'],
    )
    await until('silence is an event', async () =>
      (await alone.ask('GET', '/events?kind=agent', { session })).text.includes('agent-silent'),
    )
    await alone.close()
  })
})
