/**
 * What is known of a group that another program leads (Patroni, Redis Sentinel, Redis Cluster): the words of that
 * program, called the manager here, and the words of the engines themselves. Data only; who asks stands in
 * `engines/supervisor.ts`, what it means in `picture.ts`, whom to ask for in `target.ts`.
 */

/** A fact that somebody should know, with its numbers. `grave`: while it holds, a planned move is not asked for. */
export interface Concern {
  readonly code: string
  readonly grave: boolean
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** What one voice of the manager says of one member. */
export interface MemberWord {
  readonly member: string
  /** Part of the data it holds; one name for all where the data is not divided. */
  readonly shard: string
  readonly role: 'primary' | 'replica' | 'unknown'
  /** The manager's own word, for people. */
  readonly state: string
  /** The manager holds it for running and in step. */
  readonly fit: boolean
  /** Why the manager would never choose it; null: it may. */
  readonly barred: string | null
  readonly lagBytes: number | null
  readonly lagMs: number | null
  readonly timeline: number | null
  /** Where the manager chooses by itself: the smallest wins, then the smallest `tieBreak`. */
  readonly rank: number
  readonly tieBreak: string
}

/** One Patroni, one Sentinel, one node of a cluster: what it says, or that it said nothing. */
export interface Voice {
  readonly voice: string
  readonly heard: boolean
  /** Why it was not heard; empty when it was. */
  readonly because: string
  /** Number of its configuration; the higher one is newer. Null where it has none. */
  readonly epoch: number | null
  readonly paused: boolean
  /** A change of primary that is under way or planned, in its words; null: none. */
  readonly moving: string | null
  readonly members: readonly MemberWord[]
  /** What it complains of by itself. */
  readonly concerns: readonly Concern[]
}

/** What the engine of a member says itself; absent members were not asked. */
export interface EngineWord {
  readonly member: string
  readonly answering: boolean
  readonly because: string
  readonly role: 'primary' | 'replica' | null
  /** End of its log, in the engine's own count; comparable only between members of one shard. */
  readonly position: number | null
  readonly timeline: number | null
  readonly streaming: boolean
}

/** All that one look brought. */
export interface Sighting {
  readonly voices: readonly Voice[]
  readonly engines: readonly EngineWord[]
  /** Voices the manager needs to act. */
  readonly quorum: number
  /** Whether an acknowledged write is on a replica by then. */
  readonly durability: 'sync' | 'async'
  /** A replica further behind is not taken over by the manager; null: it has no such bound. */
  readonly lagBytesMax: number | null
}

export interface PictureMember extends Omit<MemberWord, 'rank' | 'tieBreak'> {
  readonly rank: number
  readonly tieBreak: string
  /** Null: its engine was not asked. */
  readonly engine: EngineWord | null
}

export interface ShardView {
  readonly shard: string
  /** Whom the newest and most of the voices name. */
  readonly primary: string | null
}

/** One view out of many. */
export interface Picture {
  readonly members: readonly PictureMember[]
  readonly shards: readonly ShardView[]
  readonly epoch: number | null
  readonly paused: boolean
  readonly moving: string | null
  readonly heard: number
  readonly asked: number
  readonly concerns: readonly Concern[]
  /** One more loss is survived, by the manager's own means. */
  readonly safe: boolean
  readonly because: string
}
