/** Groups that another program leads, in the words and shapes of the screens. Pure. */
import type { ApiGroup, ApiSupervisedGroup } from '@holdfast/client'
import type { Level, Standing } from './level.ts'
import { detailText } from './words.ts'

export function supervisedStanding(group: ApiSupervisedGroup): Standing {
  const level = levelOf(group)
  return { level, word: level === 'safe' ? 'Safe' : WORDS[level] }
}

const WORDS: Readonly<Record<Exclude<Level, 'safe' | 'watched'> | 'watched', string>> = {
  exposed: 'Not safe',
  paused: 'Paused',
  watched: 'Only observed',
  down: 'No primary',
  unknown: 'Unknown',
}

export function levelOf({ heard, shards, paused, verdict }: ApiSupervisedGroup): Level {
  if (heard === 0) return 'unknown'
  if (shards.length === 0 || shards.some(({ primary }) => primary === null)) return 'down'
  if (paused) return 'paused'
  return verdict.safe ? 'safe' : 'exposed'
}

export const MANAGER_NAMES: Readonly<Record<ApiSupervisedGroup['by'], string>> = {
  patroni: 'Patroni',
  sentinel: 'Redis Sentinel',
  'redis-cluster': 'Redis Cluster',
}

/** `lags: member pg-2 · lagBytes 12` */
export function concernText({ code, detail }: ApiSupervisedGroup['concerns'][number]): string {
  const words = detailText(detail)
  return `${code.replaceAll('-', ' ')}${words === '' ? '' : `: ${words}`}`
}

/** What the loss of the primaries would cost, as far as counters tell. */
export function lagOf({ members }: ApiSupervisedGroup): number | null {
  const lags = members.flatMap(({ role, lagBytes }) => (role === 'primary' || lagBytes === null ? [] : [lagBytes]))
  return lags.length === 0 ? null : Math.max(...lags)
}

export const NO_SITE = 'site not described'

/** As the map of a group draws it: roles and arrows, and no lease. */
export function drawnGroup({ group, members }: ApiSupervisedGroup): ApiGroup {
  return {
    ...{ group, engine: '', profile: '', failover: 'observe', whenAlone: 'block', ttlMs: 0, epoch: 0, phase: '' },
    replication: { kind: 'async', need: null, lossBytesMax: null, lossMsMax: null },
    ...{ holder: null, writer: null, eligible: [], need: 0, paused: null, failsafe: false, doors: [], incident: null },
    ...{ verdict: { safe: false, because: '' }, loss: { kind: 'unknown', bytes: null, because: '' } },
    members: members.map((member) => ({
      ...{ member: member.member, site: member.site ?? NO_SITE, agent: '', address: { host: '', port: 0 } },
      ...{ role: member.role, state: member.state, epoch: 0, timeline: member.timeline, lsn: null },
      ...{ lagBytes: member.lagBytes, writableForMs: 0, answering: member.answering || member.state !== 'no answer' },
      streaming: member.role === 'primary' || member.streaming || member.state === 'streaming',
      ...{ upstream: null, eligible: false, priority: 0, noFailover: false, work: null, because: member.because },
    })),
  }
}

export function sitesOf({
  members,
}: ApiSupervisedGroup): readonly { readonly site: string; readonly witness: boolean }[] {
  const named = new Set(members.flatMap(({ site }) => site ?? []))
  const last = members.some(({ site }) => site === null) ? [NO_SITE] : []
  return [...[...named].sort(), ...last].map((site) => ({ site, witness: false }))
}
