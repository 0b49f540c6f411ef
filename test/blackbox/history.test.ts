import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { elleExport, HistoryWriter, mergeHistories, nowNs, readHistory } from './history.ts'

const ROOT = mkdtempSync(join(tmpdir(), 'holdfast-history-'))
const path = (name: string): string => join(ROOT, name)

describe('a history', () => {
  after(() => rmSync(ROOT, { recursive: true, force: true }))

  it('is read as it was written, with its index and its time', () => {
    const beganNs = nowNs()
    const writer = new HistoryWriter(path('one'))
    for (let n = 0; n < 20_000; n += 1) writer.write({ type: 'invoke', process: 1, f: 'insert', value: { n } })
    writer.close()
    const lines = readHistory(path('one'))
    assert.equal(lines.length, 20_000)
    assert.deepEqual(lines.at(-1)?.value, { n: 19_999 })
    assert.ok(lines.every(({ index, time }, at) => index === at && time >= beganNs && time <= nowNs()))
  })

  it('reaches the file without being closed, and loses nothing but a line cut in its midst', async () => {
    const writer = new HistoryWriter(path('killed'))
    writer.write({ type: 'ok', process: 1, f: 'insert', value: 1 })
    await sleep(200)
    assert.equal(readHistory(path('killed')).length, 1)
    appendFileSync(path('killed'), '{"index":1,"ti')
    assert.equal(readHistory(path('killed')).length, 1)
    appendFileSync(path('killed'), '\n')
    assert.throws(() => readHistory(path('killed')), /killed:2 is no line of a history/)
    writer.close()
  })

  it('of several processes is merged by time and numbered anew', () => {
    for (const [name, times] of [
      ['p', [1, 4, 5]],
      ['q', [2, 3, 6]],
    ] as const) {
      const writer = new HistoryWriter(path(name))
      for (const time of times) writer.write({ type: 'info', process: 'nemesis', f: 'fault', value: time, time })
      writer.close()
    }
    const merged = mergeHistories([path('p'), path('q')])
    assert.deepEqual(
      merged.map(({ index, time }) => [index, time]),
      [1, 2, 3, 4, 5, 6].map((time, index) => [index, time]),
    )
  })

  it('is exported as Elle reads it', () => {
    const writer = new HistoryWriter(path('elle'))
    const steps = [
      ['append', 3, 7],
      ['r', 3, null],
      ['r', 4, [1, 2]],
    ]
    writer.write({ type: 'invoke', process: 0, f: 'insert', value: {}, time: 5 })
    writer.write({ type: 'ok', process: 0, f: 'txn', value: steps, time: 6 })
    writer.close()
    const lines = readHistory(path('elle'))
    const edn = '{:type :ok, :f :txn, :value [[:append 3 7] [:r 3 nil] [:r 4 [1 2]]], :process 0, :time 6, :index 0}\n'
    assert.equal(elleExport(lines, 'edn'), edn)
    const json: unknown = JSON.parse(elleExport(lines, 'json'))
    assert.deepEqual(json, [{ index: 0, type: 'ok', f: 'txn', value: steps, process: 0, time: 6 }])
    assert.ok(readFileSync(path('elle'), 'utf8').endsWith('}\n'))
  })
})
