/**
 * A subject and a world for the nemesis' own tests: every part is a real process that only waits, links are written
 * down. There is no database in it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Lane, Part, SeenPlan, Service, Subject, World } from '../contract.ts'
import type { Field } from './ways.ts'

export interface TestField extends Field {
  /** Every order the world got, in order. */
  readonly orders: string[]
  readonly restarts: string[]
  /** State letter of a process: `S` runs or sleeps, `T` is stopped; null when there is none. */
  state(host: string, part: Part): string | null
  close(): void
}

const MEMBERS = ['h1', 'h2', 'h3']

export function testField(
  options: { readonly storeHosts?: readonly string[]; readonly primary?: string; readonly service?: Service } = {},
): TestField {
  const storeHosts = options.storeHosts ?? ['s1']
  const orders: string[] = []
  const restarts: string[] = []
  const running = new Map<string, ChildProcess>()
  let closed = false
  const start = (host: string, part: Part): void => {
    if (!closed) running.set(`${host} ${part}`, spawn('sleep', ['60'], { stdio: 'ignore' }))
  }
  const pids = (host: string, part: Part): readonly number[] => {
    const child = running.get(`${host} ${part}`)
    return child?.pid === undefined || stateOf(child.pid) === null ? [] : [child.pid]
  }
  for (const host of MEMBERS) for (const part of ['agent', 'guard', 'engine'] as const) start(host, part)
  for (const host of storeHosts) start(host, 'store')
  start('edge', 'router')
  const lane: Lane = {
    group: 'orders',
    engine: 'postgres',
    mode: 'sync',
    members: MEMBERS.map((host, i) => ({ member: `m${i + 1}`, host, own: { host: '', port: 1 }, dataDir: tmpdir() })),
    door: { host: '', port: 1 },
    login: { user: '', password: '', database: '' },
    bound: null,
    alone: false,
    primary: async () => options.primary ?? 'm1',
    switchover: async () => ({ ok: true, text: 'moved' }),
    promotions: async () => [],
  }
  const subject: Subject = {
    name: 'waiting processes',
    lanes: [lane],
    service: options.service ?? null,
    storeHosts,
    edge: 'edge',
    start: async () => {},
    whole: async () => options.primary ?? 'm1',
    pids,
    restart: (host, part) => {
      restarts.push(`${host} ${part}`)
      start(host, part)
    },
    stop: async () => {},
  }
  const world = testWorld(orders, [...MEMBERS, ...storeHosts, 'edge'])
  return {
    world,
    subject,
    lane,
    memberHosts: MEMBERS,
    ...disksAndClocks(orders),
    orders,
    restarts,
    state: (host, part) => stateOf(pids(host, part)[0]),
    close: () => {
      closed = true
      for (const child of running.values()) child.kill('SIGKILL')
    },
  }
}

const PLAN_UNDER_WAY: SeenPlan = {
  ...{ time: 0, id: 'p1', kind: 'switchover', origin: 'operator', from: 'north', to: 'south' },
  ...{ epoch: 1, phase: 'running', because: '', steps: [] },
}

/** Two sites, the first its home; `asked` gets every move. */
export function twoSites(asked: string[] = []): Service {
  return {
    name: 'shop',
    home: 'north',
    sites: { north: ['h1'], south: ['h2', 'h3'] },
    after: {},
    move: async (to) => {
      asked.push(to)
      return { ok: true, text: 'moved' }
    },
    killMovers: () => void asked.push('killed'),
    mend: async () => null,
    plans: () => [PLAN_UNDER_WAY],
  }
}

function stateOf(pid: number | undefined): string | null {
  if (pid === undefined) return null
  try {
    const letter = /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? null
    if (letter === 'Z' || letter === 'X') return null
    return letter === 'R' || letter === 'D' ? 'S' : letter
  } catch {
    return null
  }
}

function testWorld(orders: string[], hosts: readonly string[]): World {
  return {
    kind: 'loopback',
    hosts,
    addressOf: () => '127.0.0.1',
    route: async (_from, _to, port) => ({ host: '127.0.0.1', port }),
    // Kept short and harmless, whatever was asked for.
    spawn: () => spawn('sleep', ['5'], { stdio: 'ignore' }),
    cut: async (from, to) => void orders.push(`cut ${from}>${to}`),
    shape: async (from, to, shape) => void orders.push(`shape ${from}>${to} ${JSON.stringify(shape)}`),
    heal: async () => void orders.push('heal'),
    close: async () => {},
  }
}

function disksAndClocks(orders: string[]): Pick<Field, 'disks' | 'clocks'> {
  const note = (line: string): void => void orders.push(line)
  const disk = (host: string) => ({
    fill: (left?: number) => note(`fill ${host} ${left}`),
    free: () => note(`free ${host}`),
  })
  const clock = (host: string) => ({
    step: (offset: string) => note(`clock ${host} ${offset}`),
    back: () => note(`clock ${host} back`),
  })
  return {
    disks: new Map(MEMBERS.map((host) => [host, disk(host)])),
    clocks: new Map(MEMBERS.map((host) => [host, clock(host)])),
  }
}
