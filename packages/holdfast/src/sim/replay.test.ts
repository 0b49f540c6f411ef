import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Replay } from './replay-command.ts'
import { REAL_CORE, runScenario } from './run.ts'
import { drawScenario, settingsOf } from './scenario.ts'

/** The journal that the agent of the first host would have written. */
function journal(seed: number): string[] {
  const scenario = { ...drawScenario(seed, 'quiet'), horizonMs: 60_000 }
  const lines: string[] = []
  const core = {
    ...REAL_CORE,
    start: (...args: Parameters<typeof REAL_CORE.start>) => {
      const [settings, bootId, nowMs] = args
      if (settings.agent === 'a1') lines.push(JSON.stringify({ v: 1, start: { settings, bootId, nowMs } }))
      return REAL_CORE.start(...args)
    },
  }
  runScenario(scenario, {
    core,
    safetyOnly: true,
    onStep: (_atMs, host, step) => {
      if (host === 0) lines.push(JSON.stringify({ e: step.event, a: step.actions, r: step.reasons }))
    },
  })
  assert.equal(settingsOf(scenario, 0).agent, 'a1')
  return lines
}

test('a journal is decided again in the same way', () => {
  const printed: string[] = []
  const replay = new Replay((line) => printed.push(line))
  for (const line of journal(3)) replay.line(line)
  assert.ok(replay.events > 100)
  assert.equal(replay.differences, 0)
  assert.match(printed.join('\n'), /creates-group|follows-/)
})

test('a changed record is told as a difference, a torn line is counted', () => {
  const lines = journal(3)
  const replay = new Replay(() => undefined)
  const at = lines.findIndex((line) => line.includes('"kind":"engine"'))
  assert.ok(at > 0)
  lines[at] = (lines[at] ?? '').replace('"kind":"engine"', '"kind":"disarm"')
  for (const line of [...lines, '{"e":{"to":"no']) replay.line(line)
  assert.equal(replay.differences, 1)
  assert.equal(replay.torn, 1)
})
