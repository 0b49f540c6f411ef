/** A Redis group of three members run by Holdfast: store, agents and router as their user starts them. */
import { createAgentClient } from '@holdfast/client'
import type { Target } from '../packages/holdfast/src/engines/redis/connection.ts'
import { treeOf } from '../packages/holdfast/src/io/process-tree.ts'
import { SECRETS, TestPlatform, until } from '../test/platform.ts'
import { Hosts } from '../test/variants/load.ts'
import type { RedisMode, RedisStage, RedisStageName } from './redis-stage.ts'

export class HoldfastRedisStage implements RedisStage {
  readonly name: RedisStageName
  readonly #mode: RedisMode
  readonly #platform: TestPlatform
  readonly #hosts: Hosts

  private constructor(name: RedisStageName, mode: RedisMode, platform: TestPlatform) {
    this.name = name
    this.#mode = mode
    this.#platform = platform
    this.#hosts = new Hosts(platform)
  }

  static async make(name: RedisStageName, mode: RedisMode): Promise<RedisStage> {
    // Faults come faster here than anywhere else; the wait after many failovers would only slow the measurement.
    const platform = await TestPlatform.describe({
      members: 3,
      groupLines: '    antiFlap: { free: 50, window: 60s }\n',
    })
    const replication = mode === 'sync' ? 'sync' : '{ async: { lossBytesMax: 16MiB, lossTimeMax: 10s } }'
    const text = platform.text().replace('engine: postgres', 'engine: redis').replace(', database: app', '')
    const profiled = name === 'holdfast-fast' ? text.replace('profile: normal', 'profile: fast') : text
    platform.write(profiled.replace('replication: sync', `replication: ${replication}`))
    return new HoldfastRedisStage(name, mode, platform)
  }

  async start(): Promise<void> {
    await this.#platform.store().says(/ready at/)
    await this.#hosts.start()
    await this.whole()
    await this.#platform.router().says(/ready at/)
  }

  whole(): Promise<string> {
    const platform = this.#platform
    return until(`${this.name} to be whole`, async () => {
      const [writer] = await platform.writers()
      if (writer === undefined) return null
      const group = (await platform.status(writer))?.groups[0]
      if (group?.phase !== 'open') return null
      const others = platform.members.filter((member) => member !== writer)
      if (this.#mode === 'sync' && !others.every((member) => group.eligible.includes(member))) return null
      for (const member of others) {
        const engine = (await platform.status(member))?.members[0]?.engine
        if (engine?.receiving !== true || engine.upstream !== writer) return null
      }
      return writer
    })
  }

  async primary(): Promise<string | null> {
    return (await this.#platform.writers())[0] ?? null
  }

  async target(): Promise<Target> {
    return { host: '127.0.0.1', port: this.#platform.doorPort, user: 'app', password: SECRETS.HF_APP }
  }

  enginePid(member: string): number | null {
    return treeOf(this.#platform.dataDir(member), null)[0]?.pid ?? null
  }

  hostPids(member: string): readonly number[] {
    return this.#hosts.pidsOf(member)
  }

  async revive(member: string): Promise<void> {
    const agent = `a${this.#platform.members.indexOf(member) + 1}`
    const child = this.#hosts.agents.get(agent)?.child
    if (child?.exitCode !== null || child.signalCode !== null) await this.#hosts.start([agent])
  }

  async switchover(): Promise<void> {
    const urls = this.#platform.agentPorts.map((port) => `http://127.0.0.1:${port}`)
    const asked = await createAgentClient({ urls, token: SECRETS.HF_TOKEN }).switchover('orders', { by: 'bench' })
    if (!asked.ok) throw new Error(`the switchover was not accepted: ${JSON.stringify(asked)}`)
  }

  close(): Promise<void> {
    return this.#platform.destroy()
  }
}
