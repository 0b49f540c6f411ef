/** Services and their plans over real HTTP, against agents that answer and a store of plans that they share. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  type ApiPlan,
  type ApiPlanDraft,
  type ApiServiceDetail,
  followServer,
  type StreamMessage,
} from '@holdfast/client'
import { systemClock } from '../../io/clock.ts'
import { createLog } from '../../io/log.ts'
import { groupsOfScope, mayOver, type Principal } from '../access/grants.ts'
import {
  type AskOptions,
  askAt,
  PASSWORD,
  type Session,
  type TestServer,
  testServer,
  until,
} from '../server.fixture.ts'
import { type RunningServer, startServer } from '../wire.ts'

let laterMs = 0
const clock = { nowMs: () => systemClock.nowMs() + laterMs, wallMs: () => systemClock.wallMs() + laterMs }
let server: TestServer
let root: Session
let otto: Session
let anna: Session

before(async () => {
  server = await testServer({ clock })
  server.world.obeys = true
  root = await server.admin()
  const user = async (name: string, role: string): Promise<Session> => {
    const body = { user: name, password: PASSWORD, grants: [{ role, services: ['shop'] }] }
    const made = await server.ask('POST', '/users', { session: root, body })
    assert.equal(made.status, 200, made.text)
    return server.login(name, PASSWORD)
  }
  otto = await user('otto', 'operator')
  anna = await user('anna', 'approver')
  await until('every agent is seen', async () => (await get('/platform')).text.includes('"at":"north"'))
})
after(() => server.close())

const get = (path: string, more: AskOptions = { session: root }) => server.ask('GET', path, more)
const post = (path: string, session: Session, body: object) => server.ask('POST', path, { session, body })
const planNow = async (id: string): Promise<ApiPlan> =>
  (await get(`/services/shop/plans/${id}`)).json as unknown as ApiPlan
/** Its steps wait for answers within bounds, and are tried again; a crowded machine takes its time. */
const PLAN_MS = 150_000
const isEnd = (phase: string): boolean => ['done', 'undone', 'stopped'].includes(phase)
const over = (id: string) => until(`plan ${id} is over`, async () => isEnd((await planNow(id)).phase), PLAN_MS)
const audit = async (action: string): Promise<{ actor: string; outcome: string; subject: string }[]> =>
  (await get(`/audit?action=${action}`)).json.entries as { actor: string; outcome: string; subject: string }[]

async function move(session: Session, body: object): Promise<ApiPlan> {
  const answer = await post('/services/shop/plans', session, body)
  assert.equal(answer.status, 200, answer.text)
  return answer.json.plan as ApiPlan
}

function home(): void {
  server.world.hangs = false
  server.world.refusal = null
  const { holder, epoch } = server.world.group('orders')
  if (holder !== 'orders-1') server.world.lead('orders', 'orders-1', epoch + 1)
}

describe('a service', () => {
  it('is listed with its order, its objectives, where it is, and how it could move', async () => {
    const [shop] = (await get('/services', { session: otto })).json as unknown as ApiServiceDetail[]
    assert.equal(shop?.service.at, 'north')
    assert.deepEqual(shop.service.places, [{ group: 'orders', site: 'north', after: [] }])
    assert.equal(shop.service.rtoMs, 10_000)
    assert.deepEqual(
      shop.moves?.map(({ to, kind, refusals }) => ({ to, kind, refusals })),
      [{ to: 'south', kind: 'switchover', refusals: [] }],
    )
  })

  it('says who would refuse, and begins nothing then', async () => {
    laterMs += 5_000
    server.world.refusal = 'R30: target-lags'
    const draft = (await get('/services/shop/dry-run?to=south')).json as unknown as ApiPlanDraft
    assert.match(draft.refusals.join(), /orders-3 R30: target-lags/)
    const answer = await post('/services/shop/plans', otto, { to: 'south' })
    assert.equal(answer.status, 409)
    assert.match(answer.text, /HF_PLAN_REFUSED.*target-lags.*nothing was changed/)
    assert.equal(server.world.plans.size, 0)
    home()
  })

  for (const [body, words] of [
    [{}, /say where to, once/],
    [{ to: 'south', member: 'orders-1' }, /say where to, once/],
    [{ to: 'west' }, /west is no site with data/],
    [{ member: 'stock-1' }, /no member of shop/],
    [{ to: 'north' }, /is there already/],
  ] as const) {
    it(`${JSON.stringify(body)} is refused with what would be right`, async () => {
      const answer = await post('/services/shop/plans', otto, body)
      assert.ok(answer.status === 400 || answer.status === 409, answer.text)
      assert.match(answer.text, words)
    })
  }
})

describe('a move', () => {
  it('is begun by an operator, told step by step without being asked for, and remembered with its times', async (t) => {
    const seen: StreamMessage[] = []
    const following = followServer({
      url: server.url,
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, cookie: otto.cookie } }),
      onMessage: (message) => seen.push(message),
    })
    t.after(() => following.close())
    await until('the stream begins', () => seen.some(({ type }) => type === 'platform'))
    const draft = (await get('/services/shop/dry-run?to=south', { session: otto })).json as unknown as ApiPlanDraft
    assert.deepEqual(
      draft.steps.map(({ id, after: waits }) => [id, waits]),
      [
        ['hold:orders', []],
        ['move:orders', ['hold:orders']],
        ['release:orders', ['move:orders']],
      ],
    )
    assert.ok(draft.predictedMs > 0 && draft.losses.length === 0 && !draft.lossy)
    server.world.hangs = true
    const { id } = await move(otto, { to: 'south', digest: draft.digest })
    const states = (plan: ApiPlan): string => plan.steps.map(({ state }) => state).join(' ')
    await until('the stream tells how far it is', () =>
      seen.some((one) => one.type === 'plan' && one.data.id === id && states(one.data) === 'done running waiting'),
    )
    server.world.hangs = false
    server.world.lead('orders', 'orders-3', server.world.group('orders').epoch + 1)
    await over(id)
    const plan = await planNow(id)
    assert.equal(plan.phase, 'done', plan.because)
    assert.equal(plan.by, 'otto')
    assert.ok(plan.steps.every(({ state, measuredMs }) => state === 'done' && measuredMs !== null))
    await until('the stream tells the end', () =>
      seen.some((one) => one.type === 'plan' && one.data.id === id && one.data.phase === 'done'),
    )
    await until('the service is told where it is', () =>
      seen.some((one) => one.type === 'service' && one.data.at === 'south'),
    )
    await until('its end is in the audit log', async () => (await audit('plan-over')).length > 0)
    assert.deepEqual(
      (await audit('plan')).map(({ outcome, actor }) => [outcome, actor]),
      [
        ['done', 'user otto'],
        ['asked', 'user otto'],
      ],
    )
    const events = (await get('/events?kind=plan')).text
    assert.match(events, /plan-begun/)
    assert.match(events, /move:orders done in \d+ ms, predicted \d+ ms/)
    const again = (await get('/services/shop/dry-run?to=north')).json as unknown as ApiPlanDraft
    assert.equal(again.kind, 'failback')
    assert.equal(again.steps[1]?.predicted.from, 'past-runs', 'the next prediction comes from this run')
    const list = (await get('/services/shop/plans')).json as unknown as ApiPlan[]
    assert.equal(list[0]?.id, id)
    home()
  })

  it('is not begun when the plan is no longer the one that was shown', async () => {
    const draft = (await get('/services/shop/dry-run?to=south')).json as unknown as ApiPlanDraft
    server.world.lead('orders', 'orders-1', server.world.group('orders').epoch + 1)
    const answer = await post('/services/shop/plans', otto, { to: 'south', digest: draft.digest })
    assert.equal(answer.status, 409, answer.text)
    assert.match(answer.text, /HF_PLAN_CHANGED.*nothing was changed/)
  })

  it('is one at a time, can be cancelled half-way, and is taken back', async () => {
    server.world.hangs = true
    const taken = server.world.taken
    const { id } = await move(otto, { to: 'south' })
    const second = await post('/services/shop/plans', root, { to: 'south' })
    assert.equal(second.status, 409)
    assert.match(second.text, /HF_PLAN_BUSY.*asked by otto, is not over/)
    await until('its switchover is under way', () => server.world.taken > taken)
    const cancelled = await post(`/services/shop/plans/${id}/cancel`, otto, {})
    assert.equal(cancelled.status, 200, cancelled.text)
    assert.deepEqual(cancelled.json.cancel, { by: 'otto' })
    server.world.lead('orders', 'orders-3', server.world.group('orders').epoch + 1)
    server.world.hangs = false
    await over(id)
    assert.equal((await planNow(id)).phase, 'undone')
    assert.equal(server.world.group('orders').holder, 'orders-1')
    assert.equal(server.world.group('orders').paused, null)
    assert.match((await post(`/services/shop/plans/${id}/cancel`, otto, {})).text, /it is over: undone/)
    assert.equal((await post('/services/shop/plans/another/cancel', otto, {})).status, 404)
  })

  it('away from one member needs no site', async () => {
    const { id } = await move(otto, { member: 'orders-1' })
    await over(id)
    const plan = await planNow(id)
    assert.deepEqual([plan.phase, plan.kind], ['done', 'evacuate'])
    assert.equal(server.world.group('orders').holder, 'orders-2')
  })
})

describe('what needs another person', () => {
  before(home)

  it('a plan waits when that is asked for, and an approver begins it, once', async () => {
    const asked = await post('/services/shop/plans', otto, { to: 'south', askApproval: true })
    const { id, plan } = asked.json.approval as { id: string; plan: { steps: string[]; kind: string } }
    assert.deepEqual(plan.steps, ['hold:orders', 'move:orders', 'release:orders'])
    assert.equal((await post(`/approvals/${id}/approve`, otto, {})).status, 403)
    const both = await Promise.all([1, 2].map(() => post(`/approvals/${id}/approve`, anna, {})))
    assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 409])
    const done = both.find(({ status }) => status === 200)?.json as { intent: string }
    await over(done.intent)
    const moved = await planNow(done.intent)
    assert.deepEqual([moved.phase, moved.by], ['done', 'otto, approved by anna'])
    home()
  })

  it('an approval holds for the plan that was shown: for another it is refused and over', async () => {
    const asked = await post('/services/shop/plans', otto, { to: 'south', askApproval: true })
    const { id } = asked.json.approval as { id: string }
    server.world.lead('orders', 'orders-2', server.world.group('orders').epoch + 1)
    const taken = server.world.taken
    const late = await post(`/approvals/${id}/approve`, anna, {})
    assert.equal(late.status, 409, late.text)
    assert.match(late.text, /HF_PLAN_CHANGED.*which has ended/)
    assert.match((await post(`/approvals/${id}/approve`, anna, {})).text, /HF_APPROVAL_CLOSED/)
    assert.equal(server.world.taken, taken, 'no group was asked')
    const failed = (await get('/approvals?state=failed', { session: otto })).text
    assert.ok(failed.includes(id), failed)
  })

  it('where data may be lost it always waits for another person, also when an admin asks', async () => {
    server.world.refusal = 'behind-floor'
    const [first, second] = server.agents
    for (const agent of [first, second]) {
      const members = agent?.status.members.map((member) => ({ ...member, writableForMs: 0 })) ?? []
      agent?.tell({ status: { members } })
    }
    const plain = await post('/services/shop/plans', root, { to: 'south' })
    assert.equal(plain.status, 409)
    assert.match(plain.text, /may lose acknowledged writes \(R16\)/)
    const asked = await post('/services/shop/plans', root, { to: 'south', allowDataLoss: true })
    assert.equal(asked.json.plan, null, asked.text)
    const { id, plan } = asked.json.approval as { id: string; plan: { losses: string[]; kind: string } }
    assert.equal(plan.kind, 'failover')
    assert.match(plan.losses.join(), /orders: nobody knows how much, orders-3: behind-floor/)
    assert.equal((await post(`/approvals/${id}/approve`, root, {})).status, 403)
    const approved = await post(`/approvals/${id}/approve`, anna, {})
    assert.equal(approved.status, 200, approved.text)
    const { intent } = approved.json as { intent: string }
    await over(intent)
    const done = await planNow(intent)
    assert.deepEqual([done.phase, done.lossAccepted], ['done', true], done.because)
    const sent = server.agents.flatMap(({ asked: all }) => all).filter(({ verb }) => verb === 'failover')
    assert.equal(sent.at(-1)?.body.allowDataLoss, true)
    home()
  })
})

describe('whoever runs it dies', () => {
  let other: RunningServer | null = null
  after(() => other?.close())

  it('another server goes on with it by itself, and nothing is left half-made', async () => {
    home()
    server.world.hangs = true
    const taken = server.world.taken
    const { id } = await move(otto, { to: 'south' })
    await until('its switchover is under way', () => server.world.taken > taken)
    await server.server.close()
    other = await startServer({
      ...{ platform: server.platform, name: 'other', listen: { host: '127.0.0.1', port: 0 }, databaseUrl: null },
      ...{ adminCode: false, dashboardDir: server.folder, version: '0.1.0', clock },
      log: createLog({ level: 'silent', name: 'test' }),
    })
    const { url } = other
    const seen = async (): Promise<ApiPlan> =>
      (await askAt(url, 'GET', `/services/shop/plans/${id}`, { session: root })).json as unknown as ApiPlan
    await until('it sees the plan', async () => (await seen()).phase === 'running')
    server.world.hangs = false
    // The one before is silent for as long as it takes to be sure.
    await until(
      'it is done',
      async () => {
        laterMs += 500
        return (await seen()).phase === 'done'
      },
      PLAN_MS,
    )
    assert.ok((await seen()).epoch >= 2)
    assert.equal(server.world.group('orders').holder, 'orders-3')
    assert.equal(server.world.group('orders').paused, null)
  })
})

describe('rights over a service', () => {
  const services = new Map([['shop', ['orders', 'stock']]])
  const who = (groups: string[]): Principal => {
    const base = { user: 'u', display: 'u', by: 'password', token: null, session: null, expiresMs: null } as const
    return { ...base, grants: [{ role: 'operator', groups }] }
  }

  it('are those over all its groups', () => {
    assert.equal(mayOver(who(['orders']), 'operate', ['orders', 'stock'], services), false)
    assert.equal(mayOver(who(['orders', 'stock']), 'operate', ['orders', 'stock'], services), true)
    assert.equal(mayOver(who(['orders']), 'read', [], services), false, 'of what nobody knows')
  })

  it('a group in no service is one of its own, and one in a service is not', () => {
    assert.deepEqual(groupsOfScope('group:lonely', ['orders', 'lonely'], services), ['lonely'])
    assert.deepEqual(groupsOfScope('group:orders', ['orders', 'lonely'], services), [])
    assert.deepEqual(groupsOfScope('shop', ['orders'], services), ['orders', 'stock'])
  })
})
