import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { DEGRADED_DEFAULT } from '../core/routing/degradation.ts'
import { loadDrillBytes } from './drill.ts'
import { drillEntries } from './drill-files.ts'
import { completedDrill, promisedTo } from './drill-objectives.ts'
import type { GroupSpec, ServiceSpec } from './platform.ts'

function service(name: string, objectives: ServiceSpec['objectives'], groups = ['orders']): ServiceSpec {
  const rest = { home: 'north', comeHome: 'ask', siteLoss: 'ask', hooks: [], degraded: DEGRADED_DEFAULT } as const
  return { name, objectives, groups: groups.map((group) => ({ group, after: [] })), ...rest }
}

function completed(objectives: string, services: readonly ServiceSpec[]) {
  const text = `version: 1\ndrill: one\ngroup: orders\nfault: { kind: kill }\n${objectives}\n`
  const loaded = loadDrillBytes(Buffer.from(text), '/tmp/one.yaml')
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return completedDrill(loaded, { services })
}

const SHOP = service('shop', { rtoMs: 30_000, rpoMs: 0 })

describe('the objectives of a drill', () => {
  it('are those of the service when its file names none, and the strictest of several', () => {
    const slow = service('slow', { rtoMs: 60_000, rpoMs: 5_000 })
    const other = service('other', { rtoMs: 1, rpoMs: 0 }, ['billing'])
    for (const text of ['', 'objectives: {}']) {
      const done = completed(text, [slow, SHOP, other])
      assert.deepEqual(done.ok && done.drill.settings.objectives, { rtoMs: 30_000, rpoMs: 0 })
    }
    assert.deepEqual(promisedTo('orders', { services: [slow, SHOP] }).rto, { ms: 30_000, service: 'shop' })
  })

  it('may be stricter in the file, each for itself', () => {
    const done = completed('objectives: { rto: 10s }', [SHOP])
    assert.deepEqual(done.ok && done.drill.settings.objectives, { rtoMs: 10_000, rpoMs: 0 })
  })

  it('that are looser than the service are a mistake with its place', () => {
    const done = completed('objectives: { rto: 31s, rpo: 1s }', [SHOP])
    assert.ok(!done.ok)
    const told = done.mistakes.map(({ line, path, what }) => `${line} ${path} ${what}`)
    assert.equal(told.length, 2)
    assert.match(told[0] ?? '', /^5 objectives\.rto .*31 s, and service `shop` promises 30 s/)
  })

  it('that nobody names are a mistake', () => {
    const done = completed('objectives: { rto: 5s }', [service('shop', null)])
    assert.ok(!done.ok)
    assert.match(done.mistakes[0]?.what ?? '', /no `rpo`, and no service of group `orders` promises one/)
  })
})

describe('the drill files of a description', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-drill-files-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('are those of a folder and single ones, each with its drill or its mistakes', () => {
    const inside = join(folder, 'drills')
    mkdirSync(inside)
    const write = (path: string, drill: string, group: string): void =>
      writeFileSync(path, `version: 1\ndrill: ${drill}\ngroup: ${group}\nfault: { kind: kill }\n`)
    write(join(inside, 'a.yaml'), 'kill', 'orders')
    write(join(inside, 'b.yml'), 'kill', 'orders')
    write(join(inside, 'c.yaml'), 'strange', 'nowhere')
    writeFileSync(join(inside, 'notes.txt'), 'no drill')
    const paths = [inside, join(folder, 'gone.yaml')]
    const entries = drillEntries({ drills: paths, groups: [{ name: 'orders' } as GroupSpec], services: [SHOP] })
    const told = entries.map((one) => (one.ok ? one.drill.settings.drill : one.mistakes[0]?.what))
    assert.equal(told[0], 'kill')
    assert.match(told[1] ?? '', /a\.yaml is called `kill`, too/)
    assert.match(told[2] ?? '', /there is no group `nowhere`/)
    assert.match(told[3] ?? '', /gone\.yaml cannot be read/)
  })
})
