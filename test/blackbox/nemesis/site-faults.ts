/**
 * Faults of a service over several sites: a site is lost, the sites do not see each other, the service is moved, and
 * what may come together of these. Each needs a subject with a service.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from '../contract.ts'
import { type FaultKind, HOST, killing, nothing, places, type Strike } from './kinds.ts'
import { type Back, between, cut, kill } from './ways.ts'

/** A site is away for longer than a host: its groups fail over, and then a plan begins. */
const STRETCH = 2
/** From the first sight of a plan until it is over, and a little more. */
const IN_PLAN_MS = { low: 0, high: 1_500 }
/** What is typed on a busy machine becomes a plan after some time; or never, when there is nothing to move. */
const PLAN_MS = 15_000
const LOOK_MS = 20
const SECOND_MS = { low: 0, high: 500 }
/** The way back takes its time, too. */
const NEVER = new AbortController().signal
const IN_TURN_MS = { low: 300, high: 3_000 }

function serviceOf({ field }: Strike): Service {
  const { service } = field.subject
  if (service === null) throw new Error('this fault needs a service over several sites')
  return service
}

/** The whole site on one side, everybody else, the witness among them, on the other. */
function isolate({ field, at }: Strike): Promise<Back> {
  const others = field.world.hosts.filter((host) => !at.includes(host))
  return cut(
    field,
    at.flatMap((host) => between(host, others)),
  )
}

function cutSites(strike: Strike): Promise<Back> {
  const sites = Object.values(serviceOf(strike).sites)
  const links = sites.flatMap((hosts) =>
    hosts.flatMap((host) => sites.filter((other) => other !== hosts).flatMap((others) => between(host, others))),
  )
  return cut(strike.field, links)
}

/** Between two things of one fault; a short fault is short in this, too. */
async function inTime(strike: Strike, { low, high }: typeof SECOND_MS): Promise<void> {
  const ms = Math.min(strike.lastsMs, strike.chance.range(low, high))
  await sleep(ms, undefined, { signal: strike.signal }).catch(() => {})
}

/** Some time after a plan began; soon, when none begins. */
async function inPlan(strike: Strike): Promise<void> {
  const endMs = performance.now() + PLAN_MS
  const isUnderWay = (): boolean => serviceOf(strike).plans().at(-1)?.phase === 'running'
  while (!isUnderWay() && performance.now() < endMs && !strike.signal.aborted) await sleep(LOOK_MS)
  const { low, high } = IN_PLAN_MS
  await sleep(strike.chance.range(low, high), undefined, { signal: strike.signal }).catch(() => {})
}

/** A move is asked for, and somewhere in it the site that is left, or the one that is gone to, is lost. */
async function loseInMove(strike: Strike): Promise<Back> {
  const { field, chance } = strike
  const isCut = chance.chance(0.5)
  await inPlan(strike)
  return isCut ? isolate(strike) : kill(field, places(strike, HOST))
}

/** Whoever types the move dies; a person goes on with it later, or takes it back. */
async function killMover(strike: Strike): Promise<Back> {
  await inPlan(strike)
  serviceOf(strike).killMovers()
  return nothing()
}

/** While one operator moves it away, another one wants it at home. */
async function twoMovers(strike: Strike): Promise<Back> {
  const service = serviceOf(strike)
  await inTime(strike, SECOND_MS)
  const second = service.move(service.home)
  return async () => void (await second)
}

/** One site dies, the other one while or after it took over; both come back, in either order. */
async function loseInTurn(strike: Strike): Promise<Back> {
  const { field, at, chance } = strike
  const others = field.memberHosts.filter((host) => !at.includes(host))
  const here = kill(field, places(strike, HOST))
  await inTime(strike, IN_TURN_MS)
  const there = kill(field, places({ ...strike, at: others }, HOST))
  const [first, last] = chance.chance(0.5) ? [here, there] : [there, here]
  return async () => {
    await first()
    await inTime({ ...strike, signal: NEVER }, IN_TURN_MS)
    await last()
  }
}

const SITE = { aim: 'site', parts: HOST, excuses: true, needs: 'sites', stretch: STRETCH, losesSites: 1 } as const
const MOVE = { aim: 'nowhere', parts: [], excuses: true, needs: 'sites' } as const

export const SITE_FAULTS: Readonly<Record<string, FaultKind>> = {
  'kill-site': { ...killing('SIGKILL of everything at a site', 'site', HOST), ...SITE },
  'isolate-site': { what: 'no packet between a site and anybody else', ...SITE, begin: isolate },
  'cut-sites': {
    what: 'no packet between the sites; both see the witness, the router and its clients',
    ...{ ...MOVE, stretch: STRETCH, begin: cutSites },
  },
  'lose-site-in-move': { what: 'a site is lost in the middle of a move', ...SITE, asks: 'move', begin: loseInMove },
  'lose-sites-in-turn': {
    what: 'one site dies, then the other; both come back',
    ...{ ...SITE, losesSites: 2, begin: loseInTurn },
  },
  'kill-mover': { what: 'a move whose operator dies in its middle', ...MOVE, asks: 'move', begin: killMover },
  'two-movers': { what: 'two operators move the service at once', ...MOVE, asks: 'move', begin: twoMovers },
  move: { what: 'a planned move to the other site', ...MOVE, asks: 'move', onlyAsks: true, begin: nothing },
  'move-back': { what: 'a planned move home', ...MOVE, asks: 'move-back', onlyAsks: true, begin: nothing },
}
