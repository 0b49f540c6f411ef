/**
 * What each kind of fault does to the world and how it ends. A fault that would go beyond what any group could survive
 * (the last complete copies, a guard and its agent gone at once) is left out when its time comes.
 */

import type { Cluster } from './cluster.ts'
import type { Fault, FaultKind } from './fault-menu.ts'
import type { Host } from './host.ts'
import { holds } from './log.ts'
import type { Link } from './network.ts'
import { sometimes } from './sometimes.ts'
import { KIND } from './world.ts'

/** Ends the fault. Null: it did not begin. */
type Undo = (() => void) | null
type Strike = (cluster: Cluster, host: Host, fault: Fault) => Undo

const nothing = () => undefined

export function scheduleFaults(cluster: Cluster): void {
  for (const fault of cluster.scenario.faults) {
    cluster.world.at(fault.atMs, KIND.fault, 0, () => strike(cluster, fault))
  }
}

function strike(cluster: Cluster, fault: Fault): void {
  const host = targetOf(cluster, fault)
  if (host === undefined || cluster.phase !== 1) return
  const undo = STRIKES[fault.kind](cluster, host, fault)
  if (undo === null) return
  cluster.struck.set(fault.kind, (cluster.struck.get(fault.kind) ?? 0) + 1)
  cluster.world.after(fault.forMs, KIND.fault, host.index, () => {
    if (cluster.phase === 1) undo()
  })
}

function targetOf(cluster: Cluster, fault: Fault): Host | undefined {
  if (fault.host >= 0) return cluster.hosts[fault.host % cluster.hosts.length]
  return cluster.hosts.find((host) => host.db.writable) ?? cluster.hosts[fault.other % cluster.hosts.length]
}

function otherThan(cluster: Cluster, host: Host, wish: number): Host {
  const { hosts } = cluster
  const first = hosts[wish % hosts.length]
  if (first !== undefined && first !== host) return first
  return hosts[(host.index + 1) % hosts.length] ?? host
}

/** One member of the store stops, the leader in half of the cases. */
function storeMemberStops(cluster: Cluster, _host: Host, fault: Fault): Undo {
  const { members } = cluster.store
  if (members === null) return null
  const member = fault.amount < 0.5 ? members.leader : fault.other % members.ends.length
  members.stop(member)
  cluster.store.breakWatchesOf(member)
  return () => members.go(member)
}

/** One member of the store is cut off from the others; clients may still reach it. */
function storeMemberAlone(cluster: Cluster, _host: Host, fault: Fault): Undo {
  const { members } = cluster.store
  if (members === null) return null
  const member = fault.amount < 0.5 ? members.leader : fault.other % members.ends.length
  const end = members.endOf(member)
  return cut(
    cluster,
    members.ends.filter((other) => other !== end).flatMap((other) => both(end, other)),
  )
}

/** Cuts directed links between end points and breaks the watches that ran over them. */
function cut(cluster: Cluster, pairs: readonly (readonly [number, number])[]): Undo {
  const links = pairs.map(([from, to]) => cluster.network.link(from, to))
  for (const link of links) link.cuts += 1
  for (const [from, to] of pairs) {
    if (cluster.storeEnds.includes(to)) cluster.store.breakWatch(from)
    if (cluster.storeEnds.includes(from)) cluster.store.breakWatch(to)
  }
  for (const host of cluster.hosts) {
    const ends = (other: number) =>
      pairs.some(([a, b]) => (a === host.index && b === other) || (b === host.index && a === other))
    for (const sender of host.db.senders) if (ends(sender.standby.host)) sender.stall()
  }
  return () => {
    for (const link of links) link.cuts = Math.max(0, link.cuts - 1)
  }
}

const both = (a: number, b: number): [number, number][] => [
  [a, b],
  [b, a],
]

function onLinks(links: readonly Link[], set: (link: Link) => () => void): Undo {
  const undos = links.map(set)
  return () => {
    for (const undo of undos) undo()
  }
}

function allLinks(cluster: Cluster): Link[] {
  const links: Link[] = []
  for (let a = 0; a < cluster.network.size; a += 1) {
    for (let b = 0; b < cluster.network.size; b += 1) if (a !== b) links.push(cluster.network.link(a, b))
  }
  return links
}

function isolate(cluster: Cluster, host: Host, fault: Fault): Undo {
  // Sometimes the clients can still reach what the others cannot.
  const spared = fault.amount < 0.5 ? -1 : cluster.clientsEnd
  const pairs: [number, number][] = []
  for (let end = 0; end < cluster.network.size; end += 1) {
    if (end !== host.index && end !== spared) pairs.push(...both(host.index, end))
  }
  return cut(cluster, pairs)
}

function ring(cluster: Cluster): Undo {
  const { length } = cluster.hosts
  if (length < 4) return null
  const pairs: [number, number][] = []
  for (let a = 0; a < length; a += 1) {
    for (let b = a + 1; b < length; b += 1) if (b !== a + 1 && !(a === 0 && b === length - 1)) pairs.push(...both(a, b))
  }
  return cut(cluster, pairs)
}

function split(cluster: Cluster, _host: Host, fault: Fault): Undo {
  const far = new Set<number>()
  const { sites, storeSite } = cluster.scenario
  const site = fault.other % (Math.max(...sites) + 1)
  sites.forEach((at, index) => {
    if (at === site || (Math.max(...sites) === 0 && index % 2 === 0)) far.add(index)
  })
  cluster.storeEnds.forEach((end, member) => {
    if ((storeSite + member) % (Math.max(...sites) + 1) === site) far.add(end)
  })
  const pairs: [number, number][] = []
  const ends = [...sites.keys(), ...cluster.storeEnds]
  for (const a of ends) for (const b of ends) if (a < b && far.has(a) !== far.has(b)) pairs.push(...both(a, b))
  return cut(cluster, pairs)
}

/** Never the last two complete copies, and never a member that the others need to know what was acknowledged. */
function loseDisk(cluster: Cluster, host: Host): Undo {
  const { tip, lostDisks } = cluster.checker
  if (host.db.diskId === null || tip === null) return null
  const others = cluster.hosts.filter((h) => h !== host && h.db.flushed !== null && holds(h.db.flushed, tip))
  if (others.length < 2) return null
  lostDisks.add(host.db.diskId)
  host.db.loseDisk()
  return nothing
}

/**
 * Agent and guard share one control group and are killed together; the database lives on with nobody to fence it. What
 * starts them again is quick (a third of the ttl at most): the next agent fences a primary that it finds without a
 * lease, in half of the cases with the store out of reach (R6). A slower restart is beyond what a lease can cover.
 */
const RESTART_SHARE = 0.33

function killBoth(cluster: Cluster, host: Host, fault: Fault): Undo {
  if (!host.shell.alive || host.shell.frozen || !host.up) return null
  const timing = host.shell.parts.settings.members[0]?.timing
  if (timing === undefined) return null
  const { ttlMs, beatMs, fenceMs } = timing
  const restartMs = Math.max(1, Math.min(fault.forMs, ttlMs * RESTART_SHARE - fenceMs / 2))
  // The next agent looks within a beat and kills; only a hardware watchdog helps when less trust than that is left.
  const armedUntilMs = Math.max(0, ...host.shell.guards.map((guard) => (guard.alive ? guard.untilMs : 0)))
  const leftMs = armedUntilMs + fenceMs - host.shell.localMs
  const holds = host.db.running && host.db.diskRole === 'primary'
  if (holds && leftMs < restartMs + beatMs + 2 * fenceMs) return null
  for (const guard of host.shell.guards) guard.kill()
  host.killAgent()
  if (host.db.writable) sometimes(cluster.seen, 'agent-and-guard-gone')
  const storeless = fault.amount < 0.5
  const heal = storeless
    ? cut(
        cluster,
        cluster.storeEnds.flatMap((end) => both(host.index, end)),
      )
    : null
  cluster.world.after(restartMs, KIND.fault, host.index, () => {
    if (cluster.phase === 1) host.startAgent()
  })
  return heal ?? nothing
}

function storeOutage(cluster: Cluster): Undo {
  const { store } = cluster
  store.outages += 1
  store.breakAllWatches()
  for (const member of cluster.storeEnds.keys()) store.members?.stop(member)
  return () => {
    store.outages -= 1
    for (const member of cluster.storeEnds.keys()) store.members?.go(member)
  }
}

function flap(cluster: Cluster, host: Host, fault: Fault): Undo {
  const endMs = cluster.world.nowMs + Math.max(fault.forMs, 2_000)
  const other = otherThan(cluster, host, fault.other)
  const again = () => {
    if (cluster.phase !== 1 || cluster.world.nowMs >= endMs) return
    const victim = host.db.receiver ?? host.db.senders.find((s) => s.standby === other.db) ?? host.db.senders[0]
    victim?.ended(cluster.world.events % 2 === 0 ? 'standby' : 'primary')
    cluster.world.after(20 + fault.amount * 800, KIND.fault, host.index, again)
  }
  again()
  return nothing
}

function orderFrom(kind: 'switchover' | 'failover', allowDataLoss: boolean): Strike {
  return (cluster, host, fault) => {
    const to = fault.amount < 0.3 ? null : otherThan(cluster, host, fault.other).shell.parts.member
    cluster.operator.order({ kind, to, allowDataLoss, validMs: 5_000 + fault.amount * 30_000 })
    return nothing
  }
}

const STRIKES: Readonly<Record<FaultKind, Strike>> = {
  'agent-kill': (_c, host) => {
    if (!host.guarded && host.db.writable) return null
    host.killAgent()
    return () => host.startAgent()
  },
  'agent-freeze': (_c, host) => {
    if (!host.guarded && host.db.writable) return null
    host.stop('agent')
    return () => host.go('agent')
  },
  'database-kill': (_c, host) => {
    host.db.kill(false)
    return nothing
  },
  'database-freeze': (_c, host) => {
    if (!host.guarded && host.db.writable) return null
    host.stop('database')
    return () => host.go('database')
  },
  'guard-kill': (_c, host) => {
    if (!host.shell.alive || host.shell.frozen || !host.guarded) return null
    host.killGuard()
    return nothing
  },
  'guard-freeze': (_c, host) => {
    if (!host.shell.alive || host.shell.frozen || !host.guarded) return null
    const go = host.stopGuard()
    host.shell.guardLost(false)
    return go
  },
  'host-crash': (_c, host) => {
    host.crash()
    return () => host.powerOn()
  },
  'host-freeze': (_c, host) => {
    if (!host.guarded && host.db.writable) return null
    host.stop('machine')
    return () => host.go('machine')
  },
  'disk-loss': loseDisk,
  'disk-full': (_c, host) => {
    host.db.kill(false)
    host.engine.diskFull += 1
    return () => {
      host.engine.diskFull -= 1
    }
  },
  'disk-slow': (_c, host, fault) => {
    const ms = 20 + fault.amount * 1_500
    host.db.slowDiskMs += ms
    return () => {
      host.db.slowDiskMs -= ms
    }
  },
  isolate,
  'cut-pair': (c, host, fault) => cut(c, both(host.index, otherThan(c, host, fault.other).index)),
  'cut-one-way': (c, host, fault) => {
    const others = fault.amount < 0.5 ? c.storeEnds : [otherThan(c, host, fault.other).index]
    const out = fault.amount * 4 - Math.floor(fault.amount * 4) < 0.5
    return cut(
      c,
      others.map((other) => (out ? [host.index, other] : [other, host.index])),
    )
  },
  'cut-store': (c, host) =>
    cut(
      c,
      c.storeEnds.flatMap((end) => both(host.index, end)),
    ),
  'cut-clients': (c, host) => cut(c, both(host.index, c.clientsEnd)),
  ring,
  split,
  'link-slow': (c, host, fault) => {
    const other = fault.amount < 0.3 ? c.storeEnd : otherThan(c, host, fault.other).index
    const ms = 20 + fault.amount * 2_000
    return onLinks([c.network.link(host.index, other), c.network.link(other, host.index)], slow(ms))
  },
  'replies-slow': (c, host, fault) => {
    const { ttlMs } = c.hosts[0]?.shell.parts.settings ?? { ttlMs: 1_000 }
    const links = c.storeEnds.map((end) => c.network.link(end, host.index))
    return onLinks(links, slow(ttlMs * (0.1 + fault.amount)))
  },
  loss: (c, _host, fault) => onLinks(allLinks(c), lossy(0.02 + fault.amount * 0.3)),
  'late-copies': (c, _host, fault) => onLinks(allLinks(c), doubling(0.1 + fault.amount * 0.5)),
  'store-outage': storeOutage,
  'watch-stalls': (c, host) => {
    c.store.stallWatch(host.index)
    return () => c.store.unstallWatch(host.index)
  },
  'store-member-stops': storeMemberStops,
  'store-member-alone': storeMemberAlone,
  'agent-and-guard-kill': killBoth,
  'store-slow': (c, _host, fault) => {
    const ms = 50 + fault.amount * 2_000
    c.store.slowMs += ms
    return () => {
      c.store.slowMs -= ms
    }
  },
  'store-answer-lost': (c, _host, fault) => {
    const before = c.store.answerLoss
    c.store.answerLoss = Math.max(before, 0.2 + fault.amount * 0.8)
    return () => {
      c.store.answerLoss = 0
    }
  },
  'stream-break': (_c, host) => {
    const victim = host.db.receiver ?? host.db.senders[0]
    if (victim === undefined || victim === null) return null
    victim.ended('primary')
    return nothing
  },
  'stream-flap': flap,
  'stream-lag': (_c, host, fault) => {
    const ms = 50 + fault.amount * 5_000
    host.db.streamLagMs += ms
    return () => {
      host.db.streamLagMs -= ms
    }
  },
  'promote-hangs': (c, host) => onAllEngines(c, host, 'hang'),
  'promote-fails': (c, host) => onAllEngines(c, host, 'fail'),
  'rewind-fails': (_c, host) => {
    host.engine.rewindFails = true
    return () => {
      host.engine.rewindFails = false
    }
  },
  'crash-mid-command': (_c, host) => {
    host.engine.crashMidCommand = 0.5
    return () => {
      host.engine.crashMidCommand = 0
    }
  },
  'cancel-waits': (c, host) => {
    if (host.db.waiting === 0) return null
    host.db.cancelWaits()
    sometimes(c.seen, 'wait-cancelled')
    return nothing
  },
  switchover: orderFrom('switchover', false),
  failover: orderFrom('failover', false),
  'failover-loss': orderFrom('failover', true),
  pause: (c, _host, fault) => {
    c.operator.order({ kind: 'pause', to: null, allowDataLoss: false, validMs: fault.forMs })
    return () => c.operator.order({ kind: 'resume', to: null, allowDataLoss: false, validMs: 0 })
  },
}

function slow(ms: number): (link: Link) => () => void {
  return (link) => {
    link.extraMs += ms
    return () => {
      link.extraMs = Math.max(0, link.extraMs - ms)
    }
  }
}

function lossy(probability: number): (link: Link) => () => void {
  return (link) => {
    const before = link.loss
    link.loss = Math.max(before, probability)
    return () => {
      link.loss = before
    }
  }
}

function doubling(probability: number): (link: Link) => () => void {
  return (link) => {
    const before = link.duplicate
    link.duplicate = Math.max(before, probability)
    return () => {
      link.duplicate = before
    }
  }
}

function onAllEngines(cluster: Cluster, host: Host, how: 'hang' | 'fail'): Undo {
  const struck = cluster.scenario.sites.length > 2 ? [host] : cluster.hosts
  for (const each of struck) each.engine.promoteFault = how
  return () => {
    for (const each of struck) each.engine.promoteFault = 'none'
  }
}
