import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Attempt, type AttemptResult, Attempts } from './attempts.ts'

type Answer = AttemptResult<{ readonly kind: 'ok' } | { readonly kind: 'unknown'; readonly because: string }>
type Failed = Extract<AttemptResult<unknown>, { kind: 'failed' }>

const ok = { kind: 'done', result: { kind: 'ok' } } as const

const hang = (timeoutMs: number): Promise<Failed> =>
  new Promise((resolve) => {
    setTimeout(() => resolve({ kind: 'failed', because: 'silent', sent: true }), timeoutMs)
  })

describe('attempts', () => {
  it('asks the next endpoint after a short attempt and stays with the one that answered', async () => {
    const attempts = new Attempts(3, 20)
    const asked: number[] = []
    const answer = async ({ endpoint, timeoutMs }: Attempt): Promise<Answer> => {
      asked.push(endpoint)
      return endpoint === 2 ? ok : hang(timeoutMs)
    }
    assert.deepEqual(await attempts.run(500, answer), { kind: 'ok' })
    assert.deepEqual(await attempts.run(500, answer), { kind: 'ok' })
    assert.deepEqual(asked, [0, 1, 2, 2])
  })

  it('gives each further attempt twice the time, so that a slow store is reached', async () => {
    const timeouts: number[] = []
    const result = await new Attempts(1, 20).run(200, async ({ timeoutMs }): Promise<Answer> => {
      timeouts.push(Math.round(timeoutMs))
      return timeoutMs > 70 ? ok : hang(timeoutMs)
    })
    assert.deepEqual(result, { kind: 'ok' })
    assert.equal(timeouts[0], 20)
    assert.equal(timeouts[1], 40)
    assert.equal(timeouts.length, 3)
  })

  it('ends as unknown at the deadline with the words of the failures, without a tight loop', async () => {
    let count = 0
    const startMs = performance.now()
    const result = await new Attempts(2, 50).run(120, async ({ endpoint }): Promise<Answer> => {
      count += 1
      return { kind: 'failed', because: `refused by ${endpoint}`, sent: false } as const
    })
    const tookMs = performance.now() - startMs
    assert.ok(tookMs >= 100 && tookMs < 170, `${tookMs}`)
    assert.ok(count <= 24, `${count} attempts`)
    assert.deepEqual(Object.keys(result), ['kind', 'because'])
    assert.match(JSON.stringify(result), /no answer within 120 ms: .*refused by [01]; refused by [01]/)
  })

  it('tells an attempt that an earlier one may have been applied, but not after a refused connection', async () => {
    const seen: boolean[] = []
    const sent = [false, false, true, true]
    await new Attempts(1, 50).run(1_000, async ({ mayRepeat }): Promise<Answer> => {
      seen.push(mayRepeat)
      const wasSent = sent[seen.length - 1]
      return wasSent === undefined ? ok : ({ kind: 'failed', because: 'no', sent: wasSent } as const)
    })
    assert.deepEqual(seen, [false, false, false, true, true])
  })
})
