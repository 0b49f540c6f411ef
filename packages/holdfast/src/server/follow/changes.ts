/**
 * What became different, as events. Pure: what was known of a group or an agent and what is so now go in; drafts of
 * events and what is known next come out. What is known is kept in the database with the events, so that a server that
 * takes over continues where the one before stopped.
 */
import type { AgentStatus, ApiEvent, ApiGroup, ApiIncident, ReasonLine } from '@holdfast/client'

export type Draft = Omit<ApiEvent, 'number' | 'recordedMs'>

export interface GroupFacts {
  readonly epoch: number
  readonly phase: string
  readonly holder: string | null
  readonly writer: string | null
  readonly safe: boolean
  readonly paused: string | null
  readonly roles: Readonly<Record<string, string>>
  readonly incident: string | null
  /** Decisions of the last seconds, for an incident that begins with them. */
  readonly recent: readonly { readonly wallMs: number; readonly code: string; readonly summary: string }[]
}

export interface AgentFacts {
  readonly reachable: boolean
  readonly boot: string
  /** Decisions of this boot that are written down. */
  readonly reasons: number
}

/** Decisions of one agent, with their numbers within its boot. */
export interface Told {
  readonly boot: string
  readonly number: number
  readonly reason: ReasonLine
}

export function toldBy(status: AgentStatus): readonly Told[] {
  const first = status.reasonsTotal - status.reasons.length
  return status.reasons.map((reason, index) => ({ boot: status.boot, number: first + index + 1, reason }))
}

/**
 * Those that are not written down yet. They stand in the order in which they were heard, boot after boot: what stands
 * before the newest known one is known as well, also of boots that are over.
 */
export function toldAfter(told: readonly Told[], known: AgentFacts | null): readonly Told[] {
  if (known === null) return told
  const last = told.findLastIndex(({ boot, number }) => boot === known.boot && number <= known.reasons)
  return told.slice(last + 1)
}

const LOUD = new Set(['guard-gone', 'write-lost', 'store-went-back', 'data-directory-not-ours', 'failsafe-holds'])
const WORTH_SEEING = new Set(['claims', 'claimed', 'opens', 'hands-over', 'releases', 'engine-exited', 'defers-to'])

export function reasonDraft(agent: string, reason: ReasonLine): Draft {
  const { code, group, member, detail } = reason
  const numbers = Object.entries(detail).map(([name, value]) => `${name} ${String(value)}`)
  const severity = LOUD.has(code) || code.startsWith('HF_') ? 'warning' : WORTH_SEEING.has(code) ? 'notice' : 'info'
  return {
    wallMs: reason.wallMs,
    kind: 'reason',
    severity,
    code,
    summary: [code.startsWith('HF_') ? code : code.replaceAll('-', ' '), ...numbers].join(', ').slice(0, 500),
    group: group === '' ? null : group,
    member: member === '' ? null : member,
    source: `agent ${agent}`,
    rule: reason.rule ?? null,
    incident: null,
    detail,
  }
}

export function agentDraft(agent: string, reachable: boolean, because: string, wallMs: number): Draft {
  const summary = reachable ? `agent ${agent} answers again` : `agent ${agent} does not answer: ${because}`
  const rest = { group: null, member: null, source: 'server', rule: null, incident: null, detail: { agent } }
  const code = reachable ? 'agent-back' : 'agent-silent'
  return { wallMs, kind: 'agent', severity: reachable ? 'notice' : 'warning', code, summary, ...rest }
}

/** Events of the group itself; incidents are made from these and the decisions by `incidents.ts`. */
export function groupDrafts(before: GroupFacts, now: ApiGroup, wallMs: number): readonly Draft[] {
  const base = { wallMs, group: now.group, source: 'server', rule: null, incident: null }
  const drafts: Draft[] = []
  for (const { member, role } of now.members) {
    const from = before.roles[member] ?? 'unknown'
    if (from === role) continue
    const summary = `${member} is ${role}, was ${from}`
    const detail = { from, to: role }
    drafts.push({ ...base, kind: 'role', severity: 'info', code: 'role', summary, member, detail })
  }
  if (now.epoch > before.epoch || (now.epoch === before.epoch && now.holder !== before.holder)) {
    const detail = { from: before.holder, to: now.holder, fromEpoch: before.epoch, epoch: now.epoch }
    const summary = `epoch ${now.epoch}: ${now.holder ?? 'nobody'} holds the lease, before ${before.holder ?? 'nobody'}`
    drafts.push({ ...base, kind: 'leader', severity: 'notice', code: 'leader', summary, member: now.holder, detail })
  }
  if (now.verdict.safe !== before.safe) {
    const code = now.verdict.safe ? 'safe' : 'not-safe'
    const severity = now.verdict.safe ? 'notice' : 'warning'
    const summary = `${now.verdict.safe ? 'safe' : 'not safe'}: ${now.verdict.because}`
    drafts.push({ ...base, kind: 'verdict', severity, code, summary, member: null, detail: {} })
  }
  const paused = pauseText(now)
  if (paused !== before.paused) {
    const code = paused === null ? 'resumed' : 'paused'
    const summary = paused === null ? 'automation goes on' : `paused by ${paused}`
    drafts.push({ ...base, kind: 'pause', severity: 'notice', code, summary, member: null, detail: {} })
  }
  return drafts
}

const RECENT_MAX = 30
const RECENT_MS = 15_000

export function groupFacts(
  before: GroupFacts | null,
  now: ApiGroup,
  wallMs: number,
  decisions: readonly Draft[],
): GroupFacts {
  const added = decisions.map(({ wallMs: at, code, summary }) => ({ wallMs: at, code, summary }))
  const recent = [...(before?.recent ?? []), ...added].filter((item) => item.wallMs > wallMs - RECENT_MS)
  return {
    epoch: Math.max(now.epoch, before?.epoch ?? 0),
    phase: now.phase,
    holder: now.epoch >= (before?.epoch ?? 0) ? now.holder : (before?.holder ?? null),
    writer: now.writer,
    safe: now.verdict.safe,
    paused: pauseText(now),
    roles: Object.fromEntries(now.members.map(({ member, role }) => [member, role])),
    incident: before?.incident ?? null,
    recent: recent.slice(-RECENT_MAX),
  }
}

/** The decisions of an incident that is over say nothing about the next one. */
export function factsWith(facts: GroupFacts, incident: Pick<ApiIncident, 'id' | 'state'> | null): GroupFacts {
  if (incident?.state === 'closed') return { ...facts, incident: null, recent: [] }
  return { ...facts, incident: incident?.id ?? null }
}

function pauseText({ paused }: ApiGroup): string | null {
  return paused === null ? null : `${paused.by}: ${paused.because}`
}
