/**
 * A small world for plans: the runner of `core/site-plan` as it is, over a store whose answers get lost, and agents
 * that answer late, twice or never. The runner is killed after a given number of its actions, others take over, cancel
 * or ask for a plan of their own. Says which invariants of SPEC.md did not hold.
 */

import { PROFILES } from '../core/settings.ts'
import type { Draft } from '../core/site-plan/draft.ts'
import { draftPlan, type GroupFacts, type MoveWish, type Survey } from '../core/site-plan/draft.ts'
import { isOver, type PlanKind, type PlanRecord } from '../core/site-plan/plan.ts'
import { draftRestart } from '../core/site-plan/restart-draft.ts'
import type { RunnerConfig } from '../core/site-plan/runner.ts'
import { Heap } from './heap.ts'
import { type ActorGroup, type ActorWorld, actorOf, type PlanActor } from './plan-actor.ts'
import { Stream } from './prng.ts'

export interface PlanScenario {
  readonly seed: number
  readonly kind: PlanKind
  /** The first runner dies after this many actions; null: it lives. */
  readonly killAfter: number | null
  readonly heir: 'resume' | 'cancel'
  /** Somebody else cancels after this time; null: nobody. */
  readonly cancelAtMs: number | null
  /** A second operator asks for a plan of his own at the same time. */
  readonly rival: boolean
  /** The other site fails, or comes back, in the middle. */
  readonly siteTurnsAtMs: number | null
}

export interface PlanRun {
  readonly violations: readonly string[]
  readonly phase: string
  readonly actions: number
  readonly trace: readonly string[]
}

export const RUNNER: Omit<RunnerConfig, 'self'> = { beatMs: 500, trustMs: 1_500, takeoverMs: 4_000, retryMs: 300 }
const END_MS = 240_000
/** After the end of the plan: whatever is still on its way must have arrived. */
const QUIET_MS = 12_000
const MEMBERS = ['n', 's'] as const
/** The group that is restarted. */
const RESTARTED = 'orders'
const GROUPS = ['stock', 'orders', 'mail'] as const
const ORDER = [
  { group: 'stock', after: [] },
  { group: 'orders', after: ['stock'] },
  { group: 'mail', after: [] },
]

export type SimGroup = { -readonly [K in keyof ActorGroup]: ActorGroup[K] }

/** What moved when, and which way. */
interface Effect {
  readonly atMs: number
  readonly group: string
  readonly to: string
  /** The group's own lease moves it when it must, whatever a plan does. */
  readonly by: 'plan' | 'lease'
}

export class PlanWorld implements ActorWorld {
  readonly prng: Stream
  readonly groups: Record<string, SimGroup> = {}
  readonly hooks: Record<string, boolean> = { flag: false, dns: false }
  readonly effects: Effect[] = []
  readonly wrong: string[] = []
  readonly plans = new Set<string>()
  readonly trace: string[] = []
  record: PlanRecord | null = null
  revision = 0
  nowMs = 0
  readonly down = new Set<string>()
  overAtMs: number | null = null
  readonly #due = new Heap<() => void>()
  readonly actors: PlanActor[] = []

  constructor(seed: number) {
    this.prng = new Stream(seed, 0, 1)
    for (const group of GROUPS) {
      this.groups[group] = {
        holder: `${group}-n`,
        epoch: 1,
        writable: true,
        pausedBy: null,
        intent: null,
        answers: new Map(),
        engines: Object.fromEntries(MEMBERS.map((end) => [`${group}-${end}`, { starts: 1, up: true, caughtUp: true }])),
      }
    }
  }

  after(ms: number, run: () => void): void {
    this.#due.push(this.nowMs + ms, run)
  }

  say(line: string): void {
    this.trace.push(`${Math.round(this.nowMs)} ${line}`)
  }

  group(name: string): SimGroup {
    const found = this.groups[name]
    if (found === undefined) throw new Error(`no group ${name}`)
    return found
  }

  /** Runs until nothing is due or the time is over. */
  run(untilMs: number): void {
    while (this.#due.size > 0 && this.nowMs < untilMs) {
      this.nowMs = Math.max(this.nowMs, this.#due.peekMs())
      this.#due.pop()?.()
      if (this.overAtMs !== null && this.nowMs > this.overAtMs + QUIET_MS) return
    }
  }

  /** The primary is somewhere else. */
  moved(name: string, to: string, by: Effect['by'] = 'plan'): void {
    const group = this.group(name)
    this.effects.push({ atMs: this.nowMs, group: name, to, by })
    this.say(`${name} is led by ${to}`)
    group.holder = to
    group.epoch += 1
    group.writable = !this.down.has(siteOf(to))
  }

  /** An engine ends because somebody asked. */
  stopped(name: string, member: string): void {
    const { engines, holder } = this.group(name)
    this.say(`${member} is started anew`)
    if (holder === member) this.wrong.push(`P13: ${member} leads and was restarted`)
    const away = Object.entries(engines).filter(([other, one]) => other !== member && !one.caughtUp)
    for (const [other] of away) this.wrong.push(`P13: ${member} was restarted while ${other} was away`)
    if (this.overAtMs !== null) this.wrong.push(`P6: ${member} was restarted after the end`)
  }

  written(plan: PlanRecord): void {
    this.plans.add(plan.id)
    // Another plan, after the end of the first.
    if (!isOver(plan) && this.overAtMs !== null) {
      this.overAtMs = null
      this.effects.length = 0
    }
    if (isOver(plan) && this.overAtMs === null) {
      this.overAtMs = this.nowMs
      this.say(`over: ${plan.phase}, ${plan.because}`)
    }
  }
}

export function siteOf(member: string): string {
  return member.endsWith('-n') ? 'north' : 'south'
}

function factsOf(world: PlanWorld, name: string): GroupFacts {
  const { holder, writable, pausedBy, epoch } = world.group(name)
  const members = MEMBERS.map((end) => ({
    member: `${name}-${end}`,
    site: siteOf(`${name}-${end}`),
    priority: 100,
    heard: !world.down.has(siteOf(`${name}-${end}`)),
    refusal: null,
    never: false,
    lagBytes: 0,
    started: String(world.group(name).engines[`${name}-${end}`]?.starts),
    following: holder !== `${name}-${end}`,
  }))
  return {
    group: name,
    epoch,
    holder,
    open: writable,
    pausedBy,
    members,
    replication: { kind: 'sync' },
    timing: PROFILES.fast,
  }
}

function draftOf(world: PlanWorld, scenario: PlanScenario, id: string): Draft {
  const survey: Survey = {
    scope: 'shop',
    order: ORDER,
    groups: GROUPS.map((name) => factsOf(world, name)),
    hooks: [
      { name: 'flag', when: 'before', group: null, deadlineMs: 3_000, undo: true, onFailure: 'undo' },
      { name: 'dns', when: 'after', group: 'stock', deadlineMs: 3_000, undo: true, onFailure: 'undo' },
    ],
    past: {},
  }
  const evacuate = scenario.kind === 'evacuate'
  const restart = scenario.kind === 'restart'
  const wish: MoveWish = {
    id,
    kind: scenario.kind,
    to: evacuate || restart ? null : 'south',
    member: evacuate ? 'orders-n' : null,
    by: 'sim',
    origin: scenario.kind === 'failover' && scenario.seed % 2 === 0 ? 'automatic' : 'operator',
    lossAccepted: false,
  }
  if (!restart) return draftPlan(survey, wish)
  return draftRestart({ ...survey, groups: [factsOf(world, RESTARTED)] }, wish)
}

/** Without a runner that lives there is no end; so somebody always comes in the end. */
const LAST_HEIR_MS = 60_000

export function runPlan(scenario: PlanScenario): PlanRun {
  const world = new PlanWorld(scenario.seed)
  if (scenario.kind === 'failover') loseNorth(world)
  const draft = draftOf(world, scenario, 'p1')
  const start = (name: string, wish: Parameters<typeof actorOf>[2], killAfter: number | null): PlanActor =>
    actorOf(world, { ...RUNNER, self: name }, wish, killAfter)
  const first = start('one', { kind: 'create', plan: draft.plan }, scenario.killAfter)
  if (scenario.rival) start('two', { kind: 'create', plan: draftOf(world, scenario, 'p2').plan }, null)
  if (scenario.cancelAtMs !== null)
    world.after(scenario.cancelAtMs, () => void start('three', { kind: 'cancel', by: 'somebody' }, null))
  if (scenario.killAfter !== null) {
    const wish = scenario.heir === 'resume' ? ({ kind: 'resume' } as const) : ({ kind: 'cancel', by: 'heir' } as const)
    // The heir may come before its predecessor is dead, and may die as well.
    const heirDies = world.prng.chance(0.3) ? Math.round(world.prng.range(1, 12)) : null
    world.after(Math.round(world.prng.range(0, 9_000)), () => void start('four', wish, heirDies))
  }
  if (scenario.siteTurnsAtMs !== null) world.after(scenario.siteTurnsAtMs, () => turnSite(world, scenario.kind))
  world.after(LAST_HEIR_MS, () => void start('five', { kind: 'resume' }, null))
  world.run(END_MS)
  return {
    violations: violations(world, scenario, draft),
    phase: world.record?.phase ?? 'none',
    actions: first.actions,
    trace: world.trace,
  }
}

/** Each group's own lease lets the south take over, each in its own time. */
function loseNorth(world: PlanWorld): void {
  world.down.add('north')
  for (const name of GROUPS) {
    world.group(name).writable = false
    world.after(Math.round(world.prng.range(300, 5_000)), () => {
      const group = world.group(name)
      if (siteOf(group.holder) === 'north' && !group.writable && group.pausedBy === null)
        world.moved(name, `${name}-s`, 'lease')
    })
  }
}

/** In a failover the lost site comes back, with a primary that had not been followed yet; else the target fails. */
function turnSite(world: PlanWorld, kind: PlanKind): void {
  if (kind !== 'failover') {
    world.say('south fails')
    world.down.add('south')
    for (const name of GROUPS) {
      const group = world.group(name)
      if (siteOf(group.holder) === 'south') group.writable = false
    }
    // It comes back later, so that every plan can end.
    world.after(Math.round(world.prng.range(1_000, 40_000)), () => {
      world.say('south returns')
      world.down.delete('south')
      for (const name of GROUPS) world.group(name).writable = true
    })
    return
  }
  world.say('north returns')
  world.down.delete('north')
  for (const name of GROUPS) world.group(name).writable = true
}

function violations(world: PlanWorld, scenario: PlanScenario, draft: Draft): readonly string[] {
  const found: string[] = [...world.wrong]
  const { record } = world
  // Its runner died before it wrote anything: nothing was begun.
  if (record === null) return world.effects.every(({ by }) => by === 'lease') ? [] : ['P1: moved without a plan']
  if (!isOver(record)) found.push(`P2: not over but ${record.phase}`)
  for (const name of GROUPS) if (world.group(name).pausedBy !== null) found.push(`P5: ${name} is still held`)
  const late = world.effects.filter(({ atMs, by }) => by === 'plan' && world.overAtMs !== null && atMs > world.overAtMs)
  for (const { group, to } of late) found.push(`P6: ${group} moved to ${to} after the end`)
  for (const name of GROUPS) {
    const own = world.effects.filter(({ group }) => group === name)
    if (own.length > 2) found.push(`P4: ${name} moved ${own.length} times`)
    if (own.some(({ to }, at) => at > 0 && siteOf(to) === 'south'))
      found.push(`P6: ${name} moved on after it went back`)
  }
  const touched = draft.plan.steps.flatMap(({ kind, group }) => (kind === 'move' || kind === 'follow' ? [group] : []))
  const place = (name: string | null): string => siteOf(world.group(name ?? '').holder)
  if (record.phase === 'done' && touched.some((name) => place(name) !== 'south')) found.push('P3: done and not there')
  const undone = record.phase === 'undone'
  if (
    undone &&
    scenario.kind !== 'failover' &&
    scenario.kind !== 'restart' &&
    touched.some((name) => place(name) !== 'north')
  )
    found.push('P3: undone and not back')
  if (undone && (world.hooks.flag || world.hooks.dns)) found.push('P3: undone and a hook is not')
  if (scenario.kind === 'restart') found.push(...restartedOnce(world, record))
  else if (scenario.kind !== 'evacuate' && record.origin === 'operator' && scenario.kind !== 'failover')
    found.push(...orderKept(world))
  return found
}

/** Each at most once by one plan, be it the first or a rival's that came after it; all of them when it is done. */
function restartedOnce(world: PlanWorld, record: PlanRecord): readonly string[] {
  const plans = world.plans.size
  return Object.entries(world.group(RESTARTED).engines).flatMap(([member, { starts }]) => {
    if (starts > 1 + plans) return [`P4: ${member} was restarted ${starts - 1} times by ${plans} plans`]
    return record.phase === 'done' && starts < 2 ? [`P3: done, and ${member} was not restarted`] : []
  })
}

/** There: stock before orders. Back: orders before stock. */
function orderKept(world: PlanWorld): readonly string[] {
  const at = (group: string, site: string): number =>
    world.effects.find((one) => one.group === group && siteOf(one.to) === site)?.atMs ?? Infinity
  const there = at('orders', 'south') < at('stock', 'south')
  const back = at('stock', 'north') < at('orders', 'north') && at('orders', 'south') < Infinity
  return [...(there ? ['P7: orders moved before stock'] : []), ...(back ? ['P7: stock went back before orders'] : [])]
}
