/** Numbers about drills and objectives for `/metrics`; names and words stand in `core/metric-families.ts`. */

import type { Scene } from '../scene.ts'
import { outlooks } from './objectives.ts'
import { overdueMs, scoresOf } from './view.ts'

type Fill = (scene: Scene, tell: (labels: Readonly<Record<string, string>>, value: number) => void) => void

export const DRILL_FILLS = {
  holdfast_objective_seconds: (scene, tell) => {
    for (const { group, service, kind, promisedMs } of outlooksOf(scene)) {
      tell({ group, service, kind }, promisedMs / 1_000)
    }
  },
  holdfast_outlook_seconds: (scene, tell) => {
    for (const { group, service, kind, from, expectedMs } of outlooksOf(scene)) {
      if (expectedMs !== null) tell({ group, service, kind, from }, expectedMs / 1_000)
    }
  },
  holdfast_drill_overdue_seconds: (scene, tell) => {
    const { catalogue, records } = scene.drills
    const wallMs = scene.clock.wallMs()
    for (const one of catalogue.drills) {
      if (one.schedule === null) continue
      const { drill, group } = one.settings
      const now = { wallMs, knownSinceMs: catalogue.knownSince(drill) }
      tell({ group, drill }, overdueMs(one, records.of(group).past, now) / 1_000)
    }
  },
  holdfast_drill_score: (scene, tell) => {
    const { catalogue, records } = scene.drills
    const scoring = {
      platform: scene.platform,
      drills: catalogue.drills,
      recordOf: (group: string) => records.of(group),
      knownSince: (drill: string) => catalogue.knownSince(drill),
      wallMs: scene.clock.wallMs(),
    }
    for (const { group, score } of scoresOf(scoring, () => true).groups) tell({ group }, score)
  },
} as const satisfies Readonly<Record<string, Fill>>

function outlooksOf({ platform, drills, watch }: Scene) {
  return outlooks({ platform, pastOf: (group) => drills.records.of(group).past, groups: watch.groups() })
}
