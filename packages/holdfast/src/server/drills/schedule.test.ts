import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LATE_MS_MAX, type Looked, slotsOf } from './schedule.ts'

const HOURLY = { cron: '0 * * * *', timeZone: 'UTC', freezes: [], overdueAfterMs: 1 }
const at = (text: string): number => Date.parse(`2027-03-09T${text}Z`)
const seen = (untilMs: number): Looked => ({ schedule: '0 * * * * UTC', sinceMs: 0, untilMs })

describe('the times of a schedule', () => {
  it('before it was first seen are nobody’s', () => {
    const { looked, slots } = slotsOf(HOURLY, null, at('09:30:00'))
    assert.deepEqual([looked.untilMs, looked.sinceMs, slots], [at('09:30:00'), at('09:30:00'), []])
  })

  it('are taken once, by whoever looks first', () => {
    const first = slotsOf(HOURLY, seen(at('09:59:59')), at('10:00:01'))
    assert.deepEqual(first.slots, [{ atMs: at('10:00:00'), kind: 'run' }])
    assert.deepEqual(slotsOf(HOURLY, first.looked, at('10:00:02')).slots, [])
    assert.deepEqual(slotsOf(HOURLY, first.looked, at('10:00:01')).slots, [])
  })

  it('that come too late are told and not run; of several only the newest may run', () => {
    const late = slotsOf(HOURLY, seen(at('09:30:00')), at('10:00:00') + LATE_MS_MAX + 1)
    assert.deepEqual(
      late.slots.map(({ kind }) => kind),
      ['missed'],
    )
    const several = slotsOf(HOURLY, seen(at('07:30:00')), at('10:01:00'))
    assert.deepEqual(
      several.slots.map(({ kind }) => kind),
      ['missed', 'missed', 'run'],
    )
  })

  it('on frozen days are skipped without a word', () => {
    const frozen = { ...HOURLY, freezes: [{ from: '2027-03-09', to: '2027-03-09', because: '' }] }
    assert.deepEqual(slotsOf(frozen, seen(at('09:59:59')), at('10:00:01')).slots, [])
  })

  it('of a clock that was set back begin from there, and another schedule begins anew', () => {
    const back = slotsOf(HOURLY, seen(at('12:00:30')), at('10:00:01'))
    assert.deepEqual([back.looked.untilMs, back.slots], [at('10:00:01'), []])
    const hiccup = slotsOf(HOURLY, seen(at('10:00:30')), at('10:00:01'))
    assert.equal(hiccup.looked.untilMs, at('10:00:30'))
    const other = slotsOf({ ...HOURLY, cron: '30 * * * *' }, seen(at('09:00:00')), at('10:00:01'))
    assert.deepEqual([other.looked.schedule, other.slots], ['30 * * * * UTC', []])
  })
})
