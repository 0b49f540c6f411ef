import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { StoredValue } from './contract.ts'
import { WatchView } from './view.ts'

const put = (key: string, revision: number): StoredValue => ({ key, value: `{"r":${revision}}`, revision })

describe('watch view', () => {
  it('tells each key only what is newer than what was told', () => {
    const told: StoredValue[] = []
    const view = new WatchView((entry) => told.push(entry))
    for (const revision of [3, 3, 2, 5, 4]) view.tell({ entry: put('a', revision), changedAt: revision })
    view.tell({ entry: put('b', 1), changedAt: 1 })
    assert.deepEqual(told, [put('a', 3), put('a', 5), put('b', 1)])
  })

  it('tells from a listing what is gone, once, and what came back', () => {
    const told: StoredValue[] = []
    const view = new WatchView((entry) => told.push(entry))
    view.tellListing([put('a', 1), put('b', 2)], 4)
    view.tellListing([put('b', 2)], 6)
    view.tellListing([put('b', 2)], 7)
    view.tell({ entry: put('a', 5), changedAt: 5 })
    view.tell({ entry: put('a', 8), changedAt: 8 })
    const gone = { key: 'a', value: null, revision: 0 }
    assert.deepEqual(told, [put('a', 1), put('b', 2), gone, put('a', 8)])
  })
})
