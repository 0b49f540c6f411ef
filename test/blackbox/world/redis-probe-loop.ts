/**
 * Asks one Redis server, past every proxy and every cut, whether it acknowledges a write right now, as `probe-loop.ts`
 * does for PostgreSQL. Where replicas confirm, a write that none confirmed is no acknowledgement.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { PROCESS_STRIDE } from '../history.ts'
import { RedisLink } from '../workloads/redis-client.ts'
import type { ProbeOrder, UnnumberedLine } from './host-words.ts'

const CONNECT_MS = 300

export class RedisProbeLoop {
  readonly #order: ProbeOrder
  readonly #tell: (line: UnnumberedLine) => void
  readonly #link: RedisLink
  #process: number
  #n = 0
  #going = true
  #done: Promise<void> = Promise.resolve()

  constructor(order: ProbeOrder, tell: (line: UnnumberedLine) => void) {
    this.#order = order
    this.#tell = tell
    this.#process = order.process
    this.#link = new RedisLink(order.own, order.login, order.redis)
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#going = false
    await this.#done
  }

  async #run(): Promise<void> {
    while (this.#going) {
      const startedMs = performance.now()
      await this.#once()
      const leftMs = this.#order.everyMs - (performance.now() - startedMs)
      if (leftMs > 0) await sleep(leftMs)
    }
    this.#link.close()
  }

  async #once(): Promise<void> {
    const { member, deadlineMs } = this.#order
    if (!(await this.#link.ready(CONNECT_MS)) || !this.#going) return
    const value = { member, n: ++this.#n }
    const say = (line: Pick<UnnumberedLine, 'type'> & Partial<UnnumberedLine>): void =>
      this.#tell({ time: Number(process.hrtime.bigint()), process: this.#process, f: 'probe', value, ...line })
    say({ type: 'invoke' })
    const outcome = await this.#link.write([['SET', `probe:${member}`, String(this.#n)]], deadlineMs)
    if (outcome.kind === 'ok') {
      say({ type: 'ok', node: member, epoch: outcome.epoch })
      return
    }
    say({ type: outcome.kind, error: outcome.because })
    if (outcome.kind === 'info') this.#process += PROCESS_STRIDE
  }
}
