/** Starts every client of every workload, and stops them: no new operation, and an end for those under way. */
import { setTimeout as sleep } from 'node:timers/promises'
import { streamOf } from '../../../packages/holdfast/src/sim/prng.ts'
import type { HistoryWriter } from '../history.ts'
import { Client } from './client.ts'
import { Keys, WORKLOADS } from './operations.ts'
import { ANSWER_MS, CONNECT_MS, type WorkloadName, type WorkloadSettings } from './settings.ts'

export interface RunningWorkloads {
  /** Returns when every client has ended, or its bound is over; what is then still open stays unknown. */
  stop(): Promise<void>
}

/** Above the time a client that is asked to stop still needs: its connect, its statement, its rollback. */
const STOP_SLACK_MS = 1_000

export function startWorkloads(settings: WorkloadSettings, history: HistoryWriter): RunningWorkloads {
  const stopping = new AbortController()
  const { door, login, nodes = {}, connectMs = CONNECT_MS, answerMs = ANSWER_MS, firstClient = 0 } = settings
  const keys = new Keys(firstClient)
  const clients: Client[] = []
  const working: Promise<void>[] = []
  for (const [name, rate] of Object.entries(settings.workloads)) {
    for (let i = 0; i < rate.clients; i += 1) {
      const number = firstClient + clients.length
      const options = { door, login, nodes, connectMs, answerMs, history, client: number, signal: stopping.signal }
      const client = new Client(options)
      clients.push(client)
      const chance = streamOf(settings.seed, `${name} ${i}`)
      const isolation = settings.isolation ?? 'serializable'
      working.push(WORKLOADS[name as WorkloadName]({ client, paceMs: rate.paceMs, chance, isolation, keys }))
    }
  }
  return {
    stop: async () => {
      stopping.abort()
      const bound = sleep(connectMs + 2 * answerMs + STOP_SLACK_MS, undefined, { ref: false })
      await Promise.race([Promise.all(working), bound])
      for (const client of clients) client.close()
    },
  }
}
