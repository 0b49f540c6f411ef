/** One runner in the world of plans: its core, its way to the store, and its hands; all of it may be killed. */
import { type Ask, ensure, type GroupView } from '../core/site-plan/ensure.ts'
import type { PlanRecord } from '../core/site-plan/plan.ts'
import {
  type RunnerAction,
  type RunnerConfig,
  type RunnerEvent,
  type RunnerState,
  startRunner,
  stepRunner,
  trustedUntilMs,
  type Wish,
} from '../core/site-plan/runner.ts'
import type { Stream } from './prng.ts'

export interface ActorGroup {
  readonly holder: string
  readonly epoch: number
  readonly writable: boolean
  pausedBy: string | null
  intent: { readonly id: number; readonly to: string } | null
  readonly answers: Map<number, string>
  readonly engines: Record<string, ActorEngine>
}

export interface ActorEngine {
  /** Times it was started. */
  starts: number
  up: boolean
  /** Up, and has what it missed. */
  caughtUp: boolean
}

export interface ActorWorld {
  readonly prng: Stream
  readonly nowMs: number
  record: PlanRecord | null
  revision: number
  readonly hooks: Record<string, boolean>
  readonly down: ReadonlySet<string>
  after(ms: number, run: () => void): void
  say(line: string): void
  group(name: string): ActorGroup
  moved(name: string, to: string): void
  stopped(name: string, member: string): void
  written(plan: PlanRecord): void
}

export interface PlanActor {
  readonly actions: number
}

const LOOK_MS = 100
/** A request takes effect within this time or never: the client gives up, and the agent's own write has a deadline. */
const REQUEST_MAX_MS = 1_900
const LOST = 0.05
const REFUSED = 0.03
const HOOK_FAILS = 0.03

type Flight = Extract<RunnerAction, { kind: 'act' }>

export function actorOf(world: ActorWorld, config: RunnerConfig, wish: Wish, killAfter: number | null): PlanActor {
  const actor = new Actor(world, config, startRunner(wish), killAfter)
  actor.tick()
  return actor
}

class Actor implements PlanActor {
  readonly #world: ActorWorld
  readonly #config: RunnerConfig
  readonly #killAfter: number | null
  readonly #halted = new Set<string>()
  #state: RunnerState
  #alive = true
  actions = 0

  constructor(world: ActorWorld, config: RunnerConfig, state: RunnerState, killAfter: number | null) {
    this.#world = world
    this.#config = config
    this.#state = state
    this.#killAfter = killAfter
  }

  tick(): void {
    if (!this.#alive) return
    this.#feed({ kind: 'tick', nowMs: this.#world.nowMs })
    this.#world.after(LOOK_MS, () => this.tick())
  }

  #feed(event: RunnerEvent): void {
    if (!this.#alive) return
    const stepped = stepRunner(this.#state, event, this.#config)
    this.#state = stepped.state
    for (const action of stepped.actions) {
      if (!this.#alive) return
      this.#perform(action)
      this.actions += 1
      if (this.actions !== this.#killAfter) continue
      this.#alive = false
      this.#world.say(`${this.#config.self} dies after ${action.kind}`)
    }
  }

  #perform(action: RunnerAction): void {
    if (action.kind === 'read') this.#read()
    else if (action.kind === 'write') this.#write(action)
    else if (action.kind === 'act') this.#act(action)
    else if (action.kind === 'halt') this.#halted.add(action.name)
    else {
      this.#world.say(`${this.#config.self} ends: ${action.how}`)
      this.#alive = false
    }
  }

  #delay(): number {
    const { prng } = this.#world
    return prng.chance(0.05) ? whole(prng, 400, REQUEST_MAX_MS) : whole(prng, 2, 40)
  }

  #read(): void {
    const world = this.#world
    if (world.prng.chance(LOST)) {
      world.after(800, () => this.#feed({ kind: 'unread', nowMs: world.nowMs }))
      return
    }
    world.after(this.#delay(), () => {
      const { record: plan, revision } = world
      world.after(this.#delay(), () => this.#feed({ kind: 'read', nowMs: world.nowMs, plan, revision }))
    })
  }

  #write({ id, plan, ifRevision }: Extract<RunnerAction, { kind: 'write' }>): void {
    const world = this.#world
    const lost = world.prng.chance(LOST)
    const silent = { kind: 'written', id, outcome: 'unknown', plan: null, revision: 0 } as const
    if (lost) world.after(REQUEST_MAX_MS, () => this.#feed({ ...silent, nowMs: world.nowMs }))
    if (lost && world.prng.chance(0.5)) return
    world.after(this.#delay(), () => {
      const fits = world.revision === ifRevision
      if (fits) {
        world.record = plan
        world.revision += 1
        world.written(plan)
      }
      const answer = { id, outcome: fits ? 'ok' : 'conflict', plan: world.record, revision: world.revision } as const
      if (lost) return
      world.after(this.#delay(), () => this.#feed({ kind: 'written', nowMs: world.nowMs, ...answer }))
    })
  }

  #act(flight: Flight): void {
    const world = this.#world
    world.say(`${this.#config.self} ${flight.name}`)
    const startedMs = world.nowMs
    const done = (ok: boolean, because: string, retry: boolean): void => {
      const outcome = { ok, because, retry, measuredMs: world.nowMs - startedMs }
      this.#feed({ kind: 'acted', nowMs: world.nowMs, name: flight.name, outcome })
    }
    if (flight.step.kind === 'hook') {
      runHook(world, flight, done)
      return
    }
    lookOn(world, {
      flight,
      going: () => this.#alive,
      halted: () => this.#halted.has(flight.name),
      trusted: () => this.#alive && world.nowMs < trustedUntilMs(this.#state, this.#config),
      done,
      untilMs: startedMs + flight.step.deadlineMs,
    })
  }
}

function runHook(world: ActorWorld, { step, way }: Flight, done: (ok: boolean, why: string, retry: boolean) => void) {
  const fails = world.prng.chance(HOOK_FAILS)
  // It may have done its work and fail all the same.
  if (step.hook !== null && (!fails || world.prng.chance(0.5))) world.hooks[step.hook] = way === 'do'
  if (way === 'undo' && step.hook !== null) world.hooks[step.hook] = false
  world.after(whole(world.prng, 5, 300), () => done(!fails || way === 'undo', fails ? 'exit 1' : 'exit 0', false))
}

interface Looking {
  readonly flight: Flight
  readonly going: () => boolean
  /** It is to look no more, and says so once what it asked has arrived or is lost. */
  readonly halted: () => boolean
  readonly trusted: () => boolean
  readonly done: (ok: boolean, because: string, retry: boolean) => void
  readonly untilMs: number
}

function lookOn(world: ActorWorld, looking: Looking): void {
  const { flight, going, halted, trusted, done, untilMs } = looking
  let asked: GroupView['asked'] = null
  let id: number | null = null
  let busyUntilMs = 0
  let over = false
  const look = (): void => {
    if (over || !going()) return
    world.after(LOOK_MS, look)
    const name = flight.step.group ?? ''
    const group = world.group(name)
    if (world.nowMs < busyUntilMs) return
    if (halted()) {
      over = true
      done(false, 'halted', true)
      return
    }
    if (id !== null) {
      const answer = group.answers.get(id)
      if (answer === 'done') asked = null
      else if (answer !== undefined) asked = { state: 'refused', because: answer }
    }
    const found = ensure(flight.plan, flight.step, flight.way, viewOf(name, group, asked))
    if (found.kind === 'done' || found.kind === 'fail') {
      over = true
      done(found.kind === 'done', found.because, found.kind === 'fail' && found.retry)
      return
    }
    // What is asked at the end of the time would arrive after it.
    if (found.kind === 'wait' || !trusted() || world.nowMs > untilMs - REQUEST_MAX_MS) return
    const fresh = whole(world.prng, 1, 1_000_000_000)
    id = fresh
    if (request(world, name, found.ask, fresh)) asked = ended(found.ask) ? null : { state: 'open', because: 'asked' }
    else {
      busyUntilMs = world.nowMs + REQUEST_MAX_MS
      id = null
    }
    if (ended(found.ask)) busyUntilMs = world.nowMs + REQUEST_MAX_MS
  }
  world.after(1, look)
}

function ended(ask: Ask): boolean {
  return ask.verb === 'pause' || ask.verb === 'resume' || ask.verb === 'restart'
}

function viewOf(name: string, group: ActorGroup, asked: GroupView['asked']): GroupView {
  return {
    group: name,
    epoch: group.epoch,
    phase: group.writable ? 'open' : 'claimed',
    holder: group.holder,
    writable: group.writable,
    sites: { [`${name}-n`]: 'north', [`${name}-s`]: 'south' },
    paused: group.pausedBy === null ? null : { by: group.pausedBy },
    engines: Object.fromEntries(
      Object.entries(group.engines).map(([member, { starts, up, caughtUp }]) => [
        member,
        {
          started: up ? String(starts) : null,
          following: up && member !== group.holder,
          lagBytes: caughtUp ? 0 : 9_000_000,
        },
      ]),
    ),
    asked,
  }
}

/** False: no answer. It may arrive all the same, once or twice, and a move even much later. */
function request(world: ActorWorld, name: string, ask: Ask, id: number): boolean {
  const lost = world.prng.chance(LOST)
  if (!lost || world.prng.chance(0.5))
    world.after(whole(world.prng, 1, lost ? REQUEST_MAX_MS : 30), () => arrive(world, name, ask, id))
  if (ask.verb === 'switchover' && world.prng.chance(0.1))
    world.after(whole(world.prng, 10, 9_000), () => arrive(world, name, ask, id + 0.5))
  return !lost
}

function arrive(world: ActorWorld, name: string, ask: Ask, id: number): void {
  const group = world.group(name)
  if (ask.verb === 'pause' || ask.verb === 'resume') {
    if (group.pausedBy === ask.ifPausedBy) group.pausedBy = ask.verb === 'pause' ? ask.by : null
    return
  }
  const stale = group.epoch !== ask.ifEpoch
  if (ask.verb === 'restart') {
    const engine = group.engines[ask.member]
    const fit = engine?.up === true && engine.caughtUp && String(engine.starts) === ask.ifStarted
    if (engine !== undefined && fit && !stale && group.intent === null && group.writable && group.holder !== ask.member)
      startAnew(world, name, ask.member, engine)
    return
  }
  const other = ask.verb === 'switchover' && ask.ifPausedBy !== null && group.pausedBy !== ask.ifPausedBy
  // A failover is for a group without a writer, a switchover for one with.
  if (stale || other || group.intent !== null || group.writable === (ask.verb === 'failover')) {
    group.answers.set(id, stale ? 'another epoch' : 'refused')
    return
  }
  group.intent = { id, to: ask.to }
  world.after(whole(world.prng, 100, 900), () => {
    group.intent = null
    const site = ask.to.endsWith('-n') ? 'north' : 'south'
    const refused = world.down.has(site) || group.epoch !== ask.ifEpoch || world.prng.chance(REFUSED)
    group.answers.set(id, refused ? 'target not fit' : 'done')
    if (!refused) world.moved(name, ask.to)
  })
}

/** It ends, starts, and catches up, each in its own time. */
function startAnew(world: ActorWorld, name: string, member: string, engine: ActorEngine): void {
  world.stopped(name, member)
  engine.up = false
  engine.caughtUp = false
  world.after(whole(world.prng, 50, 3_000), () => {
    engine.up = true
    engine.starts += 1
    world.after(whole(world.prng, 10, 4_000), () => {
      engine.caughtUp = true
    })
  })
}

/** A whole number from `low` to below `high`. */
function whole(stream: Stream, low: number, high: number): number {
  return low + stream.int(high - low)
}
