/**
 * Whom to ask for in a planned move, and why not. The manager has the last word; what it would refuse, or what would
 * lose acknowledged writes, is refused here with its numbers before anything is asked.
 */
import type { Concern, Picture, PictureMember, ShardView } from './model.ts'
import { successors } from './picture.ts'

export interface Wish {
  /** Null: the best. */
  readonly to: string | null
  /** The manager takes the name of a target; where it does not, it chooses by its own rule. */
  readonly namesTarget: boolean
}

export type Target =
  | { readonly ok: true; readonly shard: string; readonly from: string; readonly to: string }
  | { readonly ok: false; readonly reasons: readonly Concern[] }

export function chooseTarget(picture: Picture, wish: Wish): Target {
  if (picture.heard === 0) return no('nobody-answers', { asked: picture.asked })
  const graves = picture.concerns.filter((concern) => concern.grave)
  if (graves.length > 0) return { ok: false, reasons: graves }
  if (picture.moving !== null) return no('change-under-way', { says: picture.moving })
  const shard = shardOf(picture, wish.to)
  if ('reason' in shard) return { ok: false, reasons: [shard.reason] }
  const from = shard.primary
  if (from === null) return no('no-primary', { members: picture.members.length })
  const wanted = wish.to === null ? null : unfitness(picture, shard, wish.to)
  if (wanted !== null) return { ok: false, reasons: [wanted] }
  const able = successors(picture.members, shard)
  const best = [...able].sort(wish.namesTarget ? byLag : byRank)[0]
  if (best === undefined) return no('nobody-fit', { members: picture.members.length, primary: from })
  if (wish.to === null || wish.to === best.member || wish.namesTarget) {
    return { ok: true, shard: shard.shard, from, to: wish.to ?? best.member }
  }
  return no('manager-chooses-another', { wanted: wish.to, chooses: best.member, rank: best.rank })
}

function shardOf(picture: Picture, to: string | null): ShardView | { readonly reason: Concern } {
  const { shards, members } = picture
  if (to === null) {
    const [only] = shards
    if (only !== undefined && shards.length === 1) return only
    return { reason: reason('target-not-named', { shards: shards.length }) }
  }
  const member = members.find((one) => one.member === to)
  const shard = shards.find((one) => one.shard === member?.shard)
  return shard ?? { reason: reason('member-unknown', { member: to }) }
}

function unfitness(picture: Picture, shard: ShardView, to: string): Concern | null {
  if (to === shard.primary) return reason('already-primary', { member: to })
  const member = picture.members.find((one) => one.member === to)
  if (member === undefined) return reason('member-unknown', { member: to })
  if (member.barred !== null) return reason('target-barred', { member: to, because: member.barred })
  if (member.fit) return null
  const { state, lagBytes, engine } = member
  const because = engine === null || engine.answering ? state : engine.because
  return reason('target-unfit', { member: to, state: because, lagBytes })
}

function byLag(a: PictureMember, b: PictureMember): number {
  return (a.lagBytes ?? Number.MAX_VALUE) - (b.lagBytes ?? Number.MAX_VALUE) || byRank(a, b)
}

/** The manager's own order, once all have the whole log. */
function byRank(a: PictureMember, b: PictureMember): number {
  return a.rank - b.rank || order(a.tieBreak, b.tieBreak) || order(a.member, b.member)
}

function order(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

function reason(code: string, detail: Concern['detail']): Concern {
  return { code, grave: true, detail }
}

function no(code: string, detail: Concern['detail']): Target {
  return { ok: false, reasons: [reason(code, detail)] }
}

export interface Moved {
  readonly primary: string | null
  /** All that was asked for is there: another primary, named by the manager, open by its own word. */
  readonly done: boolean
}

/** Whether a shard has another primary by now, in the manager's words and the engine's. */
export function movedFrom(picture: Picture, { shard, from }: { readonly shard: string; readonly from: string }): Moved {
  const primary = picture.shards.find((one) => one.shard === shard)?.primary ?? null
  if (primary === null || primary === from) return { primary, done: false }
  const engine = picture.members.find((one) => one.member === primary)?.engine ?? null
  const open = engine === null || (engine.answering && engine.role === 'primary')
  const agreed = !picture.concerns.some(({ code }) => code === 'views-disagree' || code === 'second-primary')
  return { primary, done: open && agreed }
}
