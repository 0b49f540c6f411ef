import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LineCutter } from './lines.ts'

describe('line cutter', () => {
  it('finds the same lines however the bytes arrive', () => {
    const lines = fc.array(
      fc.string({ unit: 'binary' }).map((text) => text.replace(/\s/g, '_')),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(lines, fc.array(fc.nat(40), { maxLength: 30 }), (texts, cuts) => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
        const cutter = new LineCutter(10_000)
        const found: string[] = []
        let start = 0
        for (const size of [...cuts, bytes.length]) {
          const result = cutter.push(bytes.subarray(start, start + size))
          assert.ok(result.ok)
          found.push(...result.lines)
          start += size
        }
        const expected = bytes
          .toString('utf8')
          .split('\n')
          .map((text) => text.trim())
        assert.deepEqual(
          found,
          expected.filter((text) => text !== ''),
        )
      }),
      { numRuns: 200 },
    )
  })

  it('refuses a line that is longer than the bound, ended or not', () => {
    assert.equal(new LineCutter(10).push(Buffer.from('x'.repeat(11))).ok, false)
    assert.equal(new LineCutter(10).push(Buffer.from(`${'x'.repeat(11)}\n`)).ok, false)
    const cutter = new LineCutter(10)
    assert.equal(cutter.push(Buffer.from('x'.repeat(6))).ok, true)
    assert.equal(cutter.push(Buffer.from('x'.repeat(6))).ok, false)
  })
})
