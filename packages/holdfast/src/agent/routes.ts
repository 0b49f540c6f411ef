/** Status for people and tools, from state; and what peers ask: reports from state, freeze and failsafe by the core. */
import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { AgentStatus } from '@holdfast/client'
import type { NodeSettings, NodeState } from '../core/node.ts'
import type { MemberSettings } from '../core/settings.ts'
import { HoldfastError } from '../errors.ts'
import { type ChangeBell, gistOf } from './change-bell.ts'
import type { Request, Route } from './door.ts'
import type { EngineLane } from './engine-lane.ts'
import type { GuardDesk } from './guard-desk.ts'
import type { Mailbox } from './mailbox.ts'
import { fieldsOf, ok, text } from './operator.ts'
import type { Questions } from './questions.ts'
import type { ReasonLog } from './reasons.ts'
import { readTelling, type Telling } from './records.ts'
import { groupStatus, type Moment, memberStatus, peerReports } from './snapshot.ts'
import type { StorePort } from './store-port.ts'

export const VERSION = (createRequire(import.meta.url)('../../package.json') as { version: string }).version

export interface RouteOptions {
  readonly settings: NodeSettings
  readonly site: string
  readonly moment: () => Moment
  readonly store: StorePort
  readonly guard: GuardDesk
  readonly lanes: ReadonlyMap<string, EngineLane>
  /** Names the main process of a member's engine. */
  readonly started: (member: string) => string | null
  readonly addresses: ReadonlyMap<string, { readonly host: string; readonly port: number }>
  readonly reasons: ReasonLog
  readonly bell: ChangeBell
  readonly mailbox: Mailbox
  readonly questions: Questions
  /** Drawn by this process. */
  readonly boot: string
  readonly onTold: (telling: Telling) => void
}

/** Shorter than any proxy's patience with a silent answer. */
const WAIT_MS_MAX = 10_000

/** A hundred reports with three standbys each. */
const TELLING_BYTES_MAX = 262_144

/** A store that was not heard for this many ttls is told as unreachable. */
const UNREACHABLE_TTLS = 1

export function stateRoutes(options: RouteOptions): readonly Route[] {
  return [
    { method: 'GET', path: '/v1/status', open: false, handle: (request) => askedStatus(options, request) },
    { method: 'GET', path: '/v1/peer/reports', open: false, handle: () => ok(reports(options)) },
    {
      method: 'POST',
      path: '/v1/peer/reports',
      open: false,
      bodyBytesMax: TELLING_BYTES_MAX,
      handle: (request) => ok(told(options, request)),
    },
    { method: 'POST', path: '/v1/peer/freeze', open: false, handle: (request) => freeze(options, request) },
    { method: 'POST', path: '/v1/peer/failsafe', open: false, handle: (request) => failsafe(options, request) },
  ]
}

/** Waits for a change when asked to; routers ask often and read no reasons, which are most of the bytes. */
async function askedStatus(options: RouteOptions, { query }: Request): Promise<ReturnType<typeof ok>> {
  const after = query.get('after')
  if (after === null) return ok(status(options, query.get('reasons') === 'none' ? [] : options.reasons.lines()))
  const waitMs = Math.min(WAIT_MS_MAX, Math.max(0, Number(query.get('waitMs')) || 0))
  if (waitMs > 0) await options.bell.wait(after, waitMs)
  const [boot, known] = after.split('.')
  return ok(status(options, options.reasons.linesAfter(boot === options.boot ? Number(known) || 0 : 0)))
}

/** `BOOT.REASONS.STATE`: differs as soon as there is something to tell. */
export function markOf(boot: string, reasons: ReasonLog, state: NodeState): string {
  return `${boot}.${reasons.total}.${hash('sha256', gistOf(state), 'base64url').slice(0, 16)}`
}

function status(options: RouteOptions, reasons: AgentStatus['reasons']): AgentStatus {
  const { settings, store, guard } = options
  const moment = options.moment()
  const members = settings.members.flatMap((m) => {
    const state = moment.state.members[m.self.member]
    const address = options.addresses.get(m.self.member) ?? { host: '', port: 0 }
    const work = options.lanes.get(m.self.member)?.work ?? null
    return state === undefined
      ? []
      : [{ settings: m, state, extra: { address, work, started: options.started(m.self.member) } }]
  })
  const groups = new Map(members.map((m) => [m.settings.group, groupStatus(moment, m.settings, m.state)]))
  const ago = store.confirmedAtMs === null ? null : Math.round(moment.nowMs - store.confirmedAtMs)
  return {
    agent: settings.agent,
    site: options.site,
    version: VERSION,
    loopAgeMs: Math.round(moment.loopAgeMs),
    store: { reachable: ago !== null && ago <= UNREACHABLE_TTLS * settings.ttlMs, lastConfirmedMsAgo: ago },
    guard: { alive: guard.alive, pid: guard.pid },
    members: members.map((m) => memberStatus(moment, m.settings, m.state, m.extra)),
    groups: [...groups.values()].filter((group) => group !== null),
    reasons,
    reasonsTotal: options.reasons.total,
    boot: options.boot,
    mark: markOf(options.boot, options.reasons, moment.state),
  }
}

/** `boot` says that this version takes what it is told. */
function reports(options: RouteOptions): object {
  const moment = options.moment()
  return { nowMs: moment.nowMs, boot: options.boot, reports: peerReports(moment, options.settings) }
}

function told(options: RouteOptions, request: Request): object {
  const telling = readTelling(request.body)
  if (!telling.ok || telling.value === null) {
    throw new HoldfastError('HF_BODY_INVALID', telling.ok ? 'no body' : telling.because, 'run one version everywhere')
  }
  options.onTold(telling.value)
  return reports(options)
}

async function freeze(options: RouteOptions, request: Request): Promise<ReturnType<typeof ok>> {
  const { mailbox, questions } = options
  const { settings, from, epoch } = asked(options, request)
  const { member } = settings.self
  const post = (id: number): void =>
    mailbox.toMember(member, { kind: 'freeze-asked', id, from, epoch, nowMs: mailbox.nowMs() })
  const reply = await (questions.freeze(post, 2 * settings.timing.requestMs) ?? busy())
  const moment = options.moment()
  const report = reply.report === null ? null : { ...reply.report, loopAgeMs: moment.loopAgeMs }
  return ok({ nowMs: moment.nowMs, report, because: reply.because })
}

async function failsafe(options: RouteOptions, request: Request): Promise<ReturnType<typeof ok>> {
  const { mailbox, questions } = options
  const { settings, from, epoch } = asked(options, request)
  const { member } = settings.self
  const post = (id: number): void =>
    mailbox.toMember(member, { kind: 'failsafe-asked', id, from, epoch, nowMs: mailbox.nowMs() })
  const { accept, because } = await (questions.failsafe(post, 2 * settings.timing.requestMs) ?? busy())
  return ok({ accept, because })
}

/** Only members of the group may ask, and only about a member of ours in it. */
function asked(options: RouteOptions, request: Request): { settings: MemberSettings; from: string; epoch: number } {
  const fields = fieldsOf(request.body)
  const group = text(fields, 'group')
  const member = text(fields, 'member')
  const from = text(fields, 'from')
  const { epoch } = fields
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 0) {
    throw new HoldfastError('HF_BODY_INVALID', '"epoch" must be a whole number', 'send the epoch that is meant')
  }
  const settings = options.mailbox.settingsOf(member)
  const known = settings !== null && settings.group === group && settings.members.some((spec) => spec.member === from)
  if (!known || from === member) {
    throw new HoldfastError(
      'HF_GROUP_UNKNOWN',
      `${from} and ${member} share no group ${group}`,
      'compare the descriptions',
    )
  }
  return { settings, from, epoch }
}

function busy(): never {
  throw new HoldfastError('HF_BUSY', 'too many questions of peers wait', 'ask again with the next beat')
}
