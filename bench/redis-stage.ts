/**
 * A Redis group on the stage: Holdfast, or three Sentinels, behind one face. A host is a member's server and what looks
 * after it (agent and guard, or a Sentinel). The servers are the same program with the same durability: a log that is
 * synced before an answer where replicas confirm, once a second where they do not.
 */
import type { Target } from '../packages/holdfast/src/engines/redis/connection.ts'

export type RedisMode = 'sync' | 'async'
export const REDIS_STAGES = ['sentinel-500', 'holdfast-fast', 'sentinel-1000', 'holdfast-normal'] as const
export type RedisStageName = (typeof REDIS_STAGES)[number]

export interface RedisStage {
  readonly name: RedisStageName
  start(): Promise<void>
  /** The primary, once all others follow it. */
  whole(): Promise<string>
  primary(): Promise<string | null>
  /** Where a client connects to now. */
  target(): Promise<Target>
  enginePid(member: string): number | null
  hostPids(member: string): readonly number[]
  /** Starts again what a fault ended and nothing else starts. */
  revive(member: string): Promise<void>
  switchover(): Promise<void>
  close(): Promise<void>
}
