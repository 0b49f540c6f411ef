/** A planned move by Sentinel on its bad days: an answer that is lost, a replica that only the Sentinels can see. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { systemClock } from '../../io/clock.ts'
import { bulk, type Fake, fakeRedis, flat, type RedisAnswer } from '../hostile-answers.fixture.ts'
import type { Asked } from '../supervisor.ts'
import { moveBySentinel } from './move.ts'

/** Longer than a promotion is waited for; the clock of a test skips it. */
const SKIPPED_MS = 60_000
const NOBODY_PORT = 1
const END = 1000

const fakes: Fake[] = []
afterEach(async () => {
  for (const fake of fakes.splice(0)) await fake.close()
})

async function redis(answer: RedisAnswer): Promise<Fake> {
  const fake = await fakeRedis(answer)
  fakes.push(fake)
  return fake
}

interface Turn {
  /** The replica leads by its own word. */
  leads: boolean
  /** Whom Sentinel names. */
  named: 'old' | 'next'
  moving: boolean
  silent: boolean
  skippedMs: number
}

interface Story {
  /** What comes of `SENTINEL FAILOVER`, before it is answered. */
  readonly asked: (turn: Turn) => void
  /** False: the connection ends instead of an answer. */
  readonly answered: boolean
  /** The replica answers us. */
  readonly seen: boolean
}

function server(isPrimary: () => boolean, closed: () => void = () => undefined): RedisAnswer {
  return (words) => {
    const text = words.join(' ')
    if (text === 'INFO replication') {
      const [role, offset] = isPrimary() ? ['master', 'master_repl_offset'] : ['slave', 'slave_repl_offset']
      return bulk(`role:${role}\r\n${offset}:${END}\r\nconnected_slaves:1\r\nmaster_link_status:up\r\n`)
    }
    if (text === 'INFO server') return bulk('redis_version:7.0.15\r\n')
    if (text.startsWith('CONFIG GET')) return flat({ 'min-replicas-to-write': 0 })
    if (/^CONFIG SET min-replicas-to-write [1-9]/.test(text)) closed()
    return '+OK\r\n'
  }
}

async function moved(story: Story): Promise<{ readonly answer: Asked; readonly old: Fake; readonly from: string }> {
  const turn: Turn = { leads: false, named: 'old', moving: false, silent: false, skippedMs: 0 }
  // Made a replica as soon as it is closed, so that no test waits.
  let closed = false
  const old = await redis(
    server(
      () => !closed,
      () => {
        closed = true
      },
    ),
  )
  const next = story.seen ? (await redis(server(() => turn.leads))).port : NOBODY_PORT
  const portOf = (who: Turn['named']): number => (who === 'old' ? old.port : next)
  const place = (who: Turn['named']) => ({ ip: '127.0.0.1', port: portOf(who) })
  const sentinel = await redis((words, socket) => {
    if (turn.silent) return null
    const [, what] = words
    const flags = turn.moving ? 'master,failover_in_progress' : 'master'
    const group = { name: 'stock', flags, 'config-epoch': 1, 'down-after-milliseconds': 10_000 }
    if (what === 'MASTERS') return `*1\r\n${flat({ ...group, ...place(turn.named) })}`
    if (what === 'REPLICAS') {
      const other = { ...place(turn.named === 'old' ? 'next' : 'old'), flags: 'slave' }
      return `*1\r\n${flat({ ...other, 'master-link-status': 'ok', 'slave-priority': 100 })}`
    }
    if (what === 'CKQUORUM') return '+OK 1 usable Sentinels\r\n'
    if (what === 'GET-MASTER-ADDR-BY-NAME') return flat({ '127.0.0.1': portOf(turn.named) })
    if (what !== 'FAILOVER') return bulk('redis_version:7.0.15\r\n')
    story.asked(turn)
    if (story.answered) return '+OK\r\n'
    socket.destroy()
    return null
  })
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + turn.skippedMs }
  const endpoints = [`127.0.0.1:${sentinel.port}`]
  const o = { by: 'sentinel' as const, endpoints, name: 'stock', login: null, observer: null, tls: null, clock }
  const from = `127.0.0.1:${old.port}`
  const deadlineMs = clock.nowMs() + SKIPPED_MS / 2
  const request = { from, to: '', shard: '', allowLoss: false, deadlineMs, say: () => undefined }
  return { answer: await moveBySentinel(o, request), old, from }
}

const CLOSING = 'CONFIG SET min-replicas-to-write '
/** Orders to the old primary after its writers were held, without the renewals. */
function orders({ heard }: Fake): readonly string[] {
  const all = heard.filter((line) => /^(CLIENT|CONFIG SET)/.test(line))
  return all.slice(all.findIndex((line) => line.startsWith('CLIENT PAUSE'))).filter((line) => !/PAUSE \d/.test(line))
}

/** Once the promotion is waited for. */
function soon(turn: Turn, change: Partial<Turn>): void {
  setTimeout(() => Object.assign(turn, change), 200)
}

describe('a planned move by Sentinel', () => {
  for (const [what, answered, change] of [
    ['its answer was lost and it moves', false, { leads: true, named: 'next' }],
    ['the new primary tells us nothing', true, { named: 'next' }],
  ] as const) {
    it(`goes on when ${what}: the old primary is closed before anybody may write`, async () => {
      const { answer, old } = await moved({ asked: (turn) => soon(turn, change), answered, seen: true })
      assert.equal(answer.ok, true, JSON.stringify(answer))
      assert.deepEqual(orders(old).slice(0, 3), [`${CLOSING}2`, 'CLIENT KILL TYPE normal', 'CLIENT UNPAUSE'])
    })
  }

  it('lets writers go on when its answer was lost and it has certainly not begun', async () => {
    const asked = (turn: Turn): void => soon(turn, { skippedMs: SKIPPED_MS })
    const { answer, old } = await moved({ asked, answered: false, seen: true })
    assert.match(answer.ok ? '' : answer.because, /gave up; writers go on/)
    assert.deepEqual(orders(old), ['CLIENT UNPAUSE'])
  })

  for (const [what, change] of [
    ['it is still at it', { moving: true }],
    ['it does not answer any more', { silent: true }],
  ] as const) {
    it(`closes the old primary rather than let a pause run out, when nobody leads and ${what}`, async () => {
      const asked = (turn: Turn): void => soon(turn, { ...change, skippedMs: SKIPPED_MS })
      const { answer, old, from } = await moved({ asked, answered: true, seen: true })
      assert.equal(answer.ok ? 'done' : answer.kind, 'uncertain', JSON.stringify(answer))
      const because = answer.ok ? '' : answer.because
      assert.match(because, new RegExp(`${from} refuses writes meanwhile: .* CONFIG SET min-replicas-to-write 0 there`))
      assert.deepEqual(orders(old), [`${CLOSING}3`, 'CLIENT KILL TYPE normal', 'CLIENT UNPAUSE'])
    })
  }

  it('is not begun while a replica that Sentinels may choose does not answer here; it is named', async () => {
    const { answer, old } = await moved({ asked: () => assert.fail('asked'), answered: true, seen: false })
    assert.equal(answer.ok ? 'done' : answer.kind, 'refused')
    assert.match(answer.ok ? '' : answer.because, /may choose 127\.0\.0\.1:1 \(.*ECONNREFUSED/)
    assert.deepEqual(orders(old), [])
  })
})
