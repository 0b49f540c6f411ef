import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreHistory } from './history.ts'

describe('store history (R22)', () => {
  it('refuses a revision, a term or an identity that went back', () => {
    const history = new StoreHistory()
    assert.equal(history.judge({ identity: 'a', revision: 5, term: 3 }, history.floor()), null)
    const asked = history.floor()
    assert.match(String(history.judge({ identity: 'a', revision: 4, term: 3 }, asked)), /from 5 to 4/)
    assert.match(String(history.judge({ identity: 'a', revision: 6, term: 2 }, asked)), /term went back from 3 to 2/)
    assert.match(String(history.judge({ identity: 'b', revision: 9, term: 9 }, asked)), /another store/)
    assert.deepEqual(history.floor(), { identity: 'a', revision: 5, term: 3 })
  })

  it('believes an answer that was overtaken by a later one', () => {
    const history = new StoreHistory()
    const asked = history.floor()
    assert.equal(history.judge({ identity: 'a', revision: 9, term: 3 }, asked), null)
    assert.equal(history.judge({ identity: 'a', revision: 8, term: 3 }, asked), null)
    assert.equal(history.floor().revision, 9)
  })
})
