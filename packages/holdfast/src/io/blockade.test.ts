import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { Blockade, blockade } from './blockade.ts'
import { exchange, httpPool, listen } from './http-pool.ts'

describe('a blockade', () => {
  it('ends by the monotonic time it is compared with, whatever timers and wall clocks do', () => {
    let nowMs = 1_000
    let wallMs = 5_000_000
    const one = new Blockade({ nowMs: () => nowMs, wallMs: () => wallMs })
    one.block(['http://a:1'], 500)
    assert.equal(one.covers('http://a:1'), true)
    assert.equal(one.covers('http://b:1'), false)
    wallMs -= 4_000_000
    assert.equal(one.covers('http://a:1'), true)
    nowMs = 1_500
    assert.equal(one.covers('http://a:1'), false)
    assert.equal(one.leftMs, 0)
    assert.equal(one.refused, 2)
  })

  it('is lifted once, tells those who wait, and a second one replaces the first', () => {
    const one = new Blockade()
    let told = 0
    one.block(['http://a:1'], 60_000)
    one.whenOpen(() => {
      told += 1
    })
    one.whenOpen(() => assert.fail('forgotten'))()
    one.block(['http://b:1'], 60_000)
    assert.equal(told, 1)
    assert.equal(one.covers('http://a:1'), false)
    one.lift()
    one.lift()
    assert.equal(one.covers('http://b:1'), false)
    assert.equal(told, 1)
  })
})

describe('connections behind it', () => {
  let server: Server
  let origin = ''
  let asked = 0
  let hold: (text: string) => void = () => {}
  before(async () => {
    server = createServer((request, response) => {
      asked += 1
      if (request.url === '/stream') {
        response.write('first\n')
        hold = (text) => response.write(text)
      } else if (request.url === '/slow') hold = (text) => response.end(text)
      else response.end('well')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    blockade.lift()
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => blockade.lift())

  const question = (path: string) => ({ method: 'GET', path, headers: {} }) as const
  const bounds = { timeoutMs: 300, bytesMax: 1_000 }

  it('a question does not leave and runs out of time; afterwards it is answered', async () => {
    const pool = httpPool(origin, { connections: 1 })
    assert.equal((await exchange(pool, question('/'), bounds)).text, 'well')
    blockade.block([origin], 60_000)
    const before = asked
    await assert.rejects(exchange(pool, question('/'), bounds), /no answer within 300 ms/)
    assert.equal(asked, before)
    assert.equal(blockade.refused, 1)
    blockade.lift()
    assert.equal((await exchange(pool, question('/'), { ...bounds, timeoutMs: 30_000 })).text, 'well')
    await pool.destroy()
  })

  it('an answer that was under way does not arrive', async () => {
    const pool = httpPool(origin, { connections: 1 })
    const asking = asked
    const answer = exchange(pool, question('/slow'), { timeoutMs: 1_500, bytesMax: 1_000 })
    while (asking === asked) await new Promise((resolve) => setTimeout(resolve, 5))
    blockade.block([origin], 60_000)
    hold('late')
    await assert.rejects(answer, /no answer within/)
    await pool.destroy()
  })

  it('a stream falls silent and is broken when the blockade ends', async () => {
    const pool = httpPool(origin, { connections: 1 })
    const heard: string[] = []
    let end: ((error: Error | null) => void) | null = null
    const ended = new Promise<Error | null>((resolve) => {
      end = resolve
    })
    let first: () => void = () => {}
    const begun = new Promise<void>((resolve) => {
      first = resolve
    })
    listen(pool, question('/stream'), {
      onStatus: () => {},
      onChunk: (chunk) => {
        heard.push(chunk.toString())
        first()
      },
      onEnd: (error) => end?.(error),
    })
    await begun
    blockade.block([origin], 60_000)
    hold('second\n')
    while (blockade.refused === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepEqual(heard, ['first\n'])
    blockade.lift()
    assert.match(String(await ended), /lost/)
    assert.deepEqual(heard, ['first\n'])
    await pool.destroy()
  })
})
