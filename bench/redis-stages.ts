/** Which Redis groups are compared, and how each is made. */
import { HoldfastRedisStage } from './redis-holdfast.ts'
import { SentinelStage } from './redis-sentinel.ts'
import type { RedisMode, RedisStage, RedisStageName } from './redis-stage.ts'

export async function makeRedisStage(name: RedisStageName, mode: RedisMode): Promise<RedisStage> {
  if (name === 'sentinel-500') return SentinelStage.make(name, mode, 500)
  if (name === 'sentinel-1000') return SentinelStage.make(name, mode, 1_000)
  return HoldfastRedisStage.make(name, mode)
}
