/** A look at a supervised group in the words of the API. Pure. */
import type { ApiSupervisedGroup } from '@holdfast/client'
import { supervisedGroupView } from '../../cli/supervised-view.ts'
import type { SupervisedSpec } from '../../config/supervised.ts'
import { pictureOf } from '../../core/supervision/picture.ts'
import { chooseTarget } from '../../core/supervision/target.ts'
import type { Look, Supervisor } from '../../engines/supervisor.ts'

const NAMES: Readonly<Record<SupervisedSpec['by'], string>> = {
  patroni: 'Patroni',
  sentinel: 'Redis Sentinel',
  'redis-cluster': 'Redis Cluster',
}

const WHY =
  'leads this group and decides who is primary. With two deciders there could be two primaries, so Holdfast looks, ' +
  'asks it to switch, and never promotes a member itself.'

export function supervisedOf(
  spec: SupervisedSpec,
  look: Look,
  { traits, failoverCommand }: Pick<Supervisor, 'traits' | 'failoverCommand'>,
  seenMs: number,
): ApiSupervisedGroup {
  const view = supervisedGroupView(spec, look)
  const picture = pictureOf(look.sighting)
  const target = chooseTarget(picture, { to: null, namesTarget: traits.namesTarget })
  const { epoch, paused, moving, heard, asked, shards, concerns } = picture
  return {
    ...{ group: spec.name, by: spec.by, manager: look.manager, called: look.group },
    ...{ epoch, paused, moving, heard, asked, facts: { ...look.facts } },
    shards: [...shards],
    concerns: concerns.map(({ code, grave, detail }) => ({ code, grave, detail: { ...detail } })),
    members: view.members.map((member) => ({
      ...{ member: member.member, site: member.site === '-' ? null : member.site, shard: member.shard ?? '' },
      ...{ role: member.role, state: member.state, timeline: member.timeline, lagBytes: member.lagBytes },
      ...{ streaming: member.streaming, answering: member.answering, because: member.because },
    })),
    verdict: view.verdict,
    promotes: `${NAMES[spec.by]} ${WHY}`,
    failoverCommand: failoverCommand(target.ok ? target.to : null, picture),
    namesTarget: traits.namesTarget,
    holdsWriters: traits.losesWhenPlanned,
    seenMs: Math.round(seenMs),
  }
}

/** Nobody was asked yet. */
export function notSeen(spec: SupervisedSpec): ApiSupervisedGroup {
  const because = 'nobody was asked yet'
  return {
    ...{ group: spec.name, by: spec.by, manager: NAMES[spec.by], called: spec.called, epoch: null, paused: false },
    ...{ moving: null, heard: 0, asked: spec.endpoints.length, facts: {}, shards: [], concerns: [], members: [] },
    ...{ verdict: { safe: false, because }, promotes: '', failoverCommand: '', namesTarget: true, holdsWriters: false },
    seenMs: 0,
  }
}

/** Without what moves all the time. */
export function supervisedGist(group: ApiSupervisedGroup): string {
  const members = group.members.map((member) => ({ ...member, lagBytes: member.lagBytes === null ? null : 0 }))
  const because = group.verdict.because.replace(/\d+/g, '')
  return JSON.stringify({ ...group, members, seenMs: 0, verdict: [group.verdict.safe, because] })
}
