import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROFILES } from '../core/settings.ts'
import { absorb } from '../core/site-plan/advance.ts'
import { draftPlan, type GroupFacts, type HookFacts } from '../core/site-plan/draft.ts'
import type { PlanRecord, PlanStep } from '../core/site-plan/plan.ts'
import { VALUE_BYTES_MAX } from '../store/contract.ts'
import { readPastRuns, readPlan } from './records.ts'

/** As many groups and hooks as a service may have, with the longest names there are. */
function largest(): PlanRecord {
  const long = (kind: string, at: number): string => `${kind}-${String(at).padStart(2, '0')}-`.padEnd(40, 'x')
  const groups = Array.from({ length: 16 }, (_, at): GroupFacts => {
    const member = (site: string) => ({
      member: long(site, at),
      site: site.padEnd(40, 'x'),
      priority: 100,
      heard: true,
      refusal: null,
      never: false,
      lagBytes: 0,
      started: null,
      following: true,
    })
    return {
      group: long('group', at),
      epoch: 7,
      holder: long('a', at),
      open: true,
      pausedBy: null,
      members: [member('a'), member('b')],
      replication: { kind: 'sync' },
      timing: PROFILES.wan,
    }
  })
  const hooks = Array.from({ length: 16 }, (_, at): HookFacts => {
    const rest = { when: 'after', group: null, deadlineMs: 600_000, undo: true, onFailure: 'go-on' } as const
    return { name: long('hook', at), ...rest }
  })
  const order = groups.map(({ group }) => ({ group, after: [] }))
  const survey = { scope: long('service', 0), order, groups, hooks, past: {} }
  const wish = { id: 'f'.repeat(24), kind: 'switchover', to: 'b'.padEnd(40, 'x'), member: null } as const
  return draftPlan(survey, { ...wish, by: 'x'.repeat(200), origin: 'operator', lossAccepted: false }).plan
}

test('the largest plan there can be fits into one record, also when every step says much', () => {
  const plan = { ...largest(), stamp: 's', runner: 'r' }
  const steps = plan.steps.map((step): PlanStep => ({ ...step, state: 'running', attempt: 1 }))
  const running: PlanRecord = { ...plan, steps }
  const words = { because: 'x'.repeat(4_000), retry: false, measuredMs: 123_456.7 }
  const ended = running.steps.reduce(
    (now: PlanRecord, { id, kind }) => absorb(now, id, { ...words, ok: kind !== 'hook' }),
    running,
  )
  const text = JSON.stringify(ended)
  assert.ok(Buffer.byteLength(text) < VALUE_BYTES_MAX, `${Buffer.byteLength(text)} bytes`)
  assert.deepEqual(readPlan(text, plan.scope), { ok: true, value: ended })
})

test('what is no plan, or one of another service, is refused with the reason', () => {
  const plan = { ...largest(), stamp: 's', runner: 'r' }
  const because = (text: string): string => {
    const read = readPlan(text, plan.scope)
    return read.ok ? '' : read.because
  }
  assert.match(because('{'), /no JSON/)
  assert.match(because(JSON.stringify({ ...plan, scope: 'desk' })), /it is of desk/)
  assert.match(because(JSON.stringify({ ...plan, phase: 'paused' })), /^phase: /)
  assert.match(because(JSON.stringify({ ...plan, extra: 1 })), /extra/)
  assert.equal(readPastRuns('{"move stock":["soon"]}').ok, false)
})
