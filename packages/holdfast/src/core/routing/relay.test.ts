import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayTurn, sameMode } from './relay.ts'
import type { RouteState } from './route.ts'

const PATIENCE_MS = 5_000
const at = (kind: RouteState['kind'], member: string | null, quiet: RouteState['quiet'] = null) => ({
  kind,
  standing: { epoch: 3, phase: 'open' as const, member },
  quiet,
})
const turn = (state: ReturnType<typeof at>, sinceMs: number | null, nowMs: number) =>
  relayTurn(state, sinceMs, PATIENCE_MS, nowMs)

test('an open route leads to its member', () => {
  assert.deepEqual(turn(at('open', 'a'), null, 100), { mode: { to: 'member', member: 'a' }, wakeAtMs: null })
})

test('an announced hand-over lets nobody in until its time is over', () => {
  const state = at('open', 'a', { id: 'x', untilMs: 3_000 })
  assert.deepEqual(turn(state, null, 100), { mode: { to: 'nobody' }, wakeAtMs: 3_000 })
  assert.deepEqual(turn(state, null, 3_000).mode, { to: 'member', member: 'a' })
})

test('a change lets nobody in for a while, then the router tells clients why', () => {
  const state = at('changing', 'a')
  assert.deepEqual(turn(state, 1_000, 1_000), { mode: { to: 'nobody' }, wakeAtMs: 6_000 })
  assert.deepEqual(turn(state, 1_000, 6_000), { mode: { to: 'router' }, wakeAtMs: null })
})

test('before any holder was seen the router speaks to clients', () => {
  assert.deepEqual(relayTurn({ kind: 'closed', standing: null, quiet: null }, null, PATIENCE_MS, 0).mode, {
    to: 'router',
  })
})

test('modes are the same by what they lead to', () => {
  assert.ok(sameMode({ to: 'member', member: 'a' }, { to: 'member', member: 'a' }))
  assert.ok(!sameMode({ to: 'member', member: 'a' }, { to: 'member', member: 'b' }))
  assert.ok(!sameMode({ to: 'member', member: 'a' }, { to: 'nobody' }))
  assert.ok(sameMode({ to: 'nobody' }, { to: 'nobody' }))
})
