/** What is sent to a supervised group, and what it can do to us by what it answers. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, it } from 'node:test'
import { createServer as createTls } from 'node:tls'
import { pictureOf } from '../core/supervision/picture.ts'
import { systemClock } from '../io/clock.ts'
import { makeCertificates } from '../store/certificates-fixture.ts'
import { bulk, type Fake, fakeHttp, fakeRedis, flat, type RedisAnswer } from './hostile-answers.fixture.ts'
import { openSupervisor } from './open-supervisor.ts'
import { isPatroniAsk, isPatroniPatch, isRedisAsk, isRedisRead } from './permitted.ts'
import { plannedSwitch } from './planned-switch.ts'
import { nodesOf } from './redis-cluster/look.ts'
import { askOf, readFrom } from './redis-door.ts'
import type { ManagerKind, Supervisor } from './supervisor.ts'

const LOOK_MS = 300
/** A loaded machine may take this long beyond a deadline; an answer that hangs takes for ever. */
const SLACK_MS = 8_000

const fakes: Fake[] = []
afterEach(async () => {
  for (const fake of fakes.splice(0)) await fake.close()
})

async function redis(answer: RedisAnswer): Promise<Fake> {
  const fake = await fakeRedis(answer)
  fakes.push(fake)
  return fake
}

async function http(answer: Parameters<typeof fakeHttp>[0]): Promise<Fake> {
  const fake = await fakeHttp(answer)
  fakes.push(fake)
  return fake
}

function supervisor(by: ManagerKind, endpoints: readonly string[], login = false): Promise<Supervisor> {
  const secret = login ? { user: 'holdfast', password: 'hunter2' } : null
  const name = by === 'sentinel' ? 'stock' : ''
  return openSupervisor({ by, endpoints, name, login: secret, observer: null, tls: null, clock: systemClock })
}

const NEVER = [
  ['REPLICAOF', 'NO', 'ONE'],
  ['SLAVEOF', 'NO', 'ONE'],
  ['FAILOVER'],
  ['FAILOVER', 'TO', 'h', '1', 'FORCE', 'TIMEOUT', '1'],
  ['CLUSTER', 'FAILOVER', 'FORCE'],
  ['CLUSTER', 'FAILOVER', 'TAKEOVER'],
  ['CLUSTER', 'RESET', 'HARD'],
  ['CLUSTER', 'REPLICATE', 'x'],
  ['SENTINEL', 'FAILOVER', 'stock', 'FORCE'],
  ['SENTINEL', 'REMOVE', 'stock'],
  ['SENTINEL', 'RESET', '*'],
  ['SENTINEL', 'SET', 'stock', 'quorum', '1'],
  ['CONFIG', 'SET', 'replica-priority', '0'],
  ['CONFIG', 'SET', 'min-replicas-to-write', '1', 'dir', '/'],
  ['CLIENT', 'PAUSE', '9999999', 'ALL'],
  ['SHUTDOWN'],
  ['FLUSHALL'],
  ['DEBUG', 'SLEEP', '1'],
]

describe('what may be sent', () => {
  for (const words of NEVER) {
    it(`is never ${words.join(' ')}`, async () => {
      assert.equal(isRedisRead(words) || isRedisAsk(words), false)
      const far = { host: '127.0.0.1', port: 1, login: null, tls: null }
      assert.throws(() => void readFrom(far, [words], 100), /not a reading command/)
      assert.throws(() => void askOf(far, words, 100), /nobody may ask for this/)
    })
  }

  it('is no other path of Patroni, and of its configuration only the pause', () => {
    for (const path of ['POST /restart', 'POST /reinitialize', 'DELETE /switchover', 'PUT /config', 'POST /reload']) {
      const [method = '', where = ''] = path.split(' ')
      assert.equal(isPatroniAsk(method, where), false, path)
    }
    assert.equal(isPatroniPatch({ pause: true }), true)
    assert.equal(isPatroniPatch({ pause: null }), true)
    assert.equal(isPatroniPatch({ pause: true, ttl: 1 }), false)
    assert.equal(isPatroniPatch({ synchronous_mode: false }), false)
  })
})

const FAULTS: Readonly<Record<string, RedisAnswer>> = {
  silence: () => null,
  'an end at once': (_words, socket) => {
    socket.destroy()
    return null
  },
  'another protocol': () => 'HTTP/1.1 200 OK\r\n\r\n',
  'half an answer': () => '$100\r\nabc',
  'an array of a million arrays': () => `*1000000\r\n${'*1\r\n'.repeat(50)}`,
  'a flood': (_words, socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write('x'.repeat(65_536)));
      if (!socket.destroyed) socket.once('drain', more)
    }
    socket.write('$30000000\r\n')
    more()
    return null
  },
  'a drip': (_words, socket) => {
    const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write('+')), 50)
    return null
  },
  'an error': () => '-ERR no\r\n',
  'a refusal to strangers': () => '-NOAUTH Authentication required.\r\n',
  numbers: () => ':42\r\n',
  'words of nobody': () => bulk('role:emperor\r\nmaster_repl_offset:-1e99\r\n'),
}

describe('Redis managers that answer badly', () => {
  for (const [fault, answer] of Object.entries(FAULTS)) {
    for (const by of ['sentinel', 'redis-cluster'] as const) {
      it(`${by}: ${fault} costs one deadline, and nothing but reading is sent`, async () => {
        const fake = await redis(answer)
        const asked = await supervisor(by, [`127.0.0.1:${fake.port}`])
        const startMs = systemClock.nowMs()
        const picture = pictureOf((await asked.look(LOOK_MS)).sighting)
        assert.ok(systemClock.nowMs() - startMs < LOOK_MS + SLACK_MS)
        assert.equal(picture.safe, false)
        const wish = { to: null, allowLoss: true, timeoutMs: 200, dryRun: false, lookMs: LOOK_MS }
        const report = await plannedSwitch(asked, wish, { clock: systemClock, say: () => undefined })
        assert.equal(report.ok, false)
        for (const line of fake.heard) assert.ok(isRedisRead(line.split(' ')), line)
      })
    }
  }

  it('a password goes first and alone; when it is refused nothing follows', async () => {
    const fake = await redis((words) => (words[0] === 'AUTH' ? '-WRONGPASS invalid\r\n' : '+OK\r\n'))
    const far = { host: '127.0.0.1', port: fake.port, login: { user: 'u', password: 'hunter2' }, tls: null }
    const talk = await askOf(far, ['SENTINEL', 'FAILOVER', 'stock'], 2_000)
    assert.deepEqual(talk, { ok: false, because: 'the login is refused: WRONGPASS invalid', sent: false })
    assert.deepEqual(fake.heard, ['AUTH u hunter2'])
  })

  it('two Sentinels that name different primaries are told, and nothing is asked of them', async () => {
    const says = (port: number) => flat({ name: 'stock', ip: '127.0.0.1', port, flags: 'master', 'config-epoch': 3 })
    const sentinel = (port: number) =>
      redis((words) => {
        if (words[1] === 'MASTERS') return `*1\r\n${says(port)}`
        return words[1] === 'CKQUORUM' ? '+OK 3 usable Sentinels\r\n' : '*0\r\n'
      })
    const [one, two] = [await sentinel(1), await sentinel(2)]
    const asked = await supervisor('sentinel', [`127.0.0.1:${one.port}`, `127.0.0.1:${two.port}`])
    const picture = pictureOf((await asked.look(SLACK_MS)).sighting)
    const concern = picture.concerns.find(({ code }) => code === 'views-disagree')
    assert.match(String(concern?.detail.says), /: 127\.0\.0\.1:[12]; .*: 127\.0\.0\.1:[12]$/)
    const wish = { to: null, allowLoss: true, timeoutMs: 200, dryRun: false, lookMs: LOOK_MS }
    const report = await plannedSwitch(asked, wish, { clock: systemClock, say: () => undefined })
    assert.equal(report.ok ? '' : report.kind, 'refused')
    for (const line of [...one.heard, ...two.heard]) assert.ok(isRedisRead(line.split(' ')), line)
  })

  it('reads the lines of a cluster, and lines of nobody', () => {
    const id = 'e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca'
    const lines = [
      `${id} 127.0.0.1:30001@31001,host-1 myself,master - 0 0 1 connected 0-5460 [5461->-${id}]`,
      `${id.slice(1)}0 :30002@31002 slave ${id} 0 0 1 connected`,
      `${id.slice(2)}00 [::1]:30003@31003 master,fail - 0 0 1 disconnected`,
      'x 127.0.0.1:99999@1 master - 0 0 1 connected 0',
      `${id} :0@0 master,noaddr - 0 0 1 disconnected`,
      'nonsense',
      '',
    ]
    const nodes = nodesOf(lines.join('\n'), '10.0.0.9')
    assert.deepEqual(
      nodes.map(({ member, slots, primaryId }) => [member, slots, primaryId === id]),
      [
        ['127.0.0.1:30001', '0-5460', false],
        ['10.0.0.9:30002', '', true],
        ['[::1]:30003', '', false],
      ],
    )
  })
})

const MEMBERS = {
  members: [{ name: 'pg-1', role: 'leader', state: 'running', host: '127.0.0.1', port: 1, timeline: 1 }],
}

const HTTP_FAULTS: Readonly<Record<string, Parameters<typeof fakeHttp>[0]>> = {
  silence: () => undefined,
  nonsense: (_request, response) => response.end('<html>'),
  'a list': (_request, response) => response.end('[1,2]'),
  'members of nobody': (_request, response) => response.end('{"members":[null,1,"x",{"name":5},{"name":""}]}'),
  'an error': (_request, response) => response.writeHead(500).end('{"members":[]}'),
  'a flood': (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  },
  'a drip': (_request, response) => {
    response.writeHead(200)
    const timer = setInterval(() => (response.destroyed ? clearInterval(timer) : response.write(' ')), 50)
  },
}

describe('certificates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-supervised-'))
  const other = join(folder, 'other')
  mkdirSync(other)
  const own = makeCertificates(folder)
  const stranger = makeCertificates(other)
  after(() => rmSync(folder, { recursive: true, force: true }))

  async function looked(by: ManagerKind, endpoint: string, ca: string): Promise<string> {
    const base = { by, endpoints: [endpoint], name: '', login: { user: 'u', password: 'hunter2' }, observer: null }
    const asked = await openSupervisor({ ...base, tls: { ca }, clock: systemClock })
    return (await asked.look(SLACK_MS)).sighting.voices[0]?.because ?? ''
  }

  it('of another authority end it before a word is said, and with it the password', async () => {
    const heard: string[] = []
    const secure = createTls({ cert: own.cert, key: own.key }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk: Buffer) => {
        heard.push(chunk.toString())
        socket.write('+OK\r\n-ERR no\r\n-ERR no\r\n')
      })
    })
    secure.on('tlsClientError', () => undefined)
    const web = createHttps({ cert: own.cert, key: own.key }, (_request, response) =>
      response.end(JSON.stringify(MEMBERS)),
    )
    web.on('tlsClientError', () => undefined)
    for (const server of [secure, web]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const at = (server: typeof secure | typeof web): string => `127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      for (const by of ['sentinel', 'redis-cluster'] as const) {
        assert.match(await looked(by, at(secure), stranger.ca), /certificate|self.signed|verify/i)
      }
      assert.match(await looked('patroni', `https://${at(web)}`, stranger.ca), /certificate|self.signed|verify/i)
      assert.deepEqual(heard, [])
      assert.equal(await looked('patroni', `https://${at(web)}`, own.ca), '')
      assert.match(await looked('sentinel', at(secure), own.ca), /ERR no/)
    } finally {
      for (const server of [secure, web]) server.close()
    }
  })
})

describe('a Patroni that answers badly', () => {
  for (const [fault, answer] of Object.entries(HTTP_FAULTS)) {
    it(`${fault} costs one deadline, and nothing but reading is sent, without the password`, async () => {
      const fake = await http(answer)
      const asked = await supervisor('patroni', [`http://127.0.0.1:${fake.port}`], true)
      const startMs = systemClock.nowMs()
      const picture = pictureOf((await asked.look(LOOK_MS)).sighting)
      assert.ok(systemClock.nowMs() - startMs < LOOK_MS + SLACK_MS)
      assert.equal(picture.safe, false)
      const wish = { to: null, allowLoss: false, timeoutMs: 200, dryRun: false, lookMs: LOOK_MS }
      const report = await plannedSwitch(asked, wish, { clock: systemClock, say: () => undefined })
      assert.equal(report.ok, false)
      for (const line of fake.heard) assert.match(line, /^GET \/(cluster|config|patroni)$/)
    })
  }

  it('a redirect is not followed, and an address it names gets no password', async () => {
    const trap = await http((_request, response) => response.end('{}'))
    const base = `http://127.0.0.1:${trap.port}`
    const moving = await http((_request, response) => response.writeHead(307, { location: `${base}/cluster` }).end())
    const redirected = await (await supervisor('patroni', [`http://127.0.0.1:${moving.port}`], true)).look(SLACK_MS)
    assert.match(redirected.sighting.voices[0]?.because ?? '', /redirect/)
    assert.deepEqual(trap.heard, [])
    const naming = await http((request, response) => {
      const [member] = MEMBERS.members
      const others = [
        { ...member, api_url: `${base}/patroni` },
        { name: 'pg-2', role: 'replica', state: 'streaming', lag: 0 },
      ]
      response.end(request.method === 'GET' ? JSON.stringify({ members: others }) : 'done')
    })
    const asked = await supervisor('patroni', [`http://127.0.0.1:${naming.port}`], true)
    const request = { from: 'pg-1', to: 'pg-2', shard: '', allowLoss: false, say: () => undefined }
    await asked.look(SLACK_MS)
    const answer = await asked.askSwitchover({ ...request, deadlineMs: systemClock.nowMs() + 2_000 })
    assert.equal(answer.ok, true)
    assert.deepEqual(trap.heard, ['GET /patroni'])
    assert.ok(
      naming.heard.includes('POST /switchover !auth {"leader":"pg-1","candidate":"pg-2"}'),
      naming.heard.join('\n'),
    )
  })

  const refusals: [number, string, string, RegExp][] = [
    [412, 'candidate name does not match with sync_standby', 'refused', /Patroni says \(412\): candidate/],
    [401, 'no auth header received', 'refused', /wants a password/],
    [503, 'Switchover failed', 'refused', /\(503\): Switchover failed/],
    [503, 'Switchover status unknown', 'uncertain', /status unknown/],
  ]
  for (const [status, text, kind, because] of refusals) {
    it(`${status} ${text} is ${kind}, in its own words`, async () => {
      const fake = await http((request, response) => {
        if (request.method === 'GET') response.end(JSON.stringify(MEMBERS))
        else response.writeHead(status).end(text)
      })
      const asked = await supervisor('patroni', [`http://127.0.0.1:${fake.port}`])
      const request = { from: 'pg-1', to: 'pg-2', shard: '', allowLoss: false, say: () => undefined }
      const answer = await asked.askSwitchover({ ...request, deadlineMs: systemClock.nowMs() + 3_000 })
      assert.equal(answer.ok ? 'done' : answer.kind, kind)
      assert.match(answer.ok ? '' : answer.because, because)
    })
  }

  it('one that belongs to another cluster is not listened to', async () => {
    const fake = await http((_request, response) => response.end(JSON.stringify({ ...MEMBERS, scope: 'carts' })))
    const base = { by: 'patroni' as const, endpoints: [`http://127.0.0.1:${fake.port}`], name: 'orders' }
    const asked = await openSupervisor({ ...base, login: null, observer: null, tls: null, clock: systemClock })
    const { sighting } = await asked.look(SLACK_MS)
    assert.equal(sighting.voices[0]?.because, 'it belongs to carts, not to orders')
  })
})
