/**
 * The whole demo on the PostgreSQL that npm brings, which has no pg_rewind: as the user who runs the tests, and as an
 * account without any rights when that user is root.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chownSync, rmSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { findPostgres } from '../../packages/holdfast/src/engines/postgres/binaries.ts'
import { PROGRAM, temporaryFolder } from '../platform.ts'

const execute = promisify(execFile)
const DEMO_MS = 170_000
const NOBODY = 65_534
const VERSION = 18

interface Line {
  readonly ok: boolean
  readonly faults: readonly {
    readonly fault: string
    readonly writeOutageMs: number
    readonly acked: number
    readonly ackedLost: number
    readonly doubled: number
    readonly twoWritersMs: number
  }[]
}

async function demo(words: readonly string[], as?: { uid: number; gid: number; home: string }): Promise<Line> {
  const { uid, gid, home } = as ?? {}
  const env = home === undefined ? process.env : { ...process.env, HOME: home, TMPDIR: home, NODE_COMPILE_CACHE: home }
  const { stdout } = await execute(
    process.execPath,
    [PROGRAM, 'demo', '--postgres', String(VERSION), '--output', 'json', ...words],
    { timeout: DEMO_MS, maxBuffer: 16 * 1024 * 1024, cwd: home, env, ...(uid === undefined ? {} : { uid, gid }) },
  )
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Line
}

async function withoutRewind(t: TestContext): Promise<boolean> {
  const found = await findPostgres({ version: VERSION })
  assert.ok(found.ok, 'PostgreSQL comes with npm ci')
  if (found.binaries.hasRewind) t.skip(`PostgreSQL ${VERSION} of this machine has pg_rewind`)
  return !found.binaries.hasRewind
}

function figures(t: TestContext, line: Line): void {
  for (const one of line.faults) {
    assert.ok(one.acked > 0, `${one.fault}: nothing was acknowledged`)
    assert.deepEqual([one.ackedLost, one.doubled, one.twoWritersMs], [0, 0, 0], one.fault)
  }
  t.diagnostic(line.faults.map(({ fault, writeOutageMs }) => `${fault} ${writeOutageMs} ms`).join(', '))
  assert.equal(line.ok, true)
}

test('an account without rights survives all seven faults on a PostgreSQL without pg_rewind', async (t) => {
  if (!(await withoutRewind(t))) return
  const home = temporaryFolder('unprivileged')
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(home, NOBODY, NOBODY)
  const line = await demo([], isRoot ? { uid: NOBODY, gid: NOBODY, home } : undefined)
  assert.equal(line.faults.length, 7)
  figures(t, line)
})

test('root survives the faults that need a new copy on a PostgreSQL without pg_rewind', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root runs its engines as another user')
  if (!(await withoutRewind(t))) return
  figures(t, await demo(['--fault', 'host-crash', '--fault', 'agent-freeze']))
})
