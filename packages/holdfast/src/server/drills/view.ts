/** Drills in the words of the API. Pure. */
import { basename } from 'node:path'
import type { ApiActiveDrill, ApiDrill, ApiDrillRun, ApiDrillScores } from '@holdfast/client'
import type { DrillSpec } from '../../config/drill.ts'
import type { Platform } from '../../config/platform.ts'
import { lastsMs } from '../../core/drill/lasts.ts'
import { scoreOf } from '../../core/drill/score.ts'
import { dueOf, overdueSince, timesBetween } from '../../drills/due.ts'
import type { DrillRecord, EndedDrill } from '../../drills/ledger.ts'
import { abortWords, faultWords } from '../../drills/report-head.ts'
import { isRiskyLive, practisedByDefault } from './order-draft.ts'

const CALENDAR_MS = 90 * 86_400_000
const TIMES_MAX = 40

export function runOf(run: EndedDrill): ApiDrillRun {
  const { id, drill, outcome, because, practice, rtoMs, rpoMs, seq } = run
  return {
    id,
    drill,
    outcome,
    because,
    practice,
    startedMs: run.startedWallMs,
    endedMs: run.endedWallMs,
    rtoMs,
    rpoMs,
    seq,
  }
}

interface Now {
  readonly platform: Platform
  readonly wallMs: number
  readonly knownSinceMs: number | null
}

export function drillOf(spec: DrillSpec, { past }: DrillRecord, { platform, wallMs, knownSinceMs }: Now): ApiDrill {
  const { settings, schedule } = spec
  const { fault } = settings
  const due = dueOf(spec, past, wallMs, knownSinceMs)
  const own = past.filter(({ drill }) => drill === settings.drill)
  const last = own.at(-1)
  const passed = own.findLast(({ outcome }) => outcome === 'passed')
  const window = { afterMs: wallMs, untilMs: wallMs + CALENDAR_MS, max: TIMES_MAX }
  return {
    drill: settings.drill,
    group: settings.group,
    file: basename(spec.file),
    sha256: spec.sha256,
    description: spec.description,
    statement: spec.statement,
    fault: faultWords(fault),
    deadmanMs: 'forMs' in fault ? lastsMs({ fault }) : null,
    blastRadius: { ...settings.blastRadius },
    abortConditions: abortWords(settings),
    objective: { ...settings.objectives },
    where: practisedByDefault(spec, platform) ? 'practice' : 'live',
    liveAllowed: spec.practice !== 'always',
    liveRisky: isRiskyLive(spec, 'live', platform),
    approvals: settings.approvals.map(({ before, by }) => ({ before, by: [...by] })),
    due: {
      state: due.state,
      because: due.because,
      nextMs: due.nextWallMs,
      times: schedule === null ? [] : timesBetween(schedule, window).map((one) => ({ ...one })),
    },
    freezes: (schedule?.freezes ?? []).map((one) => ({ ...one })),
    last: last === undefined ? null : runOf(last),
    lastPassed: passed === undefined ? null : runOf(passed),
  }
}

export function activeOf({ group, active }: DrillRecord, silentMs: number): readonly ApiActiveDrill[] {
  if (active === null) return []
  const { id, drill, by, startedWallMs, phase, members, waiting, abort } = active
  return [
    {
      ...{ group, id, drill, by, startedMs: startedWallMs, phase, silentMs: Math.round(silentMs) },
      members: [...members],
      waiting: waiting === null ? null : { before: waiting.gate, by: [...waiting.by] },
      abort: abort === null ? null : { ...abort },
    },
  ]
}

export interface Scoring {
  readonly platform: Platform
  readonly drills: readonly DrillSpec[]
  readonly recordOf: (group: string) => DrillRecord
  readonly knownSince: (drill: string) => number | null
  readonly wallMs: number
}

/** A service is proved as well as the least proved of its groups. */
export function scoresOf(scoring: Scoring, shown: (group: string) => boolean): ApiDrillScores {
  const { platform, wallMs } = scoring
  const groups = platform.groups.filter(({ name }) => shown(name)).map(({ name }) => groupScore(scoring, name))
  const services = platform.services.flatMap((service) => {
    const own = service.groups.flatMap(({ group }) => groups.find((one) => one.group === group) ?? [])
    if (own.length === 0 || own.length < service.groups.length) return []
    const proofs = own.map(({ lastPassedDrill }) => lastPassedDrill)
    const oldest = proofs.reduce((a, b) => (a === null || b === null ? null : b.endedMs < a.endedMs ? b : a))
    return [{ service: service.name, score: Math.min(...own.map(({ score }) => score)), lastPassedDrill: oldest }]
  })
  return { groups, services }

  function groupScore({ drills, recordOf, knownSince }: Scoring, group: string): ApiDrillScores['groups'][number] {
    const { past } = recordOf(group)
    const own = drills.filter(({ settings }) => settings.group === group)
    const passed = past.findLast(({ outcome }) => outcome === 'passed')
    const nexts = own.flatMap((one) => dueOf(one, past, wallMs).nextWallMs ?? [])
    const overdue = own.filter(
      (one) => overdueMs(one, past, { wallMs, knownSinceMs: knownSince(one.settings.drill) }) > 0,
    )
    return {
      group,
      score: Math.round(scoreOf(past, wallMs)),
      lastPassedDrill: passed === undefined ? null : runOf(passed),
      overdue: overdue.map(({ settings }) => settings.drill),
      nextMs: nexts.length === 0 ? null : Math.min(...nexts),
    }
  }
}

/** For how long it has been overdue; 0: it is not. */
export function overdueMs(
  drill: DrillSpec,
  past: readonly EndedDrill[],
  { wallMs, knownSinceMs }: { readonly wallMs: number; readonly knownSinceMs: number | null },
): number {
  const since = overdueSince(drill, past, { nowWallMs: wallMs, knownSinceMs: knownSinceMs ?? wallMs })
  return since === null ? 0 : wallMs - since
}
