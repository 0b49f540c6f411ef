/** The scenarios of a whole service: a site is lost, or the service moves there by plan, or there and home again. */
import { isOver, type PlanStep } from '../../core/site-plan/plan.ts'
import { systemClock } from '../../io/clock.ts'
import { type FaultWindow, twoWritersMs, writeOutageMs } from './figures.ts'
import { type Hosts, signalAll } from './hosts.ts'
import type { DemoProfile } from './layout.ts'
import { type Ack, sleep } from './ledger.ts'
import { reasonText, timelineText } from './report.ts'
import { account, inTurn } from './shop-figures.ts'
import { agentOf, GROUPS, routerOf, type ShopLayout, SITES, type Site } from './shop-layout.ts'
import { openShop, readBooks, type ShopLoad, STOCK, startShopLoad } from './shop-load.ts'
import { type MoveResult, type ShopOutcome, sound } from './shop-report.ts'
import { leaderOf, ledAt, type PlanWatch, startPlanWatch, wholeAt } from './shop-watch.ts'
import { startWatcher, type Watcher } from './watcher.ts'

interface Move {
  readonly name: string
  readonly title: string
  readonly to: Site
  readonly run: (stage: Stage) => Promise<void>
}

export interface Stage {
  readonly name: ScenarioName
  readonly profile: DemoProfile
  readonly layout: ShopLayout
  readonly hosts: Hosts
  /** Ctrl-C ends the load, too. */
  readonly interrupted: AbortSignal
  readonly say: (line: string) => void
}

/** Bounds on waiting; more than any healthy machine needs, less than a person's patience. */
const READY_MS = 60_000
const MOVE_MS = 30_000
const WHOLE_MS = 30_000
const CALM_MS = 1_500
const SPIKE_MS = 1_500

const there: Move = {
  name: 'site-switchover',
  title: 'a planned move of the shop from the north to the south',
  to: 'south',
  run: ({ hosts }) => ordered(hosts, ['--to', 'south']),
}
const home: Move = {
  name: 'site-failback',
  title: 'the planned move home to the north',
  to: 'north',
  run: ({ hosts }) => ordered(hosts, ['--home']),
}
const loss: Move = {
  name: 'site-loss',
  title: 'SIGKILL of every process of the north at once: agent, guards, both databases, router',
  to: 'south',
  run: async ({ hosts, layout }) => {
    const members = layout.members.filter((m) => m.site === 'north')
    const router = hosts.agentPid(routerOf('north'))
    const pids = [...members.flatMap((m) => hosts.hostPids(m)), ...(router === null ? [] : [router])]
    signalAll([...new Set(pids)], 'SIGKILL')
  },
}

export const SCENARIOS = { 'site-loss': [loss], 'site-switchover': [there], 'site-failback': [there, home] } as const
export type ScenarioName = keyof typeof SCENARIOS

/** As an operator would type it. What it says is seen in the plan. */
async function ordered(hosts: Hosts, where: readonly string[]): Promise<void> {
  const code = await hosts.command('move', ['move', 'shop', ...where, '--yes'])
  if (code !== 0) throw new Error(`the move ended with ${code === null ? 'a signal' : `code ${code}`}; see move.log`)
}

export async function performScenario(stage: Stage): Promise<ShopOutcome> {
  const { layout, say, profile } = stage
  const startedMs = systemClock.nowMs()
  say(
    `A shop on two sites and a witness: stock in Redis, orders in PostgreSQL, profile ${profile}, in ${layout.folder}`,
  )
  let eventWallMs: number | null = null
  const tell = (line: string | null): void => {
    if (eventWallMs !== null && line !== null) say(line)
  }
  const watcher = startWatcher(layout, (line) => tell(timelineText(line, line.wallMs - (eventWallMs ?? 0))))
  const plans = startPlanWatch(layout, (line) => {
    const at = `+${Math.round(systemClock.wallMs() - (eventWallMs ?? 0))} ms`
    tell(`${at.padStart(10)}  ${line}`)
  })
  let load: ShopLoad | null = null
  const end = (): void => {
    watcher.stop()
    plans.stop()
    void load?.stop()
  }
  stage.interrupted.addEventListener('abort', end, { once: true })
  try {
    await foundAtHome(stage, watcher)
    await openShop(layout)
    load = startShopLoad(layout)
    say(`Ready after ${((systemClock.nowMs() - startedMs) / 1_000).toFixed(1)} s; customers order at both sites' doors`)
    const moves: Moved[] = []
    for (const move of SCENARIOS[stage.name]) {
      await sleep(CALM_MS)
      say(`\n== ${move.name}: ${move.title}\n            ten times as many orders from now on`)
      load.spike(true)
      await sleep(SPIKE_MS)
      eventWallMs = systemClock.wallMs()
      moves.push(await oneMove(move, { ...stage, watcher, plans, load }))
      load.spike(false)
    }
    await sleep(CALM_MS)
    await load.stop()
    return await closed(stage, load, moves)
  } finally {
    stage.interrupted.removeEventListener('abort', end)
    end()
  }
}

/** Whoever is there first founds its group; the shop shall begin at home. */
async function foundAtHome({ layout, hosts }: Stage, watcher: Watcher): Promise<void> {
  hosts.startStore()
  const must = async (what: string, look: () => boolean): Promise<void> => {
    if (!(await watcher.waitFor(look, READY_MS))) throw new Error(`${what} within ${READY_MS / 1_000} s`)
  }
  hosts.startAgent(agentOf('north'))
  const holders = (): number => watcher.statuses()[0]?.groups.filter((g) => g.holder !== null).length ?? 0
  await must('the groups were not founded', () => holders() === layout.members.length / SITES.length)
  hosts.startAgent(agentOf('south'))
  for (const site of SITES) hosts.startRouter(routerOf(site))
  await must('the shop was not ready', () => wholeAt(watcher.statuses(), 'north'))
}

interface Running extends Stage {
  readonly watcher: Watcher
  readonly plans: PlanWatch
  readonly load: ShopLoad
}

/** Before the books are compared. */
type Moved = Omit<MoveResult, 'acked' | 'ackedLost' | 'groups'> & {
  readonly window: FaultWindow
  readonly placedBefore: number
}

async function oneMove(move: Move, running: Running): Promise<Moved> {
  const { watcher, plans, load, hosts, say } = running
  const before = { plan: plans.plan()?.id ?? null, placed: load.placed.length, refused: load.refused() }
  const wallMs = systemClock.wallMs()
  const startMs = systemClock.nowMs()
  await move.run(running)
  // An outage that has not ended is not measured: the window closes only when orders are placed again over there.
  const moved = await watcher.waitFor(() => ledAt(watcher.statuses(), move.to), MOVE_MS)
  const thereMs = systemClock.nowMs()
  const served = await watcher.waitFor(() => load.placed.some((one) => one.sentMs > thereMs), MOVE_MS)
  const over = (): boolean => {
    const plan = plans.plan()
    return plan !== null && plan.id !== before.plan && isOver(plan)
  }
  const recorded = await watcher.waitFor(over, MOVE_MS)
  const plan = recorded ? plans.plan() : null
  await sleep(CALM_MS)
  load.spike(false)
  const primaries = GROUPS.map((group) => leaderOf(watcher.statuses(), group)?.member ?? 'nobody')
  if (move === loss) {
    say('            the site comes back')
    hosts.startAgent(agentOf('north'))
    hosts.startRouter(routerOf('north'))
  }
  const whole = await watcher.waitFor(() => wholeAt(watcher.statuses(), move.to), WHOLE_MS)
  // Until here, so that a site that comes back and makes writers wait is seen, too.
  const window = { startMs, endMs: systemClock.nowMs() }
  const orders = load.placed.map(({ sentMs, ackedMs }): Ack => ({ ...NOBODY, sentMs, ackedMs }))
  return {
    move: move.name,
    rtoMs: Math.round(writeOutageMs(orders, window)),
    steps: (plan?.steps ?? []).map((step) => {
      const measuredMs = step.kind === 'follow' ? takenOverMs(running, step, startMs) : step.measuredMs
      return { name: step.id, predictedMs: step.predicted.ms, measuredMs }
    }),
    planPhase: plan?.phase ?? 'no plan',
    window,
    placedBefore: before.placed,
    refused: load.refused() - before.refused,
    newPrimary: primaries.join(', '),
    reason: reasonText(watcher.since(wallMs)),
    healed: moved && served && whole && plan?.phase === 'done',
  }
}

/**
 * Groups fail over by their own leases before the plan of a lost site gets to them, so the plan finds its step done.
 * What was predicted is the time from the end of the old primary to the first write of the new one; the probers know.
 */
function takenOverMs({ load, layout }: Running, { group, member }: PlanStep, startMs: number): number | null {
  const port = layout.members.find((m) => m.member === member)?.port
  const acks = group === 'stock' || group === 'orders' ? load.acks[group] : []
  const first = acks.find((ack) => ack.port === port && ack.sentMs > startMs)
  return first === undefined ? null : first.ackedMs - startMs
}

const NOBODY = { writer: 0, n: 0, port: 0, timeline: '' }

async function closed(stage: Stage, load: ShopLoad, moves: readonly Moved[]): Promise<ShopOutcome> {
  const books = await readBooks(stage.layout, 1)
  const sums = {
    ...account(load.placed, books, STOCK),
    placed: load.placed.length,
    soldOut: load.soldOut(),
    moves: moves.map(({ placedBefore, window, ...move }, at) => {
      const next = moves[at + 1]
      const during = load.placed.slice(placedBefore, next?.placedBefore)
      const { lostOrders, lostReservations } = account(during, books, STOCK)
      const untilMs = next?.window.startMs ?? Number.POSITIVE_INFINITY
      const groups = GROUPS.map((group) => {
        const acks = load.acks[group]
        const two = twoWritersMs(inTurn(acks.filter((ack) => ack.sentMs < untilMs)))
        return { group, writeOutageMs: Math.round(writeOutageMs(acks, window)), twoWritersMs: Math.round(two) }
      })
      return { ...move, groups, acked: during.length, ackedLost: lostOrders + lostReservations }
    }),
  }
  return { ...sums, ok: sound(sums) }
}
