import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { HookSpec, Platform } from '../config/platform.ts'
import { systemClock } from '../io/clock.ts'
import { type Flight, Hands } from './hands.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-hands-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function flight(script: string): { hands: Hands; flight: Flight } {
  const action = { kind: 'run', words: ['/bin/sh', '-c', script], env: [] } as const
  const rest = { when: 'after', group: null, undo: null, deadlineMs: 60_000, onFailure: 'undo' } as const
  const hooks: readonly HookSpec[] = [{ name: 'dns', action, ...rest }]
  const platform = { folder, groups: [], agents: [] } as unknown as Platform
  const step = { id: 'hook:dns', kind: 'hook', hook: 'dns', group: null, deadlineMs: 60_000 }
  const plan = { id: 'p', scope: 'shop', kind: 'switchover', from: 'north', to: 'south' }
  const act = { kind: 'act', name: 'hook:dns/do/1', step, way: 'do', plan } as unknown as Flight
  return { hands: new Hands({ platform, hooks, clock: systemClock }), flight: act }
}

test('a hook does not run on when its runner has lost the store, and may be called again', async () => {
  const { hands, flight: act } = flight('touch begun; sleep 300')
  const begun = join(folder, 'begun')
  const halted = new AbortController().signal
  const { measuredMs: _, ...end } = await hands.carryOut(act, { halted, trusted: () => !existsSync(begun) })
  assert.deepEqual(end, { ok: false, because: 'the store was out of reach: halted', retry: true })
})

test('a hook that fails by itself is not called again', async () => {
  const { hands, flight: act } = flight('exit 3')
  const end = await hands.carryOut(act, { halted: new AbortController().signal, trusted: () => true })
  assert.deepEqual([end.ok, end.because, end.retry], [false, 'exit 3', false])
})
