/** A new order, and where its drills are done. Pure. */
import type { DrillSpec } from '../../config/drill.ts'
import { groupByName, type Platform } from '../../config/platform.ts'
import { replicationOf } from '../../config/settings.ts'
import { couldLose } from '../../core/drill/radius.ts'
import type { Order } from './orders.ts'

export type Where = 'file' | 'practice' | 'live'

export interface Draft extends Pick<Order, 'id' | 'title' | 'by' | 'askedMs' | 'scheduledMs' | 'state' | 'expiresMs'> {
  readonly platform: Platform
  readonly drills: readonly { readonly drill: DrillSpec; readonly where: Where }[]
  readonly because?: string
}

export function orderOf({ platform, drills, because = '', ...rest }: Draft): Order {
  return {
    ...rest,
    because,
    configSha256: platform.sha256,
    decidedBy: null,
    decidedMs: null,
    endedMs: null,
    drills: drills.map(({ drill, where }) => ({
      drill: drill.settings.drill,
      group: drill.settings.group,
      sha256: drill.sha256,
      practice: where === 'file' ? practisedByDefault(drill, platform) : where === 'practice',
      run: null,
      outcome: null,
      because: '',
    })),
  }
}

/** As `holdfast drill run` decides it: what could lose data is done on a copy unless the file says otherwise. */
export function practisedByDefault(drill: DrillSpec, platform: Platform): boolean {
  if (drill.practice !== 'auto') return drill.practice === 'always'
  return isRisky(drill, platform)
}

/** On the group itself, by the asker's word or the file's, and acknowledged writes could be lost. */
export function isRiskyLive(drill: DrillSpec, where: Where, platform: Platform): boolean {
  const practice = where === 'file' ? practisedByDefault(drill, platform) : where === 'practice'
  return !practice && isRisky(drill, platform)
}

/** Acknowledged writes could be lost. */
export function isRisky({ settings }: DrillSpec, platform: Platform): boolean {
  const group = groupByName(platform, settings.group)
  if (group === null) return true
  const replication = replicationOf(group)
  const need = replication.kind === 'async' ? 0 : replication.kind === 'sync' ? 1 : replication.need
  return couldLose(settings.fault, { need })
}
