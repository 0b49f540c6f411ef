import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { loadDrill, loadDrillBytes } from './drill.ts'

const EXAMPLES = new URL('../../../../examples/drills/', import.meta.url)

function load(text: string) {
  return loadDrillBytes(Buffer.from(text), '/tmp/drill.yaml')
}

const WELL = `version: 1
drill: one
group: orders
fault: { kind: kill }
objectives: { rto: 5s, rpo: 0s }
`

describe('a drill file', () => {
  it('has a default for everything that is safe to leave out', () => {
    const loaded = load(WELL)
    assert.ok(loaded.ok)
    const { settings, practice } = loaded.drill
    assert.deepEqual(settings.fault, { kind: 'kill', target: 'primary' })
    assert.deepEqual(settings.blastRadius, { members: 1, sites: 1, groups: 1 })
    assert.deepEqual(
      settings.before.map((probe) => probe.probe),
      ['writable', 'one-primary', 'members'],
    )
    assert.equal(settings.abort.canaryGapMs, 30_000)
    assert.equal(practice, 'auto')
    assert.match(loaded.drill.sha256, /^[0-9a-f]{64}$/)
  })

  it('tells every mistake with its line and what would be right', () => {
    const loaded = load(`version: 1
drill: one
group: orders
fault: { kind: freeze, what: hosts, for: 11m }
objectives: { rto: 5, rpo: 0s }
blastradius: { members: 2 }
`)
    assert.ok(!loaded.ok)
    const told = loaded.mistakes.map(({ line, path, right }) => `${line} ${path}: ${right}`)
    assert.equal(told.length, 3, told.join('\n'))
    assert.match(told[0] ?? '', /^4 fault\.what: `host`\?/)
    assert.match(told[1] ?? '', /^5 objectives\.rto: a number and a unit/)
    assert.match(told[2] ?? '', /^6 blastradius: `blastRadius`\?/)
  })

  it('refuses what makes no sense: timers, days, clocks, cron', () => {
    const mistakes = (more: string): string => {
      const loaded = load(more)
      return loaded.ok ? '' : loaded.mistakes.map(({ what }) => what).join('; ')
    }
    assert.match(mistakes(WELL.replace('{ kind: kill }', '{ kind: block-store, for: 11m }')), /`for` is `11m`/)
    const schedule = (lines: string): string => mistakes(`${WELL}schedule: { cron: "0 10 * * 2", ${lines} }`)
    assert.match(schedule('timeZone: Mars/Base'), /no time zone/)
    assert.match(schedule('freezes: [{ from: "2027-02-30", to: "2027-03-01" }]'), /is no day/)
    assert.match(schedule('freezes: [{ from: "2027-03-02", to: "2027-03-01" }]'), /comes before/)
    assert.match(mistakes(`${WELL}schedule: { cron: "61 * * * *" }`), /cannot be read/)
    assert.match(mistakes(`${WELL}schedule: { cron: "* * * * * *" }`), /cannot be read/)
    const twice = '[{ before: fault, by: [ann] }, { before: fault, by: [bob] }]'
    assert.match(mistakes(`${WELL}approvals: ${twice}`), /asked for twice/)
  })

  it('never throws, whatever the bytes', () => {
    for (const text of ['', ':', '- a', 'a: &x [*x]', '\u0000', '[', 'version: 1\nfault: 7\n']) {
      assert.equal(load(text).ok, false)
    }
  })
})

it('every example has no mistakes', () => {
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'))
  assert.ok(files.length >= 4)
  for (const name of files) {
    const loaded = loadDrill(new URL(name, EXAMPLES).pathname)
    assert.ok(loaded.ok, loaded.ok ? '' : `${name}: ${JSON.stringify(loaded.mistakes)}`)
  }
})
