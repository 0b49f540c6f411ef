/**
 * What is to be expected of each group, against what its services promise. From what was measured: of each drill its
 * newest run that measured something, and of these the worst. Loss exposure comes first where writes may be lost: how
 * much of the loss the group accepts its nearest replica uses now. Pure.
 */
import type { ApiGroup } from '@holdfast/client'
import type { Platform } from '../../config/platform.ts'
import type { EndedDrill } from '../../drills/ledger.ts'

export interface Outlook {
  readonly group: string
  readonly service: string
  readonly kind: 'rto' | 'rpo'
  readonly promisedMs: number
  /** Null: nothing was measured and nothing tells. */
  readonly expectedMs: number | null
  readonly from: 'drill' | 'lag' | 'nothing'
}

export interface Looking {
  readonly platform: Pick<Platform, 'services'>
  readonly pastOf: (group: string) => readonly EndedDrill[]
  readonly groups: readonly Pick<ApiGroup, 'group' | 'replication' | 'loss'>[]
}

export function outlooks({ platform, pastOf, groups }: Looking): readonly Outlook[] {
  return platform.services.flatMap(({ name: service, objectives, groups: own }) => {
    if (objectives === null) return []
    return own.flatMap(({ group }): readonly Outlook[] => {
      const past = pastOf(group)
      const exposed = exposureMs(groups.find((one) => one.group === group) ?? null)
      const rto = worstOfNewest(past, 'rtoMs')
      const lost = worstOfNewest(past, 'rpoMs')
      const byLag = exposed !== null && exposed >= (lost ?? 0)
      const rpo = byLag ? exposed : lost
      const base = { group, service } as const
      return [
        {
          ...base,
          kind: 'rto',
          promisedMs: objectives.rtoMs,
          expectedMs: rto,
          from: rto === null ? 'nothing' : 'drill',
        },
        {
          ...{ ...base, kind: 'rpo', promisedMs: objectives.rpoMs, expectedMs: rpo },
          from: byLag ? 'lag' : rpo === null ? 'nothing' : 'drill',
        },
      ]
    })
  })
}

function worstOfNewest(past: readonly EndedDrill[], figure: 'rtoMs' | 'rpoMs'): number | null {
  const newest = new Map<string, number>()
  // A copy has other disks and another network.
  for (const run of past) if (!run.practice && run[figure] !== null) newest.set(run.drill, run[figure])
  return newest.size === 0 ? null : Math.max(...newest.values())
}

/** By counters, so it is a prediction; null where acknowledged writes are on several members, or it is not known. */
export function exposureMs(group: Pick<ApiGroup, 'replication' | 'loss'> | null): number | null {
  if (group === null || group.replication.kind !== 'async' || group.loss.kind !== 'bytes') return null
  const { lossBytesMax, lossMsMax } = group.replication
  if (lossBytesMax === null || lossMsMax === null || lossBytesMax === 0 || group.loss.bytes === null) return null
  return (group.loss.bytes / lossBytesMax) * lossMsMax
}
