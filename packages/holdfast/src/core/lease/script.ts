/**
 * Test support: drives one node's core by hand and writes down, as text, what went in and what came out. The golden
 * files in `testdata/` are such texts: a newcomer reads the protocol there without reading code.
 */
import type { EngineView, GroupRecord, PeerReport, SessionRecord } from '../model.ts'
import { type NodeSettings, type NodeState, startNode, stepNode } from '../node.ts'
import type { Action, EngineOutcome, MemberEvent, SessionEvent, StoreOutcome } from '../protocol.ts'
import { type MemberSettings, PROFILES, type Replication } from '../settings.ts'
import type { MemberState } from './member-state.ts'

export interface Script {
  readonly lines: string[]
  state: NodeState
  nowMs: number
  readonly settings: NodeSettings
  /** Actions not yet answered, oldest first. */
  pending: Action[]
}

export function memberSettings(self: string, replication: Replication, names = ['a', 'b', 'c']): MemberSettings {
  const members = names.map((member) => ({
    member,
    agent: `agent-${member}`,
    site: 'here',
    priority: 0,
    noFailover: false,
  }))
  const own = members.find((m) => m.member === self) ?? {
    member: self,
    agent: self,
    site: '',
    priority: 0,
    noFailover: false,
  }
  return {
    group: 'g',
    self: own,
    members,
    replication,
    failover: 'automatic',
    whenAlone: 'block',
    timing: PROFILES.fast,
    moveEstimateMs: 250,
    flapFree: 4,
    flapWindowMs: 60_000,
  }
}

export function startScript(member: MemberSettings): Script {
  const { ttlMs, beatMs, requestMs, marginMs } = member.timing
  const settings: NodeSettings = { agent: member.self.agent, ttlMs, beatMs, requestMs, marginMs, members: [member] }
  return { lines: [], state: startNode(settings, 'boot', 0), nowMs: 0, settings, pending: [] }
}

export function openRecord(change: Partial<GroupRecord> = {}): GroupRecord {
  return {
    v: 1,
    stamp: 's:1',
    group: 'g',
    epoch: 1,
    phase: 'open',
    holder: 'a',
    agent: 'agent-a',
    session: 'a-1',
    systemId: '77',
    timeline: 1,
    members: ['a', 'b', 'c'],
    sync: { members: ['b'], need: 1, disks: { b: 'disk-b' } },
    lastOpen: { member: 'a', epoch: 1, diskId: 'disk-a' },
    lastPublished: null,
    release: null,
    intent: null,
    pause: null,
    lastIntent: null,
    ...change,
  }
}

export function engineView(member: string, change: Partial<EngineView> = {}): EngineView {
  return {
    observedAtMs: 0,
    running: true,
    answering: true,
    role: 'replica',
    data: 'ready',
    systemId: '77',
    diskId: `disk-${member}`,
    position: { timeline: 1, lsn: 1_000 },
    receiving: true,
    upstream: 'a',
    standbys: [],
    sync: null,
    unopenedEpoch: null,
    redoBytes: 0,
    ...change,
  }
}

export function peerReport(member: string, change: Partial<PeerReport> = {}): PeerReport {
  return {
    member,
    agent: `agent-${member}`,
    role: 'replica',
    epoch: 1,
    writableForMs: 0,
    loopAgeMs: 0,
    engine: engineView(member),
    frozenForEpoch: 0,
    unready: null,
    noFailover: false,
    priority: 0,
    ...change,
  }
}

export function sessionRecord(agent: string, session: string, beat: number): SessionRecord {
  return { v: 1, agent, session, beat, ttlMs: 1_000, positions: {} }
}

/** A line of explanation in the golden text. */
export function note(s: Script, text: string): void {
  s.lines.push('', `# ${text}`)
}

type Unplaced<E> = E extends { readonly nowMs: number } ? Omit<E, 'nowMs'> : never

export function tell(s: Script, atMs: number, event: Unplaced<MemberEvent>): void {
  const member = s.settings.members[0]?.self.member ?? ''
  run(s, atMs, JSON.stringify(short(event)), (nowMs) => {
    const placed = event.kind === 'engine-view' ? { ...event, view: { ...event.view, observedAtMs: nowMs } } : event
    return stepNode(s.state, { to: 'member', member, event: { ...placed, nowMs } as MemberEvent }, s.settings)
  })
}

export function tellSession(s: Script, atMs: number, event: Unplaced<SessionEvent>): void {
  run(s, atMs, JSON.stringify(short(event)), (nowMs) =>
    stepNode(s.state, { to: 'session', event: { ...event, nowMs } as SessionEvent }, s.settings),
  )
}

export function tick(s: Script, atMs: number): void {
  run(s, atMs, 'tick', (nowMs) => stepNode(s.state, { to: 'node', event: { kind: 'tick', nowMs } }, s.settings))
}

/** Answers the oldest pending action of a kind. */
export function answerWrite(
  s: Script,
  atMs: number,
  outcome: 'ok' | 'unknown' | StoreOutcome<GroupRecord>,
  revision = 9,
): void {
  const action = take(s, 'write-record')
  const made: StoreOutcome<GroupRecord> =
    outcome === 'ok'
      ? { kind: 'ok', revision, value: action.record }
      : outcome === 'unknown'
        ? { kind: 'unknown', because: 'timeout' }
        : outcome
  tell(s, atMs, { kind: 'record-written', id: action.id, sentAtMs: atMs - 1, outcome: made })
}

export function answerSessionWrite(s: Script, atMs: number, revision: number, sentAtMs = atMs - 1): void {
  const action = take(s, 'write-session')
  const outcome = { kind: 'ok', revision, value: action.record } as const
  tellSession(s, atMs, { kind: 'session-written', id: action.id, sentAtMs, outcome })
}

export function answerSessionRead(s: Script, atMs: number, value: SessionRecord | null): void {
  const action = take(s, 'read-session')
  tell(s, atMs, { kind: 'session', agent: action.agent, value, sentAtMs: atMs - 1, id: action.id })
}

export function answerEngine(
  s: Script,
  atMs: number,
  outcome: EngineOutcome = { ok: true, position: null, lsn: 0 },
): void {
  const action = take(s, 'engine')
  tell(s, atMs, { kind: 'engine-done', id: action.id, outcome })
}

export function take<K extends Action['kind']>(s: Script, kind: K): Extract<Action, { kind: K }> {
  const found = s.pending.find((a) => a.kind === kind)
  if (found === undefined)
    throw new Error(`no ${kind} pending at ${s.nowMs}; have ${s.pending.map((a) => a.kind).join(' ')}`)
  s.pending = s.pending.filter((a) => a !== found)
  return found as Extract<Action, { kind: K }>
}

function run(s: Script, atMs: number, what: string, step: (nowMs: number) => ReturnType<typeof stepNode>): void {
  s.nowMs = atMs
  const before = roleOf(s)
  const result = step(atMs)
  s.state = result.state
  s.pending.push(...result.actions)
  s.lines.push(`@${atMs} ${what}`)
  for (const r of result.reasons)
    s.lines.push(`    because ${r.code}${r.rule ? ` (${r.rule})` : ''} ${JSON.stringify(r.detail)}`)
  for (const a of result.actions) s.lines.push(`    do ${actionText(a)}`)
  if (roleOf(s) !== before) s.lines.push(`    role ${before} -> ${roleOf(s)}`)
}

export function roleOf(s: Script): string {
  return Object.values(s.state.members)[0]?.role ?? ''
}

export function memberOf(s: Script): MemberState {
  const [state] = Object.values(s.state.members)
  if (state === undefined) throw new Error('a script has one member')
  return state
}

function actionText(a: Action): string {
  switch (a.kind) {
    case 'write-session':
      return `write-session ${a.record.session} beat ${a.record.beat} if revision ${a.ifRevision}`
    case 'write-record': {
      const { epoch, phase, holder, sync } = a.record
      const set = sync.need === 0 ? 'none' : `${sync.need} of ${sync.members.join(' ')}`
      return `write-record ${a.purpose}: epoch ${epoch} ${phase} by ${holder}, sync ${set}, if revision ${a.ifRevision}`
    }
    case 'engine':
      return `engine ${JSON.stringify(a.command)}`
    case 'arm':
      return `arm until ${a.untilMs}`
    case 'ask-freeze':
    case 'ask-failsafe':
      return `${a.kind} epoch ${a.epoch} to ${a.members.join(' ')}`
    case 'answer-failsafe':
      return `answer-failsafe ${a.accept ? 'yes' : 'no'}: ${a.because}`
    case 'answer-freeze':
      return `answer-freeze ${a.report === null ? 'no' : `at ${a.report.engine?.position?.lsn}`}: ${a.because}`
    default:
      return a.kind
  }
}

/** Keeps the golden lines short: only what differs from the usual values. */
function short(event: object): object {
  return Object.fromEntries(
    Object.entries(event).map(([key, value]) => {
      if (key === 'value' && value !== null && 'epoch' in value)
        return [key, { epoch: value.epoch, phase: value.phase, holder: value.holder }]
      if (key === 'value' && value !== null && 'beat' in value) return [key, `${value.session}#${value.beat}`]
      if (key === 'view')
        return [
          key,
          `${value.role} ${value.running ? 'up' : 'down'} at ${value.position?.timeline}/${value.position?.lsn}`,
        ]
      if (key === 'report' && value !== null)
        return [key, `${value.member} ${value.role} at ${value.engine?.position?.lsn}`]
      if (key === 'outcome' && 'kind' in value) return [key, `${value.kind} revision ${value.revision ?? '?'}`]
      return [key, value]
    }),
  )
}
