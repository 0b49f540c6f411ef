/** What `status` tells of a group's manager, beside its members. */
import type { SupervisedSpec } from '../config/supervised.ts'
import type { Concern, Picture } from '../core/supervision/model.ts'

export interface SupervisedView {
  readonly by: SupervisedSpec['by']
  /** Its name and version. */
  readonly manager: string
  /** What it calls the group. */
  readonly called: string
  /** Number of its configuration: timeline, or epoch. */
  readonly epoch: number | null
  readonly paused: boolean
  readonly moving: string | null
  readonly heard: number
  readonly asked: number
  /** Its settings that matter for a failover. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
  readonly shards: Picture['shards']
  readonly concerns: readonly Concern[]
}
