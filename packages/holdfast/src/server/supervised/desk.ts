/** Everything of a server that has to do with supervised groups, put together: who looks, asks, and writes down. */
import type { ApiSupervisedGroup } from '@holdfast/client'
import type { Platform } from '../../config/platform.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { Database } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { SupervisedBook } from './book.ts'
import { SupervisedMoves } from './moves.ts'
import { SupervisedWatch } from './watch.ts'

export interface SupervisedDeskOptions {
  readonly platform: Platform
  readonly database: Database
  readonly leader: Leader
  readonly clock: Clock
  readonly log: Log
  readonly name: string
  readonly onGroup: (group: ApiSupervisedGroup) => void
  readonly onWritten: () => void
}

export class SupervisedDesk {
  readonly watch: SupervisedWatch
  readonly moves: SupervisedMoves
  readonly #book: SupervisedBook

  constructor(options: SupervisedDeskOptions) {
    const { platform, clock, log, onGroup } = options
    this.#book = new SupervisedBook(options)
    this.watch = new SupervisedWatch({
      ...{ specs: platform.supervised, clock, log },
      onFigures: onGroup,
      onChanged: (group) => {
        onGroup(group)
        this.#book.note(group)
        void this.#book.flush()
      },
    })
    this.moves = new SupervisedMoves({ ...options, watch: this.watch })
  }

  /** To be called several times a second. */
  async turn(): Promise<void> {
    await this.#book.flush()
  }

  async close(): Promise<void> {
    this.moves.close()
    await this.watch.close()
  }
}
