/** Growth of counters from look to look; one that went back has started again from zero. */
import { type Sample, seriesKey } from './expression.ts'
import type { Counter } from './state.ts'

/** Ten series for each of 500 members. */
const COUNTERS_MAX = 5_000
/** The longest window a rule asks for, and a little. */
const KEPT_MS = 660_000
/** A series nobody tells of any more is forgotten. */
const UNSEEN_MS = 3_600_000
/** Growth is noted in steps of this, so that one series is at most so many notes. */
const STEP_MS = 15_000

export function counted(
  before: Readonly<Record<string, Counter>>,
  series: ReadonlyMap<string, readonly Sample[]>,
  names: ReadonlySet<string>,
  nowMs: number,
): Readonly<Record<string, Counter>> {
  const after: Record<string, Counter> = {}
  let room = COUNTERS_MAX
  for (const name of names) {
    for (const { labels, value } of series.get(name) ?? []) {
      const key = counterKey(name, labels)
      if (room-- > 0) after[key] = grown(before[key], value, nowMs)
    }
  }
  for (const [key, counter] of Object.entries(before)) {
    if (after[key] === undefined && nowMs - counter.seenAtMs < UNSEEN_MS && room-- > 0) after[key] = counter
  }
  return after
}

function grown(before: Counter | undefined, value: number, nowMs: number): Counter {
  if (before === undefined) return { value, seenAtMs: nowMs, grew: [] }
  const by = value >= before.value ? value - before.value : value
  const kept = before.grew.filter(({ atMs }) => nowMs - atMs <= KEPT_MS)
  if (by === 0) return { value, seenAtMs: nowMs, grew: kept }
  const last = kept.at(-1)
  const grew =
    last !== undefined && nowMs - last.atMs < STEP_MS
      ? [...kept.slice(0, -1), { atMs: last.atMs, by: last.by + by }]
      : [...kept, { atMs: nowMs, by }]
  return { value, seenAtMs: nowMs, grew }
}

export function counterKey(name: string, labels: Sample['labels']): string {
  return `${name}{${seriesKey(labels)}}`
}

export function increaseOf(counter: Counter | undefined, overMs: number, nowMs: number): number {
  return (counter?.grew ?? []).reduce((sum, { atMs, by }) => (nowMs - atMs <= overMs ? sum + by : sum), 0)
}
