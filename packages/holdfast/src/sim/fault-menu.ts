/**
 * What may go wrong, as data, and how a list of faults is drawn for each mix. Durations are drawn over decades and
 * often near the time-outs ({tiny, about a beat, just below the ttl, longer}); timing mistakes show nowhere else.
 */
import type { Stream } from './prng.ts'

export const FAULT_KINDS = [
  'agent-kill',
  'agent-freeze',
  'database-kill',
  'database-freeze',
  'guard-kill',
  'guard-freeze',
  'host-crash',
  'host-freeze',
  'disk-loss',
  'disk-full',
  'disk-slow',
  'isolate',
  'cut-pair',
  'cut-one-way',
  'cut-store',
  'cut-clients',
  'ring',
  'split',
  'link-slow',
  'replies-slow',
  'loss',
  'late-copies',
  'store-outage',
  'store-slow',
  'store-answer-lost',
  'watch-stalls',
  'store-member-stops',
  'store-member-alone',
  'agent-and-guard-kill',
  'stream-break',
  'stream-flap',
  'stream-lag',
  'promote-hangs',
  'promote-fails',
  'rewind-fails',
  'crash-mid-command',
  'cancel-waits',
  'switchover',
  'failover',
  'failover-loss',
  'pause',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  readonly kind: FaultKind
  readonly atMs: number
  readonly forMs: number
  /** Index of the host it strikes; -1: whoever is primary then. */
  readonly host: number
  /** A second host, or a site. */
  readonly other: number
  /** Strength; what it means depends on the kind. */
  readonly amount: number
}

interface Frame {
  readonly size: number
  readonly sites: number
  readonly ttlMs: number
  readonly horizonMs: number
  /** How long the run is for its profile; faults come as much more often as it is shorter. */
  readonly horizonShare: number
  readonly mix: string
}

const FOCUS: Readonly<Record<string, readonly FaultKind[]>> = {
  lease: [
    'agent-freeze',
    'agent-kill',
    'host-freeze',
    'cut-store',
    'replies-slow',
    'store-slow',
    'store-answer-lost',
    'isolate',
    'late-copies',
    'store-outage',
    'guard-kill',
    'split',
    'agent-and-guard-kill',
    'watch-stalls',
    'store-member-stops',
    'store-member-alone',
  ],
  timing: ['agent-freeze', 'cut-store', 'isolate', 'replies-slow', 'cut-one-way', 'host-freeze', 'split'],
  'sync-set': [
    'stream-flap',
    'stream-lag',
    'late-copies',
    'host-crash',
    'database-kill',
    'disk-slow',
    'cut-pair',
    'stream-break',
    'store-answer-lost',
    'replies-slow',
  ],
  switchover: [
    'switchover',
    'failover',
    'database-kill',
    'agent-kill',
    'host-crash',
    'cut-store',
    'stream-lag',
    'promote-hangs',
    'promote-fails',
    'store-answer-lost',
    'agent-freeze',
    'pause',
  ],
  /** Nothing here may move the lease (L2). */
  quiet: ['stream-break', 'cancel-waits', 'stream-lag', 'late-copies'],
}

const FIXED: readonly FaultKind[] = [
  'host-crash',
  'database-kill',
  'agent-freeze',
  'host-freeze',
  'isolate',
  'cut-store',
  'store-outage',
  'stream-break',
  'switchover',
  'agent-kill',
  'disk-loss',
  'loss',
]

/** How often one kind strikes, per hour, at most; rare ones would otherwise drown the rest. */
const RATE_CAP: Readonly<Partial<Record<FaultKind, number>>> = { 'disk-loss': 12, 'failover-loss': 12, pause: 12 }

/** First faults wait until the group had time to form. */
const QUIET_START_TTLS = 6

export function drawFaults(random: Stream, frame: Frame): Fault[] {
  const faults: Fault[] = []
  const startMs = QUIET_START_TTLS * frame.ttlMs
  for (const kind of menuOf(random, frame)) {
    const perHour = Math.min(random.decades(4, 120), RATE_CAP[kind] ?? 1_000)
    let atMs = startMs
    for (;;) {
      atMs += random.exponential((frame.horizonShare * 3_600_000) / perHour)
      if (atMs >= frame.horizonMs) break
      faults.push(drawFault(random, kind, Math.round(atMs), frame))
    }
  }
  return faults.sort((a, b) => a.atMs - b.atMs || (a.kind < b.kind ? -1 : 1))
}

function menuOf(random: Stream, frame: Frame): readonly FaultKind[] {
  if (frame.mix === 'fixed') return FIXED
  const focus = FOCUS[frame.mix]
  if (frame.mix === 'quiet' && focus !== undefined) return focus
  if (focus !== undefined) return focus.filter(() => random.chance(0.75))
  // Swarm: each kind with one half; leaving kinds out is what lets the others build up.
  return FAULT_KINDS.filter(() => random.chance(0.5))
}

function drawFault(random: Stream, kind: FaultKind, atMs: number, frame: Frame): Fault {
  const { ttlMs } = frame
  const around = random.pick([ttlMs * 0.02, ttlMs * 0.25, ttlMs * 0.9, ttlMs * 1.1, ttlMs * 3])
  const forMs = random.chance(0.7) ? around * random.range(0.7, 1.3) : random.decades(10, 60_000)
  return {
    kind,
    atMs,
    forMs: Math.max(1, Math.round(forMs)),
    host: random.chance(0.5) ? -1 : random.int(frame.size),
    other: random.int(frame.size),
    amount: random.next(),
  }
}
