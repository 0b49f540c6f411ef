/**
 * The faults: for each what it is, where it may strike, what it needs, whether it stands in the way of writes, and its
 * way in. The way in returns the way back. When, where and for how long is drawn in `plan.ts`.
 *
 * Left out on purpose: agent and guard of one host killed together while its database lives. Nothing but a hardware
 * watchdog can help there, and the documentation says so.
 */
import { availableParallelism, tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkShape, Part } from '../contract.ts'
import { SlowDisk } from '../world/slow-disk.ts'
import { type Aim, type FaultKind, HOST, killing, nothing, places, type Strike } from './kinds.ts'
import { SITE_FAULTS } from './site-faults.ts'
import { type Back, between, cut, freeze, kill, type Link, type Place, restart, shape } from './ways.ts'

/** One storm kills this often at least, however short it is. */
const STORM_PAUSE_MS = { low: 300, high: 1_500 }
const SLOW_DELAYS_MS: readonly number[] = [20, 60, 150, 400]
const SLOW_BYTES_PER_SECOND: readonly (number | null)[] = [null, null, 8_000, 60_000, 500_000]
const BUSY_PER_CORE = 2
/** Nothing at all, a few pages, or some of the log. */
const LEFT_BYTES: readonly number[] = [0, 65_536, 1_048_576, 4_194_304]
/** Longer, and a primary that bounds its loss would have stopped, or its replicas would not be let lead. */
const LAG_MS_MAX = 3_000
const WRITES_PER_SECOND: readonly number[] = [2, 10, 40, 150]
const SLOW_LOOK_MS = 250
/** In seconds, as libfaketime takes them. */
const CLOCK_STEPS: readonly string[] = ['+3600', '-3600', '+2', '-2', '+31536000', '-86400']
/** Connections that end get so long to tell their other end. */
const SPLIT_PAUSE_MS = 20
/** One way; there and back it has to stay below the deadline of a request, or no answer is believed. */
const LATE_MS: readonly number[] = [30, 65, 120, 230]
const VERY_LATE_MS: readonly number[] = [65, 230, 1_200, 2_400]
/** Some beats pass with late answers. */
const LATE_FOR_MS = { low: 1_500, high: 4_500 }
const VERY_LATE_FOR_MS = { low: 5_000, high: 14_000 }
const CUT_AFTER_BYTES: readonly number[] = [0, 1, 7, 100, 900, 9_000]

function freezing(what: string, aim: Aim, parts: readonly Part[], excuses = true): FaultKind {
  const begin = async (strike: Strike): Promise<Back> =>
    freeze(strike.field, places(strike, parts), (pids) => strike.chance.shuffle(pids))
  return { what, aim, parts, excuses, begin }
}

function cutting(what: string, links: (strike: Strike, host: string) => readonly Link[], excuses = true): FaultKind {
  const begin = (strike: Strike): Promise<Back> =>
    cut(
      strike.field,
      strike.at.flatMap((host) => links(strike, host)),
    )
  return { what, aim: 'member', parts: [], excuses, begin }
}

function shaping(what: string, aim: Aim, how: (strike: Strike) => LinkShape): FaultKind {
  const begin = (strike: Strike): Promise<Back> => {
    const [from = '', to = ''] = strike.at
    return shape(
      strike.field,
      [
        [from, to],
        [to, from],
      ],
      how(strike),
    )
  }
  return { what, aim, parts: [], excuses: true, begin }
}

function slowness({ chance }: Strike): LinkShape {
  const delayMs = chance.pick(SLOW_DELAYS_MS)
  const bytesPerSecond = chance.pick(SLOW_BYTES_PER_SECOND)
  return bytesPerSecond === null ? { delayMs } : { delayMs, bytesPerSecond }
}

async function storeSlow(strike: Strike): Promise<Back> {
  const { field, at } = strike
  const links = at.flatMap((store) => field.memberHosts.map((host): Link => [host, store]))
  return shape(field, links, { delayMs: strike.chance.pick(SLOW_DELAYS_MS) })
}

async function storeAway(strike: Strike): Promise<Back> {
  const where = places(strike, ['store'])
  if (strike.chance.chance(0.5)) return kill(strike.field, where)
  return freeze(strike.field, where, (pids) => pids)
}

/** Kills one thing after the other and starts it again at once, until the way back begins. */
async function storm(strike: Strike): Promise<Back> {
  const { field, chance, signal } = strike
  const menu: readonly (readonly Place[])[] = [
    ...field.memberHosts.flatMap((host) => [
      [{ host, part: 'agent' as const }],
      ...field.subject.lanes.map(({ group }) => [{ host, part: 'engine' as const, group }]),
      HOST.map((part) => ({ host, part })),
    ]),
    [{ host: field.subject.edge, part: 'router' as const }],
  ]
  const touched: Place[] = []
  const raging = (async () => {
    while (!signal.aborted) {
      const victims = chance.pick(menu)
      touched.push(...victims)
      const back = kill(field, victims)
      await sleep(chance.range(STORM_PAUSE_MS.low, STORM_PAUSE_MS.high), undefined, { signal }).catch(() => {})
      await back()
    }
  })()
  return async () => {
    await raging
    restart(field, touched)
  }
}

/**
 * A replica and the store on one side, the others on the other; router and clients reach both. The connections of the
 * replica end first in half of the cases: only then its primary learns at once that it is gone.
 */
async function split(strike: Strike): Promise<Back> {
  const { field, at, chance } = strike
  const replica = at[0] ?? ''
  const others = field.memberHosts.filter((host) => host !== replica)
  if (chance.chance(0.5)) kill(field, [{ host: replica, part: 'engine' }])
  await sleep(SPLIT_PAUSE_MS)
  const stores = others.flatMap((host) => between(host, field.subject.storeHosts))
  return cut(field, [...between(replica, others), ...stores])
}

/** A replica falls behind, cut off from the others; then the others die, and only it is left. */
async function strand(strike: Strike): Promise<Back> {
  const { field, at, lastsMs, signal } = strike
  const replica = at[0] ?? ''
  const others = field.memberHosts.filter((host) => host !== replica)
  kill(field, [{ host: replica, part: 'engine' }])
  await sleep(SPLIT_PAUSE_MS)
  const joined = await cut(field, between(replica, others))
  await sleep(lastsMs, undefined, { signal }).catch(() => {})
  const restarted = kill(
    field,
    others.flatMap((host) => HOST.map((part) => ({ host, part }))),
  )
  return async () => {
    await joined()
    await restarted()
  }
}

/** The primary goes on without its replicas for a while; then its host dies. */
async function lagThenKill(strike: Strike): Promise<Back> {
  const { field, at, lastsMs, signal } = strike
  const joined = await cut(field, between(at[0] ?? '', field.memberHosts))
  await sleep(Math.min(lastsMs, LAG_MS_MAX), undefined, { signal }).catch(() => {})
  const restarted = kill(field, places(strike, HOST))
  await joined()
  return restarted
}

interface Lateness {
  /** One way. */
  readonly delaysMs: readonly number[]
  readonly forMs: { readonly low: number; readonly high: number }
  readonly end: 'freeze' | 'kill'
}

/**
 * Answers of the store arrive late at an agent, and then it freezes or dies: what it trusted last was told to its
 * guard. Whoever asks a frozen agent waits for its answer before taking over; a dead one refuses at once.
 */
async function late(strike: Strike, { delaysMs, forMs, end }: Lateness): Promise<Back> {
  const { field, at, chance, signal } = strike
  const links = at.flatMap((host) => field.subject.storeHosts.map((store): Link => [host, store]))
  const quick = await shape(field, links, { delayMs: chance.pick(delaysMs) })
  await sleep(chance.range(forMs.low, forMs.high), undefined, { signal }).catch(() => {})
  const agents = places(strike, ['agent'])
  const undone = end === 'freeze' ? freeze(field, agents, (pids) => pids) : kill(field, agents)
  return async () => {
    await quick()
    await undone()
  }
}

async function fillDisk({ field, at, chance }: Strike): Promise<Back> {
  const disks = at.flatMap((host) => field.disks.get(host) ?? [])
  const leaveBytes = chance.pick(LEFT_BYTES)
  for (const disk of disks) disk.fill(leaveBytes)
  return async () => {
    for (const disk of disks) disk.free()
  }
}

/** Also processes that are born during it: an engine that is started again comes from its agent, which is not slow. */
async function slowDisk({ field, at, chance }: Strike): Promise<Back> {
  const [host = ''] = at
  const { group, members } = field.lane
  const folder = members.find((member) => member.host === host)?.dataDir ?? ''
  const writesPerSecond = chance.pick(WRITES_PER_SECOND)
  const slow = SlowDisk.begin({ folder, writesPerSecond, pids: field.subject.pids(host, 'engine', group) })
  const timer = setInterval(() => slow.join(field.subject.pids(host, 'engine', group)), SLOW_LOOK_MS)
  return () => {
    clearInterval(timer)
    return slow.end()
  }
}

async function stepClock({ field, at, chance }: Strike): Promise<Back> {
  const clocks = at.flatMap((host) => field.clocks.get(host) ?? [])
  const offset = chance.pick(CLOCK_STEPS)
  for (const one of clocks) one.step(offset)
  return async () => {
    for (const one of clocks) one.back()
  }
}

/** More work than there are cores, on the hosts of members and on the edge. */
async function busy({ field }: Strike): Promise<Back> {
  const where = [...field.memberHosts, field.subject.edge]
  const count = Math.max(where.length, BUSY_PER_CORE * availableParallelism())
  const how = { command: process.execPath, args: ['-e', 'for (;;);'], cwd: tmpdir(), log: '/dev/null' }
  const children = Array.from({ length: count }, (_, i) =>
    field.world.spawn({ ...how, host: where[i % where.length] ?? '' }),
  )
  return async () => {
    for (const child of children) child.kill('SIGKILL')
  }
}

export const FAULTS: Readonly<Record<string, FaultKind>> = {
  'kill-engine': killing('SIGKILL of the database server process', 'member', ['engine']),
  'kill-agent': killing('SIGKILL of the agent', 'member', ['agent']),
  'kill-guard': killing('SIGKILL of the guard', 'member', ['guard']),
  'kill-router': killing('SIGKILL of the router', 'edge', ['router'], false),
  'kill-host': killing('SIGKILL of agent, guard and database at once', 'member', HOST),
  'freeze-agent': freezing('SIGSTOP of the agent alone; the database goes on', 'member', ['agent']),
  'freeze-engine': freezing('SIGSTOP of every process of the database', 'member', ['engine']),
  'freeze-guard': freezing('SIGSTOP of the guard alone', 'member', ['guard']),
  'freeze-host': freezing('SIGSTOP of agent, guard and database at once', 'member', HOST),
  'freeze-router': freezing('SIGSTOP of the router', 'edge', ['router'], false),
  'cut-store': cutting('no packet between a member and the store', ({ field }, host) =>
    between(host, field.subject.storeHosts),
  ),
  'cut-peers': cutting('no packet between a member and the others', ({ field }, host) =>
    between(host, field.memberHosts),
  ),
  'cut-clients': cutting(
    'no packet between a member and the router and its clients',
    ({ field }, host) => between(host, [field.subject.edge]),
    false,
  ),
  'cut-one-way': {
    what: 'no packet from one host to another; the other direction works',
    aim: 'pair',
    parts: [],
    excuses: true,
    begin: ({ field, at }) => cut(field, [[at[0] ?? '', at[1] ?? '']]),
  },
  'isolate-host': cutting('no packet between a member and anybody', ({ field }, host) =>
    between(host, field.world.hosts),
  ),
  'slow-link': shaping('a link with delay, and sometimes little bandwidth', 'pair', slowness),
  'stalled-link': shaping('a link that accepts everything and passes nothing', 'pair', () => ({ stalled: true })),
  'cut-in-stream': shaping('connections of a link end in the middle of a message', 'pair', ({ chance }) => ({
    cutAfterBytes: chance.pick(CUT_AFTER_BYTES),
  })),
  'store-away': {
    what: 'the store is stopped or killed',
    aim: 'store',
    parts: ['store'],
    excuses: true,
    begin: storeAway,
  },
  'store-slow': { what: 'the store answers late', aim: 'store', parts: ['store'], excuses: true, begin: storeSlow },
  'store-without-quorum': {
    what: 'two of three members of the store are away',
    aim: 'store',
    parts: ['store'],
    excuses: true,
    storeHosts: 3,
    begin: storeAway,
  },
  split: {
    what: 'a replica and the store on one side, the other members on the other; clients reach both',
    aim: 'replica',
    parts: ['engine'],
    excuses: true,
    begin: split,
  },
  'strand-replica': {
    what: 'a replica is cut off and falls behind; then the others die',
    aim: 'replica',
    parts: HOST,
    excuses: true,
    begin: strand,
  },
  'lag-then-kill': {
    what: 'the primary is cut off from its replicas; then its host dies',
    aim: 'primary',
    parts: HOST,
    excuses: true,
    begin: lagThenKill,
  },
  'late-then-freeze': {
    what: 'answers of the store come late; then the agent freezes',
    ...{ aim: 'primary', parts: ['agent', 'store'], excuses: true },
    begin: (strike) => late(strike, { delaysMs: LATE_MS, forMs: LATE_FOR_MS, end: 'freeze' }),
  },
  'late-then-kill': {
    what: 'answers of the store come late; then the agent is killed, and only its guard is left',
    ...{ aim: 'primary', parts: ['agent', 'store'], excuses: true },
    begin: (strike) => late(strike, { delaysMs: VERY_LATE_MS, forMs: VERY_LATE_FOR_MS, end: 'kill' }),
  },
  'disk-full': {
    what: 'no room left for data and log of a member',
    ...{ aim: 'member', parts: ['engine'], excuses: true, needs: 'disks', begin: fillDisk },
  },
  'slow-disk': {
    what: 'the disk under a member takes few writes a second',
    ...{ aim: 'member', parts: ['engine'], excuses: true, needs: 'throttle', begin: slowDisk },
  },
  'clock-step': {
    what: "an agent's wall clock is set",
    ...{ aim: 'member', parts: ['agent'], excuses: false, needs: 'clocks', begin: stepClock },
  },
  'restart-storm': {
    what: 'agents, databases, hosts and the router killed and started again and again',
    aim: 'nowhere',
    parts: ['agent', 'engine'],
    excuses: true,
    begin: storm,
  },
  'busy-cpu': {
    what: 'every core has more to do than it can',
    ...{ aim: 'nowhere', parts: [], excuses: false, onlyNamed: true, stretch: 5, begin: busy },
  },
  none: {
    what: 'nothing, for a while',
    ...{ aim: 'nowhere', parts: [], excuses: false, onlyNamed: true, stretch: 5, begin: nothing },
  },
  switchover: {
    what: 'a planned switchover',
    ...{ aim: 'nowhere', parts: [], excuses: true, asks: 'switchover', onlyAsks: true, begin: nothing },
  },
  ...SITE_FAULTS,
}
