/**
 * Redis Cluster as a manager. A planned move is `CLUSTER FAILOVER`, sent to the replica: it agrees with its primary,
 * which holds its writers until the replica has all, so nothing is lost. FORCE and TAKEOVER, which do without that,
 * are never sent.
 */
import { askOf, errorOf } from '../redis-door.ts'
import {
  type Asked,
  type MoveRequest,
  oneFound,
  refusedBy,
  type Supervisor,
  type SupervisorOptions,
} from '../supervisor.ts'
import { farOf, lookAtCluster } from './look.ts'

const ASK_MS = 2_000

export function createClusterSupervisor(o: SupervisorOptions): Supervisor {
  return {
    by: 'redis-cluster',
    traits: { namesTarget: true, canPause: false, takesFailover: false, losesWhenPlanned: false },
    discover: async (timeoutMs) => oneFound(await lookAtCluster(o, timeoutMs)),
    look: (timeoutMs) => lookAtCluster(o, timeoutMs),
    askSwitchover: (request) => askReplica(o, request),
    failoverCommand: (member) => {
      const at = member ?? 'HOST:PORT'
      const cut = at.lastIndexOf(':')
      return `redis-cli -h ${at.slice(0, cut)} -p ${at.slice(cut + 1)} CLUSTER FAILOVER TAKEOVER`
    },
    close: async () => undefined,
  }
}

/** Redis gives the hand-over five seconds and forgets it then; asked twice meanwhile, it begins anew. */
async function askReplica(o: SupervisorOptions, { to, say }: MoveRequest): Promise<Asked> {
  const talk = await askOf(farOf(o, to), ['CLUSTER', 'FAILOVER'], ASK_MS)
  if (!talk.ok) {
    if (talk.sent) return { ok: false, kind: 'uncertain', because: `${to}: ${talk.because}` }
    return refusedBy(`${to}: ${talk.because}`, 'check that replica')
  }
  const refusal = errorOf(talk.replies[0])
  if (refusal !== null) return refusedBy(`${to} says: ${refusal}`, 'holdfast explain shows who is fit')
  say(`${to} agrees it with its primary`)
  return { ok: true, said: String(talk.replies[0]).slice(0, 200), lostBytes: null, heldMs: null }
}
