/** Redis Sentinel as a manager: its Sentinels are looked at and asked, the servers only looked at and held. */
import type { Supervisor, SupervisorOptions } from '../supervisor.ts'
import { discoverSentinels } from './discover.ts'
import { lookAtSentinels } from './look.ts'
import { moveBySentinel } from './move.ts'

export function createSentinelSupervisor(o: SupervisorOptions): Supervisor {
  return {
    by: 'sentinel',
    traits: { namesTarget: false, canPause: false, takesFailover: false, losesWhenPlanned: true },
    discover: (timeoutMs) => discoverSentinels(o, timeoutMs),
    look: (timeoutMs) => lookAtSentinels(o, timeoutMs),
    askSwitchover: (request) => moveBySentinel(o, request),
    failoverCommand: () => {
      const [host, port] = splitLast(o.endpoints[0] ?? '')
      return `redis-cli -h ${host} -p ${port} SENTINEL FAILOVER ${o.name === '' ? 'NAME' : o.name}`
    },
    close: async () => undefined,
  }
}

function splitLast(endpoint: string): readonly [string, string] {
  const cut = endpoint.lastIndexOf(':')
  return [endpoint.slice(0, cut), endpoint.slice(cut + 1)]
}
