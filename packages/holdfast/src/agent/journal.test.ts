import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import type { NodeEvent, NodeSettings, NodeState } from '../core/node.ts'
import { systemClock } from '../io/clock.ts'
import { Journal, type JournalEntry, type JournalStart, journalPath } from './journal.ts'

const SETTINGS: NodeSettings = { agent: 'a1', ttlMs: 1_000, beatMs: 200, requestMs: 150, marginMs: 20, members: [] }
let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-journal-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** The journal takes states as they are; here only `nextId` tells them apart. */
function stateAt(nextId: number): NodeState {
  return { nextId } as unknown as NodeState
}

function entry(n: number): JournalEntry {
  const event: NodeEvent = { to: 'node', event: { kind: 'tick', nowMs: n + 0.125 } }
  return { e: event, a: [{ kind: 'disarm', member: `m${n}` }], r: [] }
}

function open(where: string, bytesMax?: number): Journal {
  const log = { warn: () => undefined }
  const base = { dir: where, settings: SETTINGS, bootId: 'boot', nowMs: 7, clock: systemClock, log }
  return new Journal(bytesMax === undefined ? base : { ...base, bytesMax })
}

function lines(path: string): (JournalEntry | JournalStart)[] {
  const text = readFileSync(path, 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

test('the first line says how the core was started and every event follows in order', async () => {
  const journal = open(dir)
  for (let n = 0; n < 500; n++) journal.append(entry(n), stateAt(n))
  await journal.close()
  const [first, ...rest] = lines(journalPath(dir))
  assert.deepEqual(first, { v: 1, start: { settings: SETTINGS, bootId: 'boot', nowMs: 7 } })
  assert.deepEqual(
    rest,
    Array.from({ length: 500 }, (_, n) => entry(n)),
  )
})

/** Waits for what does not depend on how busy the machine is. */
async function until(there: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2_000 && !there(); i += 1) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(there(), what)
}

test('a full file is followed by one that starts from the state its first event met; nothing is lost', async () => {
  const journal = open(dir, 4_000)
  const written = (): string => (existsSync(journalPath(dir)) ? readFileSync(journalPath(dir), 'utf8') : '')
  for (let n = 0; n < 60; n++) {
    journal.append(entry(n), stateAt(n))
    if (n % 20 === 19) await until(() => written().includes(JSON.stringify(entry(n))), `entry ${n} is written`)
  }
  await journal.close()
  const older = lines(`${journalPath(dir)}.1`)
  const newer = lines(journalPath(dir))
  const start = newer[0] as JournalStart
  const events = (all: typeof older): JournalEntry[] => all.filter((line): line is JournalEntry => 'e' in line)
  assert.equal(start.state?.nextId, 60 - events(newer).length)
  assert.equal(start.dropped, undefined)
  const last = [...events(older), ...events(newer)]
  assert.deepEqual(last.at(-1), entry(59))
  assert.deepEqual(
    last,
    last.map((_, at) => entry(60 - last.length + at)),
  )
})

test('a journal that cannot be written drops events, counts them, and never disturbs the caller', async () => {
  const missing = join(dir, 'missing')
  const journal = open(missing)
  for (let n = 0; n < 10; n++) journal.append(entry(n), stateAt(n))
  await until(() => journal.droppedTotal >= 10, 'they are dropped')
  journal.append(entry(10), stateAt(10))
  mkdirSync(missing)
  await journal.close()
  assert.equal(journal.droppedTotal, 12, 'ten events, the start line and the one that came while it waited')
})

test('an earlier run is kept beside the new one', async () => {
  const first = open(dir)
  first.append(entry(1), stateAt(1))
  await first.close()
  const second = open(dir)
  second.append(entry(2), stateAt(2))
  await second.close()
  assert.deepEqual(lines(`${journalPath(dir)}.1`)[1], entry(1))
  assert.deepEqual(lines(journalPath(dir))[1], entry(2))
})
