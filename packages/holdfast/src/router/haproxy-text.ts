/**
 * HAProxy's configuration and the commands of its runtime API, as text (configuration manual and management guide of
 * HAProxy 2.6, sections 3, 4, 5.2 and 9.3). Pure.
 *
 * Each group has one frontend and one backend of its name. The backend's servers are the members, which start in
 * maintenance and are let in one at a time, and the router's own door as their backup: whoever finds no member is
 * served there.
 */
import type { RelayMode } from '../core/routing/relay.ts'
import type { Target } from './session.ts'

export interface RelayDoor {
  readonly group: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly members: readonly Target[]
  /** The router's own door on loopback. */
  readonly ownPort: number
  readonly sessionsMax: number
}

export interface HaproxyPlan {
  readonly doors: readonly RelayDoor[]
  /** Path of the socket for commands. */
  readonly socket: string
  /** On loopback; says its word to everybody who connects, as long as the router's loop runs. */
  readonly pulsePort: number
  /** Letters and digits, drawn for this relay. */
  readonly pulseWord: string
  /** No client waits longer than this in a queue. */
  readonly patienceMs: number
}

/** Ends the name of a group's frontend: from 3.3 on it may not be that of its backend. */
const DOOR = '.door'
/** The server that stands for the router's own door; no member can have this name. */
export const OWN_DOOR = '_router'
/** A router that misses so many pulses decides nothing any more: its relay cuts and leads nowhere. */
const PULSE = { everyMs: 1_000, missed: 3 }
/** Between two attempts on a server that refuses HAProxy waits a second. */
const RETRIES = 10
/** The router ends the wait before this does. */
const QUEUE_SPARE_MS = 10_000

export function haproxyText({ doors, socket, pulsePort, pulseWord, patienceMs }: HaproxyPlan): string {
  const all = doors.reduce((sum, door) => sum + door.sessionsMax, 0)
  const lines = [
    'global',
    `  maxconn ${all + 100}`,
    // Where fewer files may be open than that it warns, and starts.
    '  no strict-limits',
    `  stats socket "${socket}" mode 600 level admin`,
    '  stats timeout 10s',
    // A second process that listens beside this one would share its clients with it.
    '  noreuseport',
    'defaults',
    '  mode tcp',
    '  timeout connect 1s',
    '  timeout check 1s',
    `  timeout queue ${Math.ceil(patienceMs) + QUEUE_SPARE_MS}ms`,
    // An idle session of a database is no mistake; a dead peer is found by keep-alive.
    '  timeout client 0',
    '  timeout server 0',
    '  timeout client-fin 10s',
    '  timeout server-fin 10s',
    '  option clitcpka',
    '  option srvtcpka',
    '  option contstats',
    '  clitcpka-idle 10s',
    '  srvtcpka-idle 10s',
    `  retries ${RETRIES}`,
    '  option redispatch 1',
  ]
  for (const { group, listen, members, ownPort, sessionsMax } of doors) {
    const pulse = `check addr 127.0.0.1 port ${pulsePort} inter ${PULSE.everyMs} fall ${PULSE.missed} rise 1`
    const checks = `${pulse} on-marked-down shutdown-sessions init-addr last,libc,none`
    lines.push(
      `frontend ${group}${DOOR}`,
      `  bind ${addressText(listen.host, listen.port)} backlog 1024`,
      `  maxconn ${sessionsMax}`,
      `  default_backend ${group}`,
      `backend ${group}`,
      '  option tcp-check',
      `  tcp-check expect string ${pulseWord}`,
      ...members.map(({ member, host, port }) => `  server ${member} ${addressText(host, port)} disabled ${checks}`),
      `  server ${OWN_DOOR} 127.0.0.1:${ownPort} backup`,
    )
  }
  return `${lines.join('\n')}\n`
}

/**
 * One line for the runtime API that ends every session, also of the member that will lead on: it leads in a new epoch.
 * Members stay closed; who comes waits. HAProxy ends sessions some time after it answered: see `sessionsIn`.
 *
 * Who is to wait does so in HAProxy's queue for the router's own door, which takes one client at a time then; when it
 * goes into maintenance for a moment its queue goes to the member that is ready. (Holding clients back by the
 * frontend's `maxconn` would be simpler, but 2.6 stands still when that is raised again.)
 */
export function cutCommands({ group, members }: RelayDoor): string {
  const servers = members.map(({ member }) => `${group}/${member}`)
  return [
    `set maxconn server ${group}/${OWN_DOOR} 1`,
    ...servers.map((server) => `set server ${server} state maint`),
    ...servers.map((server) => `shutdown sessions server ${server}`),
  ].join('; ')
}

/** One line for the runtime API that leads new clients where they are to go, and ends nobody. */
export function modeCommands({ group, members, sessionsMax }: RelayDoor, mode: RelayMode): string {
  const own = `${group}/${OWN_DOOR}`
  const servers = members.map(({ member }) => `${group}/${member}`)
  const wait = `set maxconn server ${own} 1`
  if (mode.to === 'nobody') return [wait, ...servers.map((server) => `set server ${server} state drain`)].join('; ')
  const to = mode.to === 'member' ? `${group}/${mode.member}` : null
  const closed = servers.filter((server) => server !== to).map((server) => `set server ${server} state maint`)
  // Health is set because a server that leaves maintenance would be down after a single missed pulse.
  const open = to === null ? [] : [`set server ${to} state ready`, `set server ${to} health up`]
  const queue = to === null ? [] : [`set server ${own} state maint`, `set server ${own} state ready`]
  return [...closed, ...open, ...queue, `set maxconn server ${own} ${sessionsMax}`].join('; ')
}

/** Asks how many sessions each server of a group has. */
export function askSessions(group: string): string {
  return `show stat ${group} 4 -1`
}

/** Of the members; NaN when the answer makes no sense. */
export function sessionsIn(csv: string): number {
  const rows = tableIn(csv).filter((cell) => cell('svname') !== OWN_DOOR)
  const counts = rows.map((cell) => Number(cell('scur') || Number.NaN))
  return rows.length === 0 ? Number.NaN : counts.reduce((sum, count) => sum + count, 0)
}

export interface RelayCounts {
  readonly sessions: number
  readonly accepted: number
  readonly bytesUp: number
  readonly bytesDown: number
}

export const ASK_COUNTS = 'show stat -1 1 -1'

/** Of each frontend, by group; what does not fit is left out. */
export function countsIn(csv: string): ReadonlyMap<string, RelayCounts> {
  const counts = new Map<string, RelayCounts>()
  for (const cell of tableIn(csv)) {
    const figures = ['scur', 'stot', 'bin', 'bout'].map((name) => Number(cell(name) || Number.NaN))
    const [sessions = 0, accepted = 0, bytesUp = 0, bytesDown = 0] = figures
    if (cell('svname') !== 'FRONTEND' || figures.some(Number.isNaN)) continue
    counts.set(cell('pxname').slice(0, -DOOR.length), { sessions, accepted, bytesUp, bytesDown })
  }
  return counts
}

/** The rows of HAProxy's statistics; cells are found by the names of their columns. */
function tableIn(csv: string): ((name: string) => string)[] {
  const [head = '', ...rows] = csv.trim().split('\n')
  if (!head.startsWith('# pxname')) return []
  const columns = head.slice(2).split(',')
  return rows.map((row) => {
    const cells = row.split(',')
    return (name) => cells[columns.indexOf(name)] ?? ''
  })
}

function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
