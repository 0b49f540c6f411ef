import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { systemClock } from '../io/clock.ts'
import { type Answer, type Door, openDoor } from './door.ts'
import { PeerLink } from './peer-link.ts'
import { QUESTIONS_MAX, Questions } from './questions.ts'

const QUESTION = { group: 'orders', member: 'm2', from: 'm1', epoch: 4 }
const REPORT = {
  member: 'm2',
  agent: 'a2',
  role: 'replica',
  epoch: 3,
  writableForMs: 0,
  loopAgeMs: 4,
  engine: null,
  frozenForEpoch: 4,
  unready: null,
  noFailover: false,
  priority: 1,
}

let door: Door
let link: PeerLink
let answer: () => Answer | Promise<Answer> = () => ({ status: 200, body: {} })

beforeEach(async () => {
  const route = (method: 'GET' | 'POST', path: string) => ({ method, path, open: false, handle: () => answer() })
  door = await openDoor({
    host: '127.0.0.1',
    port: 0,
    token: 't',
    tls: null,
    loopAgeMs: () => 0,
    routes: [route('GET', '/v1/peer/reports'), route('POST', '/v1/peer/freeze'), route('POST', '/v1/peer/failsafe')],
  })
  link = new PeerLink({ agent: 'a2', url: door.url, token: 't', ca: null }, systemClock)
})
afterEach(async () => {
  await link.close()
  await door.close()
})

test('reports of the asked agent arrive, those in the name of another do not', async () => {
  answer = () => ({ status: 200, body: { nowMs: 1, reports: [REPORT, { ...REPORT, agent: 'a9' }] } })
  const reports = await link.reports(1_000)
  assert.deepEqual(
    reports.map((report) => [report.member, report.agent]),
    [['m2', 'a2']],
  )
  assert.ok((reports[0]?.loopAgeMs ?? 0) >= 4)
})

test('a freeze is answered by the member that was asked, or not at all', async () => {
  answer = () => ({ status: 200, body: { nowMs: 1, report: REPORT } })
  assert.equal((await link.freeze(QUESTION, 1_000))?.frozenForEpoch, 4)
  answer = () => ({ status: 200, body: { nowMs: 1, report: { ...REPORT, member: 'm3' } } })
  assert.equal(await link.freeze(QUESTION, 1_000), null)
})

test('errors, nonsense and floods are no answer', async () => {
  const bad: Answer[] = [
    { status: 500, body: { accept: true, because: 'x' } },
    { status: 200, body: 'no json' },
    { status: 200, body: { accept: 'yes', because: 'x' } },
    { status: 200, body: `"${'x'.repeat(600_000)}"` },
  ]
  for (const wrong of bad) {
    answer = () => wrong
    assert.equal((await link.failsafe(QUESTION, 1_000)).accept, false)
    assert.deepEqual(await link.reports(1_000), [])
    assert.equal(await link.freeze(QUESTION, 1_000), null)
  }
})

test('a peer that keeps silent costs one deadline', async () => {
  answer = () => new Promise((resolve) => setTimeout(() => resolve({ status: 200, body: {} }), 600))
  const startedMs = systemClock.nowMs()
  assert.equal((await link.failsafe(QUESTION, 100)).accept, false)
  assert.ok(systemClock.nowMs() - startedMs < 400)
})

test('an agent that is gone, or another token, is no answer', async () => {
  const stranger = new PeerLink({ agent: 'a2', url: door.url, token: 'other', ca: null }, systemClock)
  assert.match((await stranger.failsafe(QUESTION, 1_000)).because, /401/)
  await stranger.close()
  await door.close()
  assert.equal((await link.failsafe(QUESTION, 1_000)).accept, false)
})

test('a question is answered once, late answers go nowhere, and too many are turned away', async () => {
  const questions = new Questions()
  let id = 0
  const first = questions.failsafe((n) => {
    id = n
  }, 1_000)
  questions.answer(id, { accept: true, because: 'fine' })
  questions.answer(id, { accept: false, because: 'late' })
  assert.deepEqual(await first, { accept: true, because: 'fine' })
  assert.deepEqual(await questions.freeze(() => undefined, 20), { report: null, because: 'no answer in time' })
  const waiting = Array.from({ length: QUESTIONS_MAX }, () => questions.failsafe(() => undefined, 5_000))
  assert.equal(
    questions.failsafe(() => undefined, 5_000),
    null,
  )
  questions.close()
  for (const reply of await Promise.all(waiting)) assert.equal(reply?.accept, false)
})
