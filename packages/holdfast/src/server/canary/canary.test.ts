/** What the server tells of canaries it does not run, and who may ask. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ApiCanary, ApiIncident } from '@holdfast/client'
import { serviceCanarySchema } from '../api/canary.ts'
import { memberWords, PASSWORD, type Session, type TestServer, testServer, until } from '../server.fixture.ts'
import { eventOfFinding, outageBegan, outageOver } from './findings.ts'

let server: TestServer
let root: Session
before(async () => {
  server = await testServer()
  root = await server.admin()
  await until('the group is seen', async () =>
    (await server.ask('GET', '/platform', { session: root })).text.includes('"writer":"orders-1"'),
  )
})
after(() => server.close())

describe('a group without an application', () => {
  it('is told as such, and nothing is tried', async () => {
    const answer = await server.ask('GET', '/groups/orders/canary', { session: root })
    const told = answer.json as unknown as ApiCanary
    assert.match(told.because, /names no `application` for orders/)
    assert.deepEqual([told.now, told.by, told.outages, told.availability[0]?.writes], [null, null, [], null])
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(metrics, /^# TYPE holdfast_canary_writes_total counter$/m)
    assert.doesNotMatch(metrics, /^holdfast_canary_measuring\{/m)
  })

  it('makes its service not measured', async () => {
    const answer = await server.ask('GET', '/services/shop/canary', { session: root })
    assert.deepEqual(serviceCanarySchema.parse(answer.json), answer.json)
    assert.deepEqual([answer.json.condition, answer.json.risk], ['unmeasured', null])
    assert.equal((await server.ask('GET', '/services/other/canary', { session: root })).status, 404)
  })

  it('is told to nobody else', async () => {
    const body = { user: 'vera', password: PASSWORD, grants: [] }
    await server.ask('POST', '/users', { session: root, body })
    const vera = await server.login('vera', PASSWORD)
    for (const path of ['/groups/orders/canary', '/services/shop/canary', '/incidents/x/canary']) {
      assert.equal((await server.ask('GET', path, { session: vera })).status, 403, path)
    }
  })

  it('has incidents of which clients saw nothing', async () => {
    server.agents[0]?.tell({ status: { members: [{ ...memberWords(1, true), role: 'fencing', writableForMs: 0 }] } })
    const incident = await anIncident()
    assert.equal(incident.canary, null)
    const { json } = await server.ask('GET', `/incidents/${incident.id}/canary`, { session: root })
    assert.deepEqual(json, { incident: incident.id, group: 'orders', measured: null, over: false, series: null })
  })
})

async function anIncident(): Promise<ApiIncident> {
  let found: ApiIncident | undefined
  await until('an incident', async () => {
    found = ((await server.ask('GET', '/incidents', { session: root })).json as unknown as ApiIncident[])[0]
    return found !== undefined
  })
  return found ?? assert.fail()
}

describe('what is told', () => {
  it('names the numbers, and says what was not measured', () => {
    const began = outageBegan(1_400, { failed: 2, unknown: 1, because: 'connection refused' })
    assert.match(began.summary, /no acknowledgement for 1.4s?.*2 failed, 1 without an answer; connection refused/)
    const over = { fromMs: 0, toMs: 9_000, failed: 1, unknown: 0, unmeasuredMs: 4_000, seen: 'to its end' } as const
    assert.match(
      outageOver({ kind: 'outage-ended', ...over }).summary,
      /again after 5s?.*4s? ?s? in which nobody measured/,
    )
    const loss = { records: 3, from: 7, to: 9, reachMs: 1_500, atLeast: true }
    assert.match(eventOfFinding({ kind: 'lost', loss }).summary, /^at least 3 acknowledged canary records, 7 to 9/)
  })
})
