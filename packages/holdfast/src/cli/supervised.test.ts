/** The commands on a group that another program leads, against a Patroni that answers as the test says. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Fake, fakeHttp } from '../engines/hostile-answers.fixture.ts'
import { type Ran, run } from './fake-agents.fixture.ts'

interface Shown {
  leader: string
  readonly lag: Record<string, number>
  paused: boolean
  nofailover: string[]
  /** Answer to what changes something. */
  answer: { readonly status: number; readonly text: string; readonly moves: boolean }
}

let fake: Fake
let shown: Shown
let folder: string
const names = ['pg-1', 'pg-2', 'pg-3']

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-supervised-'))
  shown = {
    leader: 'pg-1',
    lag: {},
    paused: false,
    nofailover: [],
    answer: { status: 200, text: 'Moved', moves: true },
  }
  fake = await fakeHttp((request, response) => {
    if (request.method !== 'GET') {
      if (shown.answer.moves) shown.leader = 'pg-2'
      response.writeHead(shown.answer.status).end(shown.answer.text)
    } else if (request.url === '/cluster') response.end(JSON.stringify(cluster()))
    else if (request.url === '/config')
      response.end(JSON.stringify({ ttl: 30, loop_wait: 10, maximum_lag_on_failover: 1000 }))
    else response.writeHead(404).end('no')
  })
  describeTo('holdfast.yaml', `      endpoints: [http://127.0.0.1:${fake.port}]\n      sites: { pg-1: north }\n`)
})
afterEach(async () => {
  await fake.close()
  rmSync(folder, { recursive: true, force: true })
})

function cluster(): object {
  const members = names.map((name) => ({
    ...{ name, host: '127.0.0.1', port: 5432, timeline: 7 },
    ...(name === shown.leader ? { role: 'leader', state: 'running' } : { role: 'replica', state: 'streaming' }),
    ...(name === shown.leader ? {} : { lag: shown.lag[name] ?? 0 }),
    ...(shown.nofailover.includes(name) ? { tags: { nofailover: true } } : {}),
  }))
  return { members, scope: 'pg', ...(shown.paused ? { pause: true } : {}) }
}

function describeTo(name: string, lines: string): void {
  const head =
    'version: 1\nplatform: shop\nsites: [{ name: north }]\n' +
    'groups:\n  - name: orders\n    supervised:\n      by: patroni\n'
  writeFileSync(join(folder, name), `${head}${lines}`)
}

function on(...words: string[]): Promise<Ran> {
  return run([...words, '--file', join(folder, 'holdfast.yaml')])
}

function sent(): readonly string[] {
  return fake.heard.filter((line) => !line.startsWith('GET '))
}

// Nobody answers at the members' own addresses here: they are 127.0.0.1 without an api_url.
describe('a group led by Patroni', () => {
  it('stands in status with its manager, members, sites and lag', async () => {
    shown.lag['pg-3'] = 400
    const ran = await on('status')
    assert.equal(ran.code, 0)
    assert.match(ran.out, /^orders {2}supervised by patroni, there called pg, epoch 7$/m)
    assert.match(ran.out, /manager: Patroni, 1 of 1 answer, ttl 30 s, loop 10 s, synchronous no/)
    assert.match(ran.out, /pg-3 +- +replica +streaming +7 +400 B/)
    assert.match(ran.out, /pg-1 +north +primary/)
    const json = JSON.parse((await on('status', '--output', 'json')).out) as {
      groups: { supervised: { by: string } }[]
    }
    assert.equal(json.groups[0]?.supervised.by, 'patroni')
    assert.deepEqual(sent(), [])
  })

  it('ends with 3 when nobody of the manager answers, and names who was tried', async () => {
    await fake.close()
    for (const words of [['status'], ['explain', 'orders'], ['switchover', 'orders', '--yes']]) {
      const ran = await on(...words)
      assert.equal(ran.code, 3, words.join(' '))
      assert.match(`${ran.out}${ran.err}`, /ECONNREFUSED/)
    }
  })

  it('is not asked for anything without --yes, in a dry run, or by failover without the whole word', async () => {
    const ran = await on('switchover', 'orders', '--to', 'pg-2')
    assert.equal(ran.code, 1)
    for (const words of [
      ['failover', 'orders'],
      ['failover', 'orders', '--to', 'pg-2', '--yes'],
      ['failover', 'orders', '--to', 'pg-2', '--allow-data-loss'],
    ]) {
      const refused = await on(...words)
      assert.equal(refused.code, 1)
      assert.match(refused.err, /HF_MANAGER_DECIDES/)
      assert.match(refused.err, /patronictl failover/)
    }
    assert.deepEqual(sent(), [])
  })

  const unfit: [string, () => void, string, RegExp][] = [
    ['a stranger', () => undefined, 'pg-9', /member-unknown/],
    ['the primary', () => undefined, 'pg-1', /already-primary/],
    [
      'one that is barred',
      () => shown.nofailover.push('pg-2'),
      'pg-2',
      /target-barred: member pg-2, because\s+it\s+is\s+tagged\s+nofailover/,
    ],
    ['one too far behind', () => Object.assign(shown.lag, { 'pg-2': 5_000 }), 'pg-2', /lagBytes\s+5000/],
  ]
  for (const [what, set, to, because] of unfit) {
    it(`is not asked to switch to ${what}`, async () => {
      set()
      const ran = await on('switchover', 'orders', '--to', to, '--yes')
      assert.equal(ran.code, 1)
      assert.match(ran.err, because)
      assert.deepEqual(sent(), [])
    })
  }

  it('prints nothing that commands a terminal, whatever a member is called', async () => {
    names.push('pg-\u001b]0;owned\u0007\u202e')
    try {
      for (const words of [['status'], ['explain', 'orders'], ['status', '--output', 'json']]) {
        const { out } = await on(...words)
        assert.ok(!['\u001b', '\u0007', '\u202e'].some((letter) => out.includes(letter)))
        assert.match(out, /owned/)
      }
    } finally {
      names.pop()
    }
  })

  it('sends its password only with what changes something, and prints it nowhere', async () => {
    writeFileSync(join(folder, 'secret'), 'hunter2hunter2', { mode: 0o600 })
    const endpoint = `      endpoints: [http://127.0.0.1:${fake.port}]\n`
    describeTo('holdfast.yaml', `${endpoint}      username: admin\n      password: { file: secret }\n`)
    shown.answer = { status: 401, text: 'no', moves: false }
    const texts: string[] = []
    for (const words of [
      ['status'],
      ['explain', 'orders', '--output', 'json'],
      ['pause', 'orders', '--for', '1m', '--because', 'x'],
    ]) {
      const ran = await on(...words)
      texts.push(ran.out, ran.err)
    }
    assert.doesNotMatch(texts.join(''), /hunter2|aHVudGVy|YWRtaW46/)
    assert.deepEqual(sent(), ['PATCH /config !auth {"pause":true}'])
    assert.ok(fake.heard.every((line) => !line.startsWith('GET') || !line.includes('!auth')))
  })

  it('has no members to run, and a router cannot lead to it', async () => {
    const up = await run(['up', join(folder, 'holdfast.yaml')])
    assert.equal(up.code, 2)
    assert.match(up.err, /nothing to run here/)
    const agent = await on('store')
    assert.equal(agent.code, 2)
    const routed =
      '      endpoints: [http://127.0.0.1:1]\n' +
      'routers: [{ name: r, site: north, doors: [{ group: orders, listen: 127.0.0.1:1 }] }]\n'
    describeTo('routed.yaml', routed)
    const validated = await run(['validate', join(folder, 'routed.yaml')])
    assert.match(validated.out, /routed\.yaml:9:\d+ {2}routers\[0\]\.doors\[0\]\.group/)
    assert.match(validated.out, /led by another program/)
  })
})

describe('discover', () => {
  it('says what is wrong with its words', async () => {
    const wrong: [string[], RegExp][] = [
      [[], /one of the three is needed/],
      [['--patroni', 'x', '--sentinel', 'y'], /one of the three/],
      [['--patroni', '10.0.0.1:8008'], /is no address of patroni/],
      [['--sentinel', 'http://10.0.0.1'], /is no address of sentinel/],
      [['--redis-cluster', '127.0.0.1:1', '--password-env', 'NOT_SET'], /NOT_SET is not set/],
      [['--redis-cluster', '127.0.0.1:1', '--username', 'x'], /--username without --password-env/],
    ]
    for (const [words, because] of wrong) {
      const ran = await run(['discover', ...words])
      assert.equal(ran.code, 2, words.join(' '))
      assert.match(ran.err, because)
    }
  })

  it('ends with 3 when nobody is there, and writes what validate accepts when somebody is', async () => {
    const ran = await run(['discover', '--patroni', `http://127.0.0.1:${fake.port}`])
    assert.equal(ran.code, 0)
    writeFileSync(join(folder, 'found.yaml'), ran.out)
    const validated = await run(['validate', join(folder, 'found.yaml')])
    assert.equal(validated.code, 0, validated.out)
    assert.match(ran.out, /scope: pg/)
    await fake.close()
    const nobody = await run(['discover', '--patroni', `http://127.0.0.1:${fake.port}`])
    assert.equal(nobody.code, 3)
    assert.match(nobody.err, /ECONNREFUSED/)
  })
})
