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

function event(): { happened: Promise<void>; happens: () => void } {
  let happens = (): void => {}
  const happened = new Promise<void>((resolve) => {
    happens = resolve
  })
  return { happened, happens: () => happens() }
}

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

  it('takes an answer that is late, and asks beside it ever more rarely', async () => {
    const startedMs: number[] = []
    const startMs = performance.now()
    const third = event()
    const attempts = new Attempts(2, 20)
    const result = await attempts.run(2_000, async ({ endpoint, timeoutMs }): Promise<Answer> => {
      startedMs.push(performance.now() - startMs)
      if (startedMs.length === 3) third.happens()
      if (startedMs.length > 1) return hang(timeoutMs)
      await third.happened
      return { kind: 'done', result: { kind: 'ok', by: endpoint } as { kind: 'ok' } }
    })
    assert.deepEqual(result, { kind: 'ok', by: 0 }, 'the answer of the first attempt was thrown away')
    assert.equal(attempts.preferred(), 0)
    assert.equal(startedMs.length, 3)
    assert.ok((startedMs[1] ?? 0) >= 19 && (startedMs[2] ?? 0) >= 58, startedMs.join())
  })

  it('tells the first attempt, too, that a later one may have been applied', async () => {
    const seen: boolean[] = []
    const second = event()
    await new Attempts(1, 20).run(2_000, async (attempt): Promise<Answer> => {
      const before = attempt.mayRepeat
      if (before) {
        second.happens()
        return hang(attempt.timeoutMs)
      }
      await second.happened
      seen.push(before, attempt.mayRepeat)
      return ok
    })
    assert.deepEqual(seen, [false, true])
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
