/**
 * What every manager's adapter must do, run against the real thing. The suite moves the primary once and leaves the
 * group whole. What only one manager does is tested beside it.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Picture } from '../core/supervision/model.ts'
import { pictureOf } from '../core/supervision/picture.ts'
import { chooseTarget } from '../core/supervision/target.ts'
import { systemClock } from '../io/clock.ts'
import { plannedSwitch, type SwitchReport } from './planned-switch.ts'
import type { Supervisor, SupervisorOptions } from './supervisor.ts'

export interface SupervisedGroup {
  /** Options that reach the running group. */
  readonly options: () => SupervisorOptions
  readonly open: (options: SupervisorOptions) => Promise<Supervisor>
  /** A replica to move to, by the manager's name, out of the picture. */
  readonly target: (picture: Picture) => string
  /** Members that must be there. */
  readonly members: number
}

/** Two busy cores may need this for what takes a second alone. */
const LOOK_MS = 20_000
const MOVE_MS = 90_000
const SHORT_MS = 400
const SLACK_MS = 10_000

export function supervisorConformance(group: SupervisedGroup): void {
  const opened = (): Promise<Supervisor> => group.open(group.options())
  const seen = async (supervisor: Supervisor): Promise<Picture> => pictureOf((await supervisor.look(LOOK_MS)).sighting)
  const move = async (supervisor: Supervisor, to: string | null, dryRun = false): Promise<SwitchReport> => {
    const wish = { to, allowLoss: false, timeoutMs: MOVE_MS, dryRun, lookMs: LOOK_MS }
    return plannedSwitch(supervisor, wish, { clock: systemClock, say: () => undefined })
  }

  it('sees one primary, every member, and the group safe', async () => {
    const picture = await calm(await opened(), seen)
    assert.equal(picture.members.length, group.members)
    assert.equal(picture.heard, picture.asked)
    assert.deepEqual(picture.concerns, [])
    assert.ok(picture.members.every(({ engine }) => engine?.answering === true && engine.position !== null))
  })

  it('is found by one of its endpoints alone', async () => {
    const options = group.options()
    const supervisor = await group.open({ ...options, endpoints: options.endpoints.slice(0, 1), name: '' })
    const discovery = await supervisor.discover(LOOK_MS)
    assert.ok(discovery.ok)
    const [found] = discovery.found
    assert.equal(discovery.found.length, 1)
    assert.deepEqual([...(found?.endpoints ?? [])].sort(), [...options.endpoints].sort())
  })

  it('says what it would ask for, refuses the primary and strangers, and changes nothing by that', async () => {
    const supervisor = await opened()
    const before = await calm(supervisor, seen)
    const primary = before.shards[0]?.primary ?? ''
    const to = group.target(before)
    const dry = await move(supervisor, to, true)
    assert.equal(dry.ok && dry.to, to)
    for (const wrong of [primary, 'nobody']) {
      const refused = await move(supervisor, wrong)
      assert.equal(refused.ok ? 'done' : refused.kind, 'refused')
    }
    assert.deepEqual((await seen(supervisor)).shards, before.shards)
  })

  it('moves the primary when it is asked to, and is whole again', async () => {
    const supervisor = await opened()
    const before = await calm(supervisor, seen)
    const { namesTarget } = supervisor.traits
    const wanted = namesTarget ? group.target(before) : null
    const target = chooseTarget(before, { to: wanted, namesTarget })
    assert.ok(target.ok)
    const report = await move(supervisor, wanted)
    assert.ok(report.ok, JSON.stringify(report))
    assert.equal(report.from, target.from)
    if (wanted !== null) assert.equal(report.to, wanted)
    assert.ok(report.outageMs !== null && report.outageMs < report.tookMs)
    const after = await calm(supervisor, seen)
    assert.equal(after.shards.find(({ shard }) => shard === target.shard)?.primary, report.to)
    assert.ok((after.epoch ?? 0) > (before.epoch ?? 0), `${before.epoch} then ${after.epoch}`)
    assert.equal(after.members.find(({ member }) => member === target.from)?.role, 'replica')
  })

  it('keeps its deadline when nobody answers, and says so', async () => {
    const options = { ...group.options(), endpoints: group.options().endpoints.map((one) => one.replace(/\d+$/, '9')) }
    const startMs = systemClock.nowMs()
    const picture = pictureOf((await (await group.open(options)).look(SHORT_MS)).sighting)
    assert.ok(systemClock.nowMs() - startMs < SHORT_MS + SLACK_MS)
    assert.equal(picture.heard, 0)
    assert.equal(picture.because, 'nobody of the manager answers')
  })
}

/** After a move, replicas take their time. */
export async function calm(supervisor: Supervisor, seen: (one: Supervisor) => Promise<Picture>): Promise<Picture> {
  const untilMs = systemClock.nowMs() + MOVE_MS
  for (;;) {
    const picture = await seen(supervisor)
    const fit = picture.members.every((member) => member.fit && (member.lagBytes ?? 0) === 0)
    if (picture.safe && fit && picture.concerns.length === 0) return picture
    if (systemClock.nowMs() > untilMs) assert.fail(`not whole within ${MOVE_MS} ms: ${JSON.stringify(picture)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
