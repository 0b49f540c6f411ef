/** What a router tells about itself: to its own metrics, to whoever runs it, to tests. */
import type { PrimaryDoorStatus } from './primary-door.ts'
import type { ReadDoorStatus } from './read-door.ts'

export interface RouterStatus {
  readonly router: string
  readonly site: string
  readonly doors: readonly PrimaryDoorStatus[]
  readonly readDoors: readonly ReadDoorStatus[]
  readonly metricsPort: number | null
}
