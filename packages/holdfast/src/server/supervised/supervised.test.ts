/** A group led by a Patroni that answers as the test says, as the server shows it and asks it to switch. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ApiIntent, ApiSupervisedGroup } from '@holdfast/client'
import { type Fake, fakeHttp } from '../../engines/hostile-answers.fixture.ts'
import { PASSWORD, type Session, type TestServer, testServer, until } from '../server.fixture.ts'

let fake: Fake
let leader = 'pg-1'
let refuses = false
let server: TestServer
let root: Session
let otto: Session
let anna: Session

before(async () => {
  fake = await fakeHttp((request, response) => {
    if (request.method !== 'GET') {
      if (!refuses) leader = 'pg-2'
      response.writeHead(refuses ? 412 : 200).end(refuses ? 'no good candidates' : 'Switched over')
    } else if (request.url === '/cluster') response.end(JSON.stringify(cluster()))
    else if (request.url === '/config') response.end(JSON.stringify({ ttl: 30, loop_wait: 10 }))
    else response.writeHead(404).end('no')
  })
  const where = `      endpoints: [http://127.0.0.1:${fake.port}]\n      sites: { pg-1: north, pg-2: south }\n`
  const lines = `      by: patroni\n${where}`
  server = await testServer({ groups: `  - name: ledger\n    supervised:\n${lines}` })
  root = await server.admin()
  const user = async (name: string, role: string): Promise<Session> => {
    const body = { user: name, password: PASSWORD, grants: [{ role, groups: ['ledger'] }] }
    assert.equal((await server.ask('POST', '/users', { session: root, body })).status, 200)
    return server.login(name, PASSWORD)
  }
  otto = await user('otto', 'operator')
  anna = await user('anna', 'approver')
  await until('it is seen', async () => (await ledger())?.heard === 1)
})
after(async () => {
  await server.close()
  await fake.close()
})

function cluster(): object {
  const members = ['pg-1', 'pg-2', 'pg-3'].map((name) => ({
    ...{ name, host: '127.0.0.1', port: 5432, timeline: 7 },
    ...(name === leader ? { role: 'leader', state: 'running' } : { role: 'replica', state: 'streaming', lag: 0 }),
  }))
  return { members, scope: 'pg' }
}

async function ledger(session = root): Promise<ApiSupervisedGroup | undefined> {
  const list = (await server.ask('GET', '/supervised', { session })).json as unknown as ApiSupervisedGroup[]
  return list.find(({ group }) => group === 'ledger')
}

const post = (path: string, session: Session, body: object) => server.ask('POST', path, { session, body })
const sent = (): readonly string[] => fake.heard.filter((line) => !line.startsWith('GET '))
async function ended(id: string): Promise<ApiIntent> {
  let intent: ApiIntent | null = null
  await until(`request ${id} ends`, async () => {
    const answer = await server.ask('GET', `/groups/ledger/intents/${id}`, { session: otto })
    intent = answer.json as unknown as ApiIntent
    return intent.state === 'done' || intent.state === 'refused'
  })
  return intent ?? assert.fail()
}

describe('a group that Patroni leads', () => {
  it('is shown with who leads it, how far the others are, and why Holdfast does not promote', async () => {
    const shown = await ledger(otto)
    assert.equal(shown?.by, 'patroni')
    assert.deepEqual(shown.shards, [{ shard: '', primary: 'pg-1' }])
    assert.deepEqual(
      shown.members.map(({ member, site, role, lagBytes }) => [member, site, role, lagBytes]),
      [
        ['pg-1', 'north', 'primary', null],
        ['pg-2', 'south', 'replica', 0],
        ['pg-3', null, 'replica', 0],
      ],
    )
    assert.equal(shown.verdict.safe, true, shown.verdict.because)
    assert.match(shown.promotes, /Patroni leads this group.*never promotes/)
    const platform = (await server.ask('GET', '/platform', { session: otto })).json
    assert.deepEqual(
      (platform.supervised as ApiSupervisedGroup[]).map(({ group }) => group),
      ['ledger'],
    )
    assert.deepEqual(platform.services, [], 'what else there is, is not his to see')
  })

  it('is not failed over, paused or moved dry by us, and nothing is sent', async () => {
    for (const [verb, body] of [
      ['failover', { allowDataLoss: true }],
      ['pause', { because: 'work', validMs: 1_000 }],
      ['resume', {}],
    ] as const) {
      const answer = await post(`/groups/ledger/${verb}`, root, body)
      assert.equal(answer.status, 409, verb)
      assert.match(answer.text, /HF_MANAGER_DECIDES.*led by patroni/)
    }
    const dry = await post('/groups/ledger/switchover', otto, { to: 'pg-2', dryRun: true })
    assert.equal(dry.status, 200, dry.text)
    assert.deepEqual(sent(), [])
    assert.equal((await post('/groups/ledger/switchover', anna, { to: 'pg-2' })).status, 403)
  })

  it('what Patroni refuses is told in its words, and changes nothing', async () => {
    refuses = true
    const asked = await post('/groups/ledger/switchover', otto, { to: 'pg-2' })
    const end = await ended(String(asked.json.intent))
    refuses = false
    assert.equal(end.state, 'refused')
    assert.match(end.because, /no good candidates/)
    assert.equal(leader, 'pg-1')
  })

  it('an approval holds for the epoch that was shown, and Patroni is asked by its own command', async () => {
    const before = sent().length
    const asked = await post('/groups/ledger/switchover', otto, { to: 'pg-2', askApproval: true })
    const { id, epoch } = asked.json.approval as { id: string; epoch: number }
    assert.equal(epoch, 7)
    assert.equal(sent().length, before)
    const approved = await post(`/approvals/${id}/approve`, anna, {})
    assert.equal(approved.status, 200, approved.text)
    const end = await ended(String(approved.json.intent))
    assert.deepEqual([end.state, end.holder], ['done', 'pg-2'], end.because)
    assert.deepEqual(sent().slice(before), ['POST /switchover {"leader":"pg-1","candidate":"pg-2"}'])
    await until('the new primary is shown', async () => (await ledger())?.shards[0]?.primary === 'pg-2')
    const audit = (await server.ask('GET', '/audit?action=switchover-over', { session: root })).text
    assert.match(audit, /pg-1 to pg-2 in \d+ ms/)
    await until('it is an event', async () =>
      /supervised-leader/.test((await server.ask('GET', '/events?group=ledger', { session: otto })).text),
    )
    assert.equal((await server.ask('GET', '/groups/ledger/intents/another', { session: otto })).status, 404)
  })

  it('is said to be silent when nobody of Patroni answers', async () => {
    await fake.close()
    await until('it is said', async () => (await ledger())?.heard === 0)
    assert.equal((await ledger())?.verdict.because, 'nobody of the manager answers')
    const asked = await post('/groups/ledger/switchover', otto, { to: 'pg-1' })
    assert.match(asked.text, /HF_MANAGER_UNREACHABLE/)
  })
})
