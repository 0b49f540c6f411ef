import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { engineView, memberSettings, openRecord, peerReport, startScript, tell } from '../core/lease/script.ts'
import { AGENT_FAMILIES } from '../core/metric-families.ts'
import type { NodeState } from '../core/node.ts'
import { makeCertificates } from '../store/certificates-fixture.ts'
import { CertificateWatch, firstEnd } from './certificate-watch.ts'
import { type DiskLook, DiskWatch, slope } from './disk-watch.ts'
import { LeaseLow } from './lease-low.ts'
import { Metrics, type MetricsSources } from './metrics.ts'

const GIB = 2 ** 30
const FILE = { use: 'engine', part: 'certificate', group: 'g', file: '/x' } as const

/** Member a is a replica of b, which is 700 bytes further on. */
function replica(): { readonly state: NodeState; readonly settings: MetricsSources['settings'] } {
  const s = startScript(memberSettings('a', { kind: 'async', lossBytesMax: 1_000, lossMsMax: 5_000 }))
  tell(s, 0, { kind: 'record', revision: 5, value: openRecord(), sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView('a', { position: { timeline: 2, lsn: 500 } }) })
  tell(s, 2, { kind: 'peer', report: peerReport('b', { epoch: 2 }) })
  return { state: s.state, settings: s.settings }
}

async function told(change: Partial<MetricsSources> = {}): Promise<string> {
  const metrics = new Metrics()
  const { state, settings } = replica()
  metrics.watch({
    settings,
    site: 'north',
    version: '1',
    engineOf: () => 'postgres',
    moment: () => ({ state, nowMs: 3, loopAgeMs: 0 }),
    loopGapMaxMs: () => 0,
    guard: { alive: true, fired: 2 },
    store: { confirmedAtMs: 1 },
    journalDropped: () => 0,
    reasonCounts: () => new Map([['claims', 3]]),
    disk: () => ({ freeBytes: 2 * GIB, sizeBytes: 8 * GIB, growthBytesPerSecond: 10 }),
    leaseLowMs: () => 700,
    certificateEnds: () => new Map([[FILE, 2_000_000_000]]),
    ...change,
  })
  const { body } = await metrics.route().handle({ params: {}, query: new URLSearchParams(), body: null })
  return String(body)
}

test('every family of the table is told with its type, and no other', async () => {
  const text = await told()
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
  assert.deepEqual(
    Object.fromEntries([...types].sort()),
    Object.fromEntries(
      Object.entries(AGENT_FAMILIES)
        .map(([name, { type }]) => [name, type])
        .sort(),
    ),
  )
})

test('numbers that alerts lean on, and counters that start at zero', async () => {
  const text = await told()
  for (const line of [
    'holdfast_member_info{group="g",member="a",site="here",engine="postgres",failover="automatic"} 1',
    'holdfast_member_lag_bound_bytes{group="g",member="a"} 1000',
    'holdfast_member_lag_bound_seconds{group="g",member="a"} 5',
    'holdfast_lease_left_low_seconds{group="g",member="a"} 0.7',
    'holdfast_lease_ttl_seconds{group="g",member="a"} 1',
    'holdfast_fences_total{group="g",member="a"} 0',
    'holdfast_promotions_total{group="g",member="a"} 0',
    'holdfast_disk_free_bytes{group="g",member="a"} 2147483648',
    'holdfast_store_reachable 1',
    'holdfast_certificate_expiry_timestamp_seconds{use="engine",part="certificate",group="g"} 2000000000',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`)
  assert.match(text, /holdfast_group_eligible_replicas\{group="g",member="a"\} \d/)
})

test('what is not known has no sample instead of a zero', async () => {
  const text = await told({
    disk: () => null,
    leaseLowMs: () => null,
    certificateEnds: () => new Map(),
    store: { confirmedAtMs: null },
  })
  assert.doesNotMatch(text, /^holdfast_(disk|lease_left|certificate|store_silent)/m)
  assert.match(text, /^holdfast_store_reachable 0$/m)
})

test('a disk that hangs blocks nobody, is looked at once, and its old reading is not told for ever', async () => {
  let nowMs = 0
  let looks = 0
  let hangs = false
  const reading: DiskLook = { freeBytes: 1, sizeBytes: 2, usedBytes: 1 }
  const look = (): Promise<DiskLook> => {
    looks++
    return hangs ? new Promise(() => undefined) : Promise.resolve(reading)
  }
  const watch = new DiskWatch({ folders: new Map([['a', '/x']]), clock: { nowMs: () => nowMs }, look })
  await watch.look()
  assert.deepEqual(watch.reading('a'), { freeBytes: 1, sizeBytes: 2, growthBytesPerSecond: null })
  hangs = true
  void watch.look()
  await watch.look()
  assert.equal(looks, 2)
  nowMs = 61_000
  assert.equal(watch.reading('a'), null)
})

test('a data folder that is not made yet is looked at where it will be', async () => {
  const folders = new Map([['a', join(tmpdir(), 'holdfast-not-there', 'deep')]])
  const watch = new DiskWatch({ folders, clock: { nowMs: () => 0 } })
  await watch.look()
  assert.ok((watch.reading('a')?.sizeBytes ?? 0) > 0)
})

test('growth is the slope over the points, and not told before five minutes', () => {
  const points = (count: number) => Array.from({ length: count }, (_, n) => ({ atMs: n * 60_000, usedBytes: n * 600 }))
  assert.equal(slope(points(5)), null)
  assert.ok(Math.abs((slope(points(6)) ?? 0) - 10) < 1e-9)
  assert.equal(slope([]), null)
})

test('the first certificate of a file that ends is told, a file without one says nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cert-'))
  try {
    const { cert, ca } = makeCertificates(folder)
    const endsAt = firstEnd(cert)
    const days = ((endsAt ?? 0) * 1_000 - Date.now()) / 86_400_000
    assert.ok(days > 1.9 && days < 2.1, String(days))
    assert.equal(firstEnd(`${ca}${cert}`), Math.min(firstEnd(ca) ?? 0, endsAt ?? 0))
    assert.equal(firstEnd('nothing'), null)
    assert.equal(firstEnd('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'), null)
    const files = ['cert.pem', 'gone.pem'].map((name) => ({ ...FILE, file: join(folder, name) }))
    const watch = new CertificateWatch(files)
    await watch.look()
    assert.deepEqual([...watch.ends().values()], [endsAt])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the least trust of the last minute is told, also when it was renewed since, and forgotten after two', () => {
  const base = replica().state
  const member = base.members.a
  assert.ok(member !== undefined)
  const at = (trustedUntilMs: number, role: 'primary' | 'replica' = 'primary'): NodeState => ({
    ...base,
    session: { ...base.session, phase: 'live', session: 's', trustedUntilMs },
    members: { a: { ...member, role, hold: { epoch: 2, session: 's' } } },
  })
  const low = new LeaseLow()
  low.note(at(1_000), 0)
  assert.equal(low.lowMs('a', 0), null)
  low.note(at(1_900), 900)
  low.note(at(2_300), 1_300)
  assert.equal(low.lowMs('a', 1_300), 100)
  low.note(at(32_000), 1_301)
  low.note(at(33_000), 31_500)
  assert.equal(low.lowMs('a', 31_500), 100, 'the half before counts')
  low.note(at(33_000, 'replica'), 31_600)
  assert.equal(low.lowMs('a', 91_600), null)
})
