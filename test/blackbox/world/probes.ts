/** Starts a probe beside each member and hands what they tell to whoever writes the history. */
import type { SubjectMember } from '../contract.ts'
import { PROCESS_STRIDE } from '../history.ts'
import type { Confirmation } from '../workloads/redis-client.ts'
import type { UnnumberedLine } from './host-words.ts'
import type { MadeWorld } from './make-world.ts'

/** Made by whoever makes the tables, through the subject's door. */
export const PROBE_TABLE_SQL = 'create table if not exists probe (member text, n bigint, primary key (member, n))'

const EVERY_MS = 50
const DEADLINE_MS = 300
/** The last ones of a stride, so that no client of a workload has the same. */
const PROCESS_FIRST = PROCESS_STRIDE - 100

export interface ProbesOptions {
  readonly members: readonly SubjectMember[]
  readonly login: { readonly user: string; readonly password: string; readonly database: string }
  /** Lines of all probes, each in its own order; they lack only the index. */
  readonly onLine: (line: UnnumberedLine) => void
  readonly everyMs?: number
  readonly redis?: Confirmation
}

export interface Probes {
  stop(): Promise<void>
}

export async function startProbes(world: MadeWorld, options: ProbesOptions): Promise<Probes> {
  const { members, login, redis, everyMs = EVERY_MS } = options
  for (const [index, { member, host, own }] of members.entries()) {
    const link = world.hostLink(host)
    link.listen(member, options.onLine)
    const process = PROCESS_FIRST + index
    const probe = { member, own, login, everyMs, deadlineMs: DEADLINE_MS, process }
    await link.tell({ do: 'probe', probe: redis === undefined ? probe : { ...probe, redis } })
  }
  const stop = async (): Promise<void> => {
    await Promise.all(
      members.map(({ member, host }) =>
        world
          .hostLink(host)
          .tell({ do: 'end-probe', member })
          .catch(() => {}),
      ),
    )
  }
  return { stop }
}
