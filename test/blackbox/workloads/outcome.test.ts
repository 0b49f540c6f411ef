import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isUnconfirmed, outcomeOf } from './outcome.ts'

function answered(severity: string, code: string): unknown {
  return Object.assign(new Error('made so'), { severity, code })
}

describe('the outcome of a statement', () => {
  for (const code of ['25006', '40001', '40P01', '23505', '53100', '55000', '57014']) {
    it(`is a failure when the transaction was undone with ${code}`, () => {
      assert.deepEqual(
        [outcomeOf(answered('ERROR', code)).type, outcomeOf(answered('ERROR', code)).alive],
        ['fail', true],
      )
    })
  }
  it('is unknown when the server ended the session, which may happen while it commits', () => {
    for (const code of ['57P01', '57P02', '57P03', '25006', '08006', '40001']) {
      assert.deepEqual(
        [outcomeOf(answered('FATAL', code)).type, outcomeOf(answered('FATAL', code)).alive],
        ['info', false],
      )
    }
  })
  it('is unknown after a lost connection, a time-out, and what is not known to undo', () => {
    const lost = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    assert.equal(outcomeOf(lost).type, 'info')
    assert.equal(outcomeOf(new Error('Query read timeout')).type, 'info')
    for (const code of ['40003', 'XX000', '57P01', '58030'])
      assert.equal(outcomeOf(answered('ERROR', code)).type, 'info')
  })
})

describe('a commit without its replica', () => {
  it('is told by the warnings of PostgreSQL', () => {
    const message = 'canceling wait for synchronous replication due to user request'
    assert.equal(isUnconfirmed({ message, code: '01000' }), true)
    const ending =
      'canceling the wait for synchronous replication and terminating connection due to administrator command'
    assert.equal(isUnconfirmed({ message: ending, code: '57P01' }), true)
    assert.equal(isUnconfirmed({ message: 'relation "probe" already exists, skipping', code: '42P07' }), false)
  })
})
