import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { count, finalLine, isWanted, type Outcome, type Tally } from './test.ts'

const PASSED: Outcome = { kind: 'test', passed: true, ownFailure: true, skipped: null }

function tallyOf(outcomes: readonly Partial<Outcome>[], strict = false): Tally {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
  for (const outcome of outcomes) count(tally, { ...PASSED, ...outcome }, strict)
  return tally
}

describe('what is counted', () => {
  test('tests count, groups do not, and a failure inside a group counts once', () => {
    const outcomes: Partial<Outcome>[] = [
      {},
      { passed: false },
      { kind: 'group' },
      { kind: 'group', passed: false, ownFailure: false },
    ]
    assert.deepEqual(tallyOf(outcomes), { passed: 1, failed: 1, skipped: 0 })
  })

  test('a group whose hook failed counts as a failure', () => {
    assert.equal(tallyOf([{ kind: 'group', passed: false }]).failed, 1)
  })

  test('a file that ran no test is a failure even when it ended well', () => {
    assert.equal(tallyOf([{ kind: 'file' }]).failed, 1)
  })

  test('a skip for want of an engine is a failure in CI, elsewhere it is shown; other skips stay skips', () => {
    const skips = [
      { skipped: 'needs etcd' },
      { kind: 'group', skipped: 'needs etcd' },
      { skipped: 'only on macOS' },
    ] as const
    assert.deepEqual(tallyOf(skips, false), { passed: 0, failed: 0, skipped: 3 })
    assert.deepEqual(tallyOf(skips, true), { passed: 0, failed: 2, skipped: 1 })
  })
})

test('the last line names skips only when there are some', () => {
  assert.equal(finalLine({ passed: 3, failed: 0, skipped: 0 }), '3 passed, 0 failed')
  assert.equal(finalLine({ passed: 3, failed: 1, skipped: 2 }), '3 passed, 1 failed, 2 skipped')
})

test('names decide what is fast', () => {
  const wanted = (path: string) => [isWanted(path, 'unit'), isWanted(path, 'all')]
  assert.deepEqual(wanted('packages/holdfast/src/core/lease/turn.test.ts'), [true, true])
  assert.deepEqual(wanted('packages/holdfast/src/store/etcd/etcd.engine.test.ts'), [false, true])
  assert.deepEqual(wanted('packages/holdfast/src/sim/bugs.slow.test.ts'), [false, true])
  assert.deepEqual(wanted('test/blackbox/demo.test.ts'), [false, true])
  assert.deepEqual(wanted('packages/holdfast/src/store/conformance.ts'), [false, false])
})
