import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judgeCas } from './client.ts'
import { casRequest, encode, prefixRange, readCas, readHeader, readNumber, readWatchLine } from './protocol.ts'

const header = { cluster_id: '6001611773266757492', member_id: '1', revision: '7', raft_term: '2' }

describe('etcd protocol', () => {
  it('asks for a prefix up to the next key after it', () => {
    assert.deepEqual(prefixRange('a/'), { key: encode('a/'), range_end: encode('a0') })
    assert.deepEqual(prefixRange(''), { key: 'AA==', range_end: 'AA==' })
  })

  it('compares the creation for a key that must not exist, the revision otherwise', () => {
    assert.match(JSON.stringify(casRequest('k', 'v', 0)), /"create_revision":"0"/)
    assert.match(JSON.stringify(casRequest('k', 'v', 9)), /"mod_revision":"9"/)
  })

  it('reads numbers as the gateway writes them and nothing else', () => {
    assert.equal(readNumber('12'), 12)
    assert.equal(readNumber(undefined), 0)
    for (const wrong of ['', '-1', '1.5', '0x10', '99999999999999999', -1, 1.5, null, {}, true]) {
      assert.equal(readNumber(wrong), null, String(wrong))
    }
  })

  it('keeps a cluster id that is larger than a number can hold', () => {
    assert.deepEqual(readHeader({ header }), { identity: '6001611773266757492', revision: 7, term: 2 })
    assert.equal(readHeader({ header: { ...header, revision: {} } }), null)
    assert.equal(readHeader({}), null)
  })

  it('reads what a write did, and refuses keys of other platforms', () => {
    const put = { header, succeeded: true, responses: [{ response_put: {} }] }
    assert.deepEqual(readCas(put, 'p/'), { kind: 'applied', revision: 7 })
    const kv = (key: string) => ({ key: encode(key), mod_revision: '5', value: encode('{}') })
    const found = (key: string) => ({ header, responses: [{ response_range: { kvs: [kv(key)] } }] })
    const entry = { key: 'k', value: '{}', revision: 5 }
    assert.deepEqual(readCas(found('p/k'), 'p/'), { kind: 'conflict', found: entry })
    assert.equal(readCas(found('q/k'), 'p/'), null)
  })

  it('reads puts, deletions, compactions and cancellations of a watch', () => {
    const gone = { events: [{ type: 'DELETE', kv: { key: encode('p/k'), mod_revision: '8' } }] }
    const entry = { key: 'k', value: null, revision: 0 }
    assert.deepEqual(readWatchLine(gone, 'p/'), { kind: 'changes', changes: [{ entry, changedAt: 8 }] })
    assert.equal(readWatchLine({ canceled: true, compact_revision: '4' }, 'p/')?.kind, 'compacted')
    assert.equal(readWatchLine({ canceled: true }, 'p/')?.kind, 'canceled')
    assert.equal(readWatchLine({ events: [{ type: 'MOVE' }] }, 'p/'), null)
  })
})

describe('meaning of a compare-and-set answer', () => {
  const base = { key: 'k', value: '{"beat":2}', ifRevision: 4 }
  const found = (value: string, revision: number) =>
    ({ kind: 'conflict', found: { key: 'k', value, revision } }) as const

  it('takes its own text for its own write only when an earlier attempt may have been applied', () => {
    const answer = found('{"beat":2}', 5)
    const ok = judgeCas({ ...base, answer, attempt: { mayRepeat: true } })
    assert.deepEqual(ok, { kind: 'ok', entry: answer.found })
    const conflict = judgeCas({ ...base, answer, attempt: { mayRepeat: false } })
    assert.deepEqual(conflict, { kind: 'conflict', entry: answer.found })
    const other = judgeCas({ ...base, answer: found('{"beat":3}', 6), attempt: { mayRepeat: true } })
    assert.equal(typeof other === 'object' && other?.kind, 'conflict')
  })

  it('does not believe a revision that went back, nor a conflict with the revision that was asked for', () => {
    const attempt = { mayRepeat: false }
    assert.match(String(judgeCas({ ...base, answer: found('{}', 3), attempt })), /went back from 4 to 3 \(R22\)/)
    assert.equal(judgeCas({ ...base, answer: found('{}', 4), attempt }), null)
    assert.equal(judgeCas({ ...base, answer: { kind: 'applied', revision: 4 }, attempt }), null)
  })
})
