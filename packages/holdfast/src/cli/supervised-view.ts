/** One look at a group that another program leads, as `status` and `explain` show it. Pure. */
import type { SupervisedSpec } from '../config/supervised.ts'
import type { PictureMember } from '../core/supervision/model.ts'
import { pictureOf } from '../core/supervision/picture.ts'
import type { Look } from '../engines/supervisor.ts'
import type { GroupView, MemberView } from './status-view.ts'

export function supervisedGroupView(spec: SupervisedSpec, look: Look): GroupView {
  const picture = pictureOf(look.sighting)
  const { epoch, paused, moving, heard, asked, shards, concerns } = picture
  const { manager, group: called, facts } = look
  const shardOrder = new Map(shards.map(({ shard }, at) => [shard, at]))
  const rank = ({ shard }: PictureMember): number => shardOrder.get(shard) ?? shards.length
  const members = [...picture.members].sort((a, b) => rank(a) - rank(b) || order(a, b))
  return {
    group: spec.name,
    observed: false,
    record: null,
    supervised: { by: spec.by, manager, called, epoch, paused, moving, heard, asked, facts, shards, concerns },
    members: members.map((member) => memberView(member, spec)),
    verdict: { safe: picture.safe, because: picture.because },
  }
}

function order(a: PictureMember, b: PictureMember): number {
  if (a.role !== b.role) return a.role === 'primary' ? -1 : b.role === 'primary' ? 1 : 0
  return a.member < b.member ? -1 : 1
}

function memberView(member: PictureMember, spec: SupervisedSpec): MemberView {
  const { engine } = member
  return {
    member: member.member,
    site: Object.hasOwn(spec.sites, member.member) ? (spec.sites[member.member] ?? '-') : '-',
    agent: '',
    role: member.role,
    state: stateOf(member),
    timeline: member.timeline ?? engine?.timeline ?? null,
    lagBytes: member.lagBytes,
    writableForMs: 0,
    streaming: engine?.streaming ?? false,
    answering: engine?.answering ?? false,
    because: engine !== null && !engine.answering ? engine.because : (member.barred ?? ''),
    ...(member.shard === '' ? {} : { shard: member.shard }),
  }
}

/** The manager's word, unless the engine itself says otherwise. */
function stateOf({ state, engine, role }: PictureMember): string {
  if (engine === null) return state
  if (!engine.answering) return 'no answer'
  if (engine.role !== null && engine.role !== role) return `says ${engine.role}`
  if (engine.role === 'replica' && !engine.streaming && state !== 'down') return 'not streaming'
  return state
}
