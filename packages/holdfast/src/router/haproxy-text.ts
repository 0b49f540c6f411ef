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
  /** On loopback; says `ALIVE` to everybody who connects, as long as the router's loop runs. */
  readonly pulsePort: number
}

export const ALIVE = 'holdfast'
/** The server that stands for the router's own door; no member can have this name. */
export const OWN_DOOR = '_router'
/** A router that is dead or frozen for so long decides nothing any more: its relay cuts and leads nowhere. */
const PULSE = { everyMs: 1_000, missed: 3 }
/** Between two attempts on a server that refuses HAProxy waits a second. */
const RETRIES = 10

export function haproxyText({ doors, socket, pulsePort }: HaproxyPlan): string {
  const all = doors.reduce((sum, door) => sum + door.sessionsMax, 0)
  const lines = [
    'global',
    `  maxconn ${all + 100}`,
    // Where fewer files may be open it takes fewer clients, and starts.
    '  no strict-limits',
    `  stats socket ${socket} mode 600 level admin`,
    '  stats timeout 10s',
    // A second process that listens beside this one would share its clients with it.
    '  noreuseport',
    'defaults',
    '  mode tcp',
    '  timeout connect 1s',
    '  timeout check 1s',
    '  timeout queue 60s',
    // An idle session of a database is no mistake; a dead peer is found by keep-alive.
    '  timeout client 0',
    '  timeout server 0',
    '  timeout client-fin 60s',
    '  timeout server-fin 60s',
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
      `frontend ${group}`,
      `  bind ${addressText(listen.host, listen.port)} backlog 1024`,
      `  maxconn ${sessionsMax}`,
      `  default_backend ${group}`,
      `backend ${group}`,
      '  option tcp-check',
      `  tcp-check expect string ${ALIVE}`,
      ...members.map(({ member, host, port }) => `  server ${member} ${addressText(host, port)} disabled ${checks}`),
      `  server ${OWN_DOOR} 127.0.0.1:${ownPort} backup`,
    )
  }
  return `${lines.join('\n')}\n`
}

/**
 * One line for the runtime API. `cut` ends the sessions of every member, also of the one that is led to: it leads in a
 * new epoch. Nobody is let in before those who must go are gone.
 *
 * Who is to wait does so in HAProxy's queue for the router's own door, which takes one client at a time then; when it
 * goes into maintenance for a moment its queue goes to the member that is ready. (Holding clients back by the
 * frontend's `maxconn` would be simpler, but 2.6 stands still when that is raised again.)
 */
export function commandsFor(door: RelayDoor, mode: RelayMode, cut: boolean): string {
  const { group, members, sessionsMax } = door
  const servers = members.map(({ member }) => `${group}/${member}`)
  const state = (server: string, wanted: 'ready' | 'drain' | 'maint'): string => `set server ${server} state ${wanted}`
  const ownDoor = (clients: number): string => `set maxconn server ${group}/${OWN_DOOR} ${clients}`
  const shut = [
    ...servers.map((one) => state(one, 'maint')),
    ...servers.map((one) => `shutdown sessions server ${one}`),
  ]
  const wait = [ownDoor(1), ...(cut ? shut : [])]
  if (mode.to === 'nobody') return [...wait, ...(cut ? [] : servers.map((one) => state(one, 'drain')))].join('; ')
  const to = mode.to === 'member' ? `${group}/${mode.member}` : null
  const closed = servers.filter((one) => one !== to).map((one) => state(one, 'maint'))
  const own = `${group}/${OWN_DOOR}`
  const open = to === null ? [] : [state(to, 'ready'), state(own, 'maint'), state(own, 'ready')]
  return [...(cut ? wait : []), ...closed, ...open, ownDoor(sessionsMax)].join('; ')
}

export interface RelayCounts {
  readonly sessions: number
  readonly accepted: number
  readonly bytesUp: number
  readonly bytesDown: number
}

export const ASK_COUNTS = 'show stat -1 1 -1'

/** Of each frontend, by group. Columns are found by name; what does not fit is left out. */
export function countsIn(csv: string): ReadonlyMap<string, RelayCounts> {
  const [head = '', ...rows] = csv.trim().split('\n')
  const columns = head.replace(/^# /, '').split(',')
  const counts = new Map<string, RelayCounts>()
  for (const row of rows) {
    const cells = row.split(',')
    const cell = (name: string): string => cells[columns.indexOf(name)] ?? ''
    const figures = ['scur', 'stot', 'bin', 'bout'].map((name) => Number(cell(name) || Number.NaN))
    const [sessions = 0, accepted = 0, bytesUp = 0, bytesDown = 0] = figures
    if (cell('svname') !== 'FRONTEND' || figures.some(Number.isNaN)) continue
    counts.set(cell('pxname'), { sessions, accepted, bytesUp, bytesDown })
  }
  return counts
}

function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
