/**
 * Health checks for load balancers and people: `/primary`, `/replica`, `/readyz`, `/livez`. Answered from the core's
 * state and the clock alone. `group` or `member` chooses where an agent stands beside several.
 */
import type { MemberState } from '../core/lease/member-state.ts'
import type { NodeSettings } from '../core/node.ts'
import type { MemberSettings } from '../core/settings.ts'
import { HoldfastError } from '../errors.ts'
import type { Answer, Request, Route } from './door.ts'
import { lagBytes, type Moment, writableForMs } from './snapshot.ts'

export interface HealthOptions {
  readonly settings: NodeSettings
  readonly moment: () => Moment
  readonly guardAlive: () => boolean
}

/** A loop older than this many beats is not alive in any sense that helps. */
const LOOP_AGE_BEATS_MAX = 5

export function healthRoutes(options: HealthOptions): readonly Route[] {
  const open = (path: string, handle: Route['handle']): Route => ({ method: 'GET', path, open: true, handle })
  return [
    open('/primary', (request) => primary(options, request)),
    open('/replica', (request) => replica(options, request)),
    open('/readyz', () => ready(options)),
    open('/livez', () => live(options)),
  ]
}

function primary(options: HealthOptions, request: Request): Answer {
  const moment = options.moment()
  const { settings, state } = chosen(options, moment, request)
  const forMs = writableForMs(moment, state)
  return answer(moment, forMs > 0, {
    ...about(settings, state),
    writableForMs: Math.round(forMs),
  })
}

function replica(options: HealthOptions, request: Request): Answer {
  const moment = options.moment()
  const { settings, state } = chosen(options, moment, request)
  const lag = lagBytes(state)
  const bound = request.query.get('lag')
  const boundBytes = bound === null ? null : Number(bound)
  if (boundBytes !== null && !(boundBytes >= 0)) {
    throw new HoldfastError('HF_BODY_INVALID', `lag=${bound} is not a number of bytes`, 'use ?lag=16777216')
  }
  const { view } = state
  const serves =
    state.role === 'replica' && view !== null && view.answering && view.role === 'replica' && view.receiving
  const near = boundBytes === null || (lag !== null && lag <= boundBytes)
  return answer(moment, serves && near, { ...about(settings, state), lagBytes: lag })
}

function ready(options: HealthOptions): Answer {
  const moment = options.moment()
  const idle = options.settings.members
    .filter((m) => undecided(m, moment.state.members[m.self.member]))
    .map((m) => m.self.member)
  const guard = options.guardAlive()
  return answer(moment, idle.length === 0 && guard && turns(options, moment), { guard, undecided: idle })
}

/** Who is only observed has nothing to decide once his engine was looked at. */
function undecided(settings: MemberSettings, state: MemberState | undefined): boolean {
  return settings.failover === 'observe' ? (state?.view ?? null) === null : (state?.role ?? 'idle') === 'idle'
}

function live(options: HealthOptions): Answer {
  const moment = options.moment()
  return answer(moment, turns(options, moment), {})
}

function turns(options: HealthOptions, moment: Moment): boolean {
  return moment.loopAgeMs <= LOOP_AGE_BEATS_MAX * options.settings.beatMs
}

function about(settings: MemberSettings, state: MemberState): object {
  const { group, self } = settings
  const epoch = state.hold?.epoch ?? state.record?.value?.epoch ?? 0
  return { group, member: self.member, role: state.role, epoch }
}

function answer(moment: Moment, ok: boolean, body: object): Answer {
  return { status: ok ? 200 : 503, body: { ok, ...body, loopAgeMs: Math.round(moment.loopAgeMs) } }
}

function chosen(
  options: HealthOptions,
  moment: Moment,
  request: Request,
): { settings: MemberSettings; state: MemberState } {
  const group = request.query.get('group')
  const member = request.query.get('member')
  const fitting = options.settings.members.filter(
    (m) => (group === null || m.group === group) && (member === null || m.self.member === member),
  )
  const [settings] = fitting
  const state = settings === undefined ? undefined : moment.state.members[settings.self.member]
  if (settings === undefined || state === undefined) {
    throw new HoldfastError('HF_GROUP_UNKNOWN', 'no member here fits the question', 'leave out group and member')
  }
  if (fitting.length > 1) {
    const next = `add ?member= with one of ${fitting.map((m) => m.self.member).join(', ')}`
    throw new HoldfastError('HF_BODY_INVALID', 'this agent stands beside several members', next)
  }
  return { settings, state }
}
