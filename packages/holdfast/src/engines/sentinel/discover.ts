/** Which groups a Sentinel watches, and which others watch them with it. Reads only. */
import type { Reply } from '../../io/resp.ts'
import { endpointOf, errorOf, nameOf, pairsOf, readFrom } from '../redis-door.ts'
import type { Discovery, Found, SupervisorOptions } from '../supervisor.ts'
import { sentinelAt } from './look.ts'

/** More groups and Sentinels than anybody runs in one place. */
const GROUPS_MAX = 64
const SENTINELS_MAX = 32

/** The first endpoint that answers speaks for all. */
export async function discoverSentinels(o: SupervisorOptions, timeoutMs: number): Promise<Discovery> {
  const failures: string[] = []
  for (const endpoint of o.endpoints) {
    const far = sentinelAt(o, endpoint)
    const list = await readFrom(far, [['SENTINEL', 'MASTERS']], timeoutMs / 2)
    const groups = list.ok ? list.replies[0] : null
    if (!list.ok || !Array.isArray(groups)) {
      const because = list.ok ? (errorOf(list.replies[0]) ?? 'its answer is not that of a Sentinel') : list.because
      failures.push(`${endpoint}: ${because}`)
      continue
    }
    const names = groups.slice(0, GROUPS_MAX).flatMap((one) => pairsOf(one as Reply).get('name') ?? [])
    if (names.length === 0) failures.push(`${endpoint}: it watches no group`)
    else return { ok: true, found: await withPeers(o, { endpoint, names }, timeoutMs / 2) }
  }
  return { ok: false, because: failures.join('; ') }
}

async function withPeers(
  o: SupervisorOptions,
  { endpoint, names }: { readonly endpoint: string; readonly names: readonly string[] },
  timeoutMs: number,
): Promise<readonly Found[]> {
  const questions = names.map((name) => ['SENTINEL', 'SENTINELS', name])
  const talk = await readFrom(sentinelAt(o, endpoint), questions, timeoutMs)
  return names.map((called, at) => {
    const reply = talk.ok ? talk.replies[at] : []
    const peers = (Array.isArray(reply) ? reply : []).slice(0, SENTINELS_MAX).map((one) => pairsOf(one as Reply))
    const places = peers.map((one) => nameOf(one.get('ip') ?? '', one.get('port') ?? ''))
    return { called, endpoints: [...new Set([endpoint, ...places.filter((place) => endpointOf(place) !== null)])] }
  })
}
