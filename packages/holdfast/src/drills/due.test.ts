import assert from 'node:assert/strict'
import { it } from 'node:test'
import { loadDrillBytes } from '../config/drill.ts'
import { dueOf, overdueSince } from './due.ts'
import type { EndedDrill } from './ledger.ts'

function drill(schedule: string) {
  const text = `version: 1
drill: one
group: orders
fault: { kind: switchover }
objectives: { rto: 5s, rpo: 0s }
${schedule}`
  const loaded = loadDrillBytes(Buffer.from(text), '/tmp/one.yaml')
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return loaded.drill
}

/** Tuesdays at ten in Berlin; frozen over the turn of the year. */
const WEEKLY = drill(`schedule:
  cron: "0 10 * * 2"
  timeZone: Europe/Berlin
  freezes: [{ from: "2027-12-20", to: "2028-01-03", because: year end }]
  overdueAfter: 30d
`)

function ran(at: string, outcome: EndedDrill['outcome'] = 'passed', name = 'one'): EndedDrill {
  const wallMs = Date.parse(at)
  const rest = { because: '', practice: false, rtoMs: 1, rpoMs: 0, seq: 1, sha256: null }
  return { id: 'x', drill: name, outcome, startedWallMs: wallMs, endedWallMs: wallMs, ...rest }
}

const at = (text: string): number => Date.parse(text)

it('is due from its time on until it ran', () => {
  const late = dueOf(WEEKLY, [ran('2027-03-02T09:05:00Z')], at('2027-03-09T09:30:00Z'))
  assert.equal(late.state, 'due')
  assert.match(late.because, /2027-03-09T09:00:00/)
  const before = dueOf(WEEKLY, [ran('2027-03-02T09:05:00Z')], at('2027-03-09T08:59:00Z'))
  assert.equal(before.state, 'later')
  assert.equal(new Date(before.nextWallMs ?? 0).toISOString(), '2027-03-09T09:00:00.000Z')
  assert.equal(dueOf(WEEKLY, [ran('2027-03-09T09:10:00Z', 'failed')], at('2027-03-09T09:30:00Z')).state, 'later')
  assert.equal(dueOf(WEEKLY, [ran('2027-03-09T09:10:00Z', 'refused')], at('2027-03-09T09:30:00Z')).state, 'due')
  assert.equal(dueOf(WEEKLY, [ran('2027-03-09T09:10:00Z', 'passed', 'other')], at('2027-03-09T09:30:00Z')).state, 'due')
})

it('follows the clock of its place through summer time', () => {
  const summer = dueOf(WEEKLY, [ran('2027-03-23T09:05:00Z')], at('2027-03-28T12:00:00Z'))
  assert.equal(new Date(summer.nextWallMs ?? 0).toISOString(), '2027-03-30T08:00:00.000Z')
})

it('is never due on a frozen day, and its next time is after the freeze', () => {
  const frozen = dueOf(WEEKLY, [], at('2027-12-28T10:30:00Z'))
  assert.equal(frozen.state, 'frozen')
  assert.match(frozen.because, /year end/)
  assert.equal(new Date(frozen.nextWallMs ?? 0).toISOString(), '2028-01-04T09:00:00.000Z')
  // Midnight is where the drill lives, not in Greenwich.
  assert.equal(dueOf(WEEKLY, [], at('2027-12-19T23:30:00Z')).state, 'frozen')
  assert.notEqual(dueOf(WEEKLY, [], at('2027-12-19T22:30:00Z')).state, 'frozen')
})

it('is overdue when its last proof is too old, also when it ran since', () => {
  const past = [ran('2027-01-05T09:05:00Z'), ran('2027-03-09T09:05:00Z', 'failed')]
  const late = dueOf(WEEKLY, past, at('2027-03-09T12:00:00Z'))
  assert.equal(late.state, 'overdue')
  assert.match(late.because, /63 days ago/)
})

it('without a schedule it is never due', () => {
  assert.equal(dueOf(drill(''), [], at('2027-03-09T12:00:00Z')).state, 'unscheduled')
})

it('known only for a while, its earlier times are nobody’s; never passed, it is overdue counted from then', () => {
  const known = at('2027-03-09T12:00:00Z')
  assert.equal(dueOf(WEEKLY, [], at('2027-03-10T12:00:00Z'), known).state, 'later')
  assert.equal(dueOf(WEEKLY, [], at('2027-03-16T12:00:00Z'), known).state, 'due')
  const late = { nowWallMs: at('2027-04-09T12:00:00Z'), knownSinceMs: known }
  assert.equal(dueOf(WEEKLY, [], late.nowWallMs, known).state, 'overdue')
  assert.equal(overdueSince(WEEKLY, [], late), at('2027-04-08T12:00:00Z'))
  assert.equal(overdueSince(WEEKLY, [ran('2027-04-06T08:05:00Z')], late), null)
  assert.equal(overdueSince(WEEKLY, [], { ...late, nowWallMs: at('2027-12-28T10:30:00Z') }), null, 'frozen')
})
