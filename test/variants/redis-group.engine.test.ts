/**
 * A Redis group run by the real program: founded, moved on purpose to and fro, its primary killed, its host crashed,
 * under load all the time. In a synchronous group no write that a client waited for is lost; a planned move loses
 * nothing in either.
 *
 * A machine with more to do than it can may make a group move by itself: a lease that nobody found the time to renew
 * ends as it should. So a move is asked for until it is done, what is judged is what may never happen (a loss, two
 * primaries of one epoch), and times are only told.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { GroupExplanation, ReasonLine } from '../../packages/client/src/agent-api.ts'
import { findRedis } from '../../packages/holdfast/src/engines/redis/binaries.ts'
import { treeOf } from '../../packages/holdfast/src/io/process-tree.ts'
import { TestPlatform, until } from '../platform.ts'
import { enginesOf, Hosts } from './load.ts'
import { asked, RedisLoad } from './redis-load.ts'

const LOSS_TIME_MS = 30_000
const ASYNC = `{ async: { lossBytesMax: 16MiB, lossTimeMax: ${LOSS_TIME_MS / 1_000}s } }`
/** Of each member, when something did not come. */
const REASONS_TOLD = 40
/** What stands in the way of a move for a moment; anything else is the product's mistake. */
const PASSING = /nobody is open|target-not-|HF_INTENT_BUSY|HF_INTENT_UNKNOWN|no agent answers|HF_STORE_UNREACHABLE/
const found = await findRedis()
const skip = found.ok ? false : `needs Redis or Valkey: ${found.because}`
const open: TestPlatform[] = []
after(async () => {
  for (const platform of open) await platform.destroy()
})

/** A platform of one Redis group, and what was seen of it. */
class Group {
  readonly platform: TestPlatform
  readonly hosts: Hosts
  /** Who led each epoch, as the members said themselves. */
  readonly leaders = new Map<number, Set<string>>()
  readonly #confirms: boolean

  private constructor(platform: TestPlatform, confirms: boolean) {
    this.platform = platform
    this.hosts = new Hosts(platform)
    this.#confirms = confirms
  }

  static async start(replication: string): Promise<Group> {
    // Faults come faster here than anywhere else, and a busy machine adds some of its own.
    const platform = await TestPlatform.describe({
      members: 3,
      groupLines: '    antiFlap: { free: 50, window: 60s }\n',
    })
    open.push(platform)
    const text = platform.text().replace('engine: postgres', 'engine: redis').replace(', database: app', '')
    platform.write(text.replace('replication: sync', `replication: ${replication}`))
    const group = new Group(platform, replication !== ASYNC)
    await platform.store().says(/ready at/)
    await group.hosts.start()
    await group.followed()
    await platform.router().says(/ready at/)
    return group
  }

  /** The primary, once all others stream from it and, where they confirm, may take over. */
  followed(): Promise<string> {
    const { platform } = this
    return until('a primary that everybody follows', async () => {
      const [writer] = await platform.writers()
      if (writer === undefined) return null
      const status = await platform.status(writer)
      this.note(status?.reasons ?? [])
      const group = status?.groups[0]
      if (group?.phase !== 'open') return null
      const others = platform.members.filter((member) => member !== writer)
      if (this.#confirms && !others.every((member) => group.eligible.includes(member))) return null
      for (const member of others) {
        const engine = (await platform.status(member))?.members[0]?.engine
        if (engine?.receiving !== true || engine.upstream !== writer) return null
      }
      return writer
    })
  }

  /**
   * Everybody may take over without loss. Replicas of one that was started again must first know where they are, and
   * one that was copied anew stands in the record with its former disk until its next report: a second crash before
   * that is answered by nobody, for what was confirmed may have been on that disk.
   */
  async succeeded(holder: string): Promise<void> {
    await until('all others who may take over', async () => {
      const { code, out } = await this.platform.command('explain', 'orders', '--output', 'json')
      if (code !== 0) return false
      const { candidates } = JSON.parse(out) as GroupExplanation
      return candidates.every(({ member, eligible }) => eligible || member === holder)
    })
  }

  async epoch(): Promise<number> {
    return (await this.platform.status(await this.followed()))?.groups[0]?.epoch ?? 0
  }

  /** Asks for a move until one is done. */
  async move(): Promise<{ readonly from: string; readonly askedMs: number }> {
    return until('a planned move', async () => {
      const from = await this.followed()
      const askedMs = performance.now()
      const { code, out, err } = await this.platform.command('switchover', 'orders')
      if (code === 0) return { from, askedMs }
      assert.match(out + err, PASSING, 'refused for no good reason')
      return null
    })
  }

  /** Ends the engine of whoever is primary, and tells who that was. */
  async killEngine(): Promise<string> {
    return until('an engine to kill', async () => {
      const member = await this.followed()
      const [main] = treeOf(this.platform.dataDir(member), null)
      if (main === undefined) return null
      process.kill(main.pid, 'SIGKILL')
      return member
    })
  }

  /** Every engine anew, one after the other, and nothing lost. */
  async restart(load: RedisLoad, t: { diagnostic(line: string): void }): Promise<void> {
    const before = await enginesOf(this.platform)
    const askedMs = performance.now()
    await until('a rolling restart', async () => {
      await this.followed()
      const { code, out, err } = await this.platform.command('restart', 'orders', '--rolling', '--yes')
      if (code !== 0) assert.match(out + err, PASSING, 'refused for no good reason')
      return code === 0
    })
    const after = await enginesOf(this.platform)
    for (const member of this.platform.members) assert.notEqual(after[member], before[member], member)
    await this.followed()
    await load.more(100)
    assert.deepEqual(await load.lost(), [], 'a rolling restart lost writes')
    t.diagnostic(`rolling restart: writes stood still for ${load.outageMs(askedMs)} ms at most`)
  }

  note(lines: readonly ReasonLine[]): void {
    for (const { code, member, detail } of lines) {
      if (code !== 'is-primary') continue
      const epoch = Number(detail.epoch)
      this.leaders.set(epoch, (this.leaders.get(epoch) ?? new Set()).add(member))
    }
  }

  async noteAll(): Promise<void> {
    for (const member of this.platform.members) this.note(await this.platform.reasons(member))
  }
}

for (const [name, replication, confirmations] of [
  ['sync', 'sync', 1],
  ['async', ASYNC, 0],
] as const) {
  test(`${name}: planned moves lose nothing, a killed primary comes back or is followed`, { skip }, async (t) => {
    const group = await Group.start(replication)
    const { platform, hosts } = group
    const load = new RedisLoad(platform.doorPort, confirmations)
    try {
      await load.more(200)
      const epochBefore = await group.epoch()
      for (const round of [1, 2]) {
        const { from, askedMs } = await group.move()
        const to = await group.followed()
        await load.more(100)
        t.diagnostic(`move ${round}: ${from} to ${to}, writes stood still for ${load.outageMs(askedMs)} ms`)
      }
      const planned = (await group.epoch()) === epochBefore + 2
      if (planned || confirmations > 0) assert.deepEqual(await load.lost(), [], 'a planned move lost writes')
      else t.diagnostic('a lease lapsed meanwhile: the planned moves prove nothing')

      if (confirmations > 0) await group.restart(load, t)
      const killedMs = performance.now()
      const killed = await group.killEngine()
      await load.more(100)
      t.diagnostic(`kill of ${killed}: writes stood still for ${load.outageMs(killedMs)} ms`)

      const victim = await group.followed()
      await group.succeeded(victim)
      await group.noteAll()
      const crashedMs = performance.now()
      hosts.crash(victim)
      await platform.primary(victim)
      await load.more(100)
      t.diagnostic(`crash of ${victim}'s host: writes stood still for ${load.outageMs(crashedMs)} ms`)
      await hosts.start([`a${victim.slice(1)}`])
      await group.followed()
      await load.more(100)

      await load.stop()
      await group.noteAll()
      const lost = await load.lost()
      const refused = JSON.stringify([...load.refused])
      t.diagnostic(`${load.acked.length} acknowledged, ${lost.length} lost; refused: ${refused}`)
      if (confirmations > 0) assert.deepEqual(lost, [])
      const old = load.acked.filter(({ n, atMs }) => lost.includes(n) && atMs < killedMs - LOSS_TIME_MS)
      assert.deepEqual(old, [], 'lost what was older than the bound')
      const doubled = [...group.leaders].filter(([, members]) => members.size > 1)
      assert.deepEqual(doubled, [], 'two primaries of one epoch')
      assert.ok(group.leaders.size >= 4, `${group.leaders.size} leaderships were seen`)
      assert.equal(typeof (await asked(platform.doorPort, 'SCARD', 'entry')), 'number')
    } catch (error) {
      for (const member of platform.members) {
        for (const line of (await platform.reasons(member)).slice(-REASONS_TOLD)) t.diagnostic(JSON.stringify(line))
      }
      throw error
    } finally {
      await load.stop()
      await platform.destroy()
    }
  })
}
