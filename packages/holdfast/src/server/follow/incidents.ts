/**
 * Incidents of a group: opened when nobody is seen open for writes, or when another leads and that gap was not seen;
 * closed when somebody writes and one more loss would be survived. Pure.
 */
import type { ApiGroup, ApiIncident } from '@holdfast/client'
import type { Draft, GroupFacts } from './changes.ts'

type Phase = ApiIncident['phases'][number]

const GAP = 'no-writer'

interface Moment {
  readonly before: GroupFacts
  readonly now: ApiGroup
  readonly wallMs: number
  /** Decisions of the agents and changes of the group, oldest first. */
  readonly drafts: readonly Draft[]
  readonly freshId: () => string
}

/** The incident after this moment; null when there is none. A closed one is given once. */
export function incidentAfter(open: ApiIncident | null, moment: Moment): ApiIncident | null {
  const { before, now } = moment
  if (now.failover === 'observe') return null
  const begun = open ?? begins(moment)
  if (begun === null) return null
  const marks = [...(open === null ? before.recent : []), ...moment.drafts]
  const led = now.epoch > begun.fromEpoch
  const writing = now.writer !== null
  const phases = withPhases(begun.phases, marks, moment)
  const planned = begun.kind === 'switchover' || marks.some(({ code }) => code === 'hands-over')
  const kind = planned ? 'switchover' : led ? 'failover' : begun.kind
  // A gap that nobody here saw begin has no length.
  const gapOver = writing && begun.writeGapMs === null && begun.phases[0]?.code === GAP
  const next: ApiIncident = {
    ...begun,
    kind,
    toEpoch: led ? now.epoch : null,
    to: led ? now.holder : null,
    writeGapMs: gapOver ? Math.max(0, moment.wallMs - begun.openedMs) : begun.writeGapMs,
    phases,
  }
  if (!writing || !now.verdict.safe) return next
  const healthy: Phase = { phase: 'healthy', wallMs: moment.wallMs, code: 'safe', summary: now.verdict.because }
  return { ...next, state: 'closed', closedMs: moment.wallMs, phases: [...phases, healthy] }
}

function begins({ before, now, wallMs, freshId }: Moment): ApiIncident | null {
  const lost = before.writer !== null && now.writer === null
  // The first leadership of a new group is no incident.
  const led = now.epoch > before.epoch && before.epoch > 0
  if (!lost && !led) return null
  const because = lost ? now.verdict.because : `${now.holder ?? 'nobody'} leads with epoch ${now.epoch}`
  return {
    id: freshId(),
    group: now.group,
    kind: 'outage',
    state: 'open',
    openedMs: wallMs,
    closedMs: null,
    fromEpoch: before.epoch,
    toEpoch: null,
    from: before.holder,
    to: null,
    because,
    writeGapMs: null,
    canary: null,
    phases: [{ phase: 'detect', wallMs, code: lost ? GAP : 'leader', summary: because }],
  }
}

/** Which words of the agents begin which phase. */
const BEGINS: readonly (readonly [Phase['phase'], RegExp])[] = [
  ['decide', /^(gathers-positions|claims|hands-over|releases|claimed)$/],
  ['fence', /^(releases|guard-gone|guard|fences)$|-still-writable$/],
  ['promote', /^(claimed)$/],
  ['route', /^(opens)$/],
]

function withPhases(
  known: readonly Phase[],
  marks: readonly {
    readonly wallMs: number
    readonly code: string
    readonly summary: string
    readonly kind?: string
  }[],
  { now, wallMs }: Moment,
): Phase[] {
  const phases = [...known]
  const has = (phase: Phase['phase']): boolean => phases.some((item) => item.phase === phase)
  for (const { wallMs: atMs, code, summary, kind } of marks) {
    for (const [phase, pattern] of BEGINS) {
      if (!has(phase) && pattern.test(code)) phases.push({ phase, wallMs: atMs, code, summary })
    }
    const role = kind === 'role' ? /is (\w+), was/.exec(summary)?.[1] : undefined
    if (!has('fence') && (role === 'fencing' || role === 'demoting')) {
      phases.push({ phase: 'fence', wallMs: atMs, code: role, summary })
    }
    if (!has('promote') && role === 'promoting') phases.push({ phase: 'promote', wallMs: atMs, code: role, summary })
  }
  if (!has('route') && now.writer !== null) {
    phases.push({ phase: 'route', wallMs, code: 'writer', summary: `${now.writer} is open for writes` })
  }
  return phases
}
