/**
 * Text from the store and from peers, read strictly. What does not fit is reported as nonsense and never trusted: a
 * holder then runs into its deadline, a candidate keeps waiting. Unknown fields are refused too, because whoever writes
 * the record back would lose them.
 */
import { z } from 'zod'
import type { EngineView, GroupRecord, PeerReport, SessionRecord } from '../core/model.ts'
import { CLOCK_RATE_BOUND } from '../core/settings.ts'

export const GROUPS = 'groups/'
export const SESSIONS = 'sessions/'

export function groupKey(group: string): string {
  return GROUPS + group
}

export function sessionKey(agent: string): string {
  return SESSIONS + agent
}

/** `text` null (no such key) is a good answer: value null. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T | null }
  | { readonly ok: false; readonly because: string }

/** Names as the description allows them, with room to spare. */
const name = z.string().min(1).max(253)
/** Free text written by people or by the core. */
const prose = z.string().max(2_000)
const count = z.int().min(0)
const ms = z.number().min(0)
const names = z.array(name).max(100)
const position = z.strictObject({ timeline: count, lsn: count })
const disks = z.record(name, name)

const published = z.strictObject({
  epoch: count,
  timeline: count,
  lsn: count,
  ackedLsn: count,
})

const sessionRecord = z.strictObject({
  v: z.literal(1),
  agent: name,
  session: name,
  beat: count,
  ttlMs: z.number().positive(),
  positions: z.record(name, published),
})

const groupRecord = z.strictObject({
  v: z.literal(1),
  stamp: name,
  group: name,
  epoch: count,
  phase: z.enum(['creating', 'claimed', 'open', 'released']),
  holder: name.nullable(),
  agent: name.nullable(),
  session: name.nullable(),
  systemId: name.nullable(),
  timeline: count,
  members: names,
  sync: z.strictObject({ members: names, need: count, disks }),
  lastOpen: z.strictObject({ member: name, epoch: count, diskId: name }).nullable(),
  lastPublished: published.nullable(),
  release: z
    .strictObject({ position: position.nullable(), clean: z.boolean(), to: name.nullable(), because: prose })
    .nullable(),
  intent: z
    .strictObject({
      id: name,
      kind: z.enum(['switchover', 'failover']),
      to: name.nullable(),
      allowDataLoss: z.boolean(),
      by: prose,
      validMs: ms,
    })
    .nullable(),
  pause: z.strictObject({ id: name, by: prose, because: prose, validMs: ms }).nullable(),
  lastIntent: z.strictObject({ id: name, ok: z.boolean(), because: prose }).nullable(),
})

const engineView = z.object({
  observedAtMs: z.number(),
  running: z.boolean(),
  answering: z.boolean(),
  role: z.enum(['primary', 'replica', 'none']),
  data: z.enum(['empty', 'ready', 'unfinished', 'foreign']),
  systemId: name.nullable(),
  diskId: name.nullable(),
  position: position.nullable(),
  receiving: z.boolean(),
  upstream: name.nullable(),
  standbys: z.array(z.object({ member: name, streaming: z.boolean(), flushLsn: count })).max(100),
  sync: z.object({ members: names, need: count }).nullable(),
  unopenedEpoch: count.nullable(),
  redoBytes: z.number().min(0),
})

const peerReport = z.object({
  member: name,
  agent: name,
  role: z.enum(['idle', 'replica', 'claiming', 'promoting', 'primary', 'demoting', 'fencing', 'releasing']),
  epoch: count,
  writableForMs: ms,
  loopAgeMs: ms,
  engine: engineView.nullable(),
  frozenForEpoch: count,
  // An agent of an older version does not say; it is believed ready.
  unready: prose.nullable().default(null),
  noFailover: z.boolean(),
  priority: z.number(),
})

/** Every report of one agent, with its own clock so that ages can be told. */
const reports = z.object({
  nowMs: z.number(),
  reports: z.array(peerReport).max(100),
  /** Drawn by the process that answers; it says so because it takes reports that are told to it. */
  boot: name.optional(),
})
/** What the teller last heard of the listener, and how long ago. */
const echo = z.object({ boot: name, nowMs: z.number(), heldMs: ms })
const telling = z.object({
  from: name,
  nowMs: z.number(),
  reports: z.array(peerReport).max(100),
  echo: echo.nullable(),
})
const freezeAnswer = z.object({ nowMs: z.number(), report: peerReport.nullable() })
const failsafeAnswer = z.object({ accept: z.boolean(), because: prose })

export interface Reports {
  readonly nowMs: number
  readonly reports: readonly PeerReport[]
  readonly boot?: string | undefined
}

export interface Echo {
  readonly boot: string
  readonly nowMs: number
  readonly heldMs: number
}

/** A question for reports that brings the asker's own. */
export interface Telling {
  /** Agent. */
  readonly from: string
  readonly nowMs: number
  readonly reports: readonly PeerReport[]
  readonly echo: Echo | null
}

export function parseGroupRecord(text: string | null, group: string): Parsed<GroupRecord> {
  const parsed = parse<GroupRecord>(groupRecord, text)
  if (parsed.ok && parsed.value !== null && parsed.value.group !== group) {
    return { ok: false, because: `the record of ${group} names group ${parsed.value.group}` }
  }
  return parsed
}

export function parseSessionRecord(text: string | null, agent: string): Parsed<SessionRecord> {
  const parsed = parse<SessionRecord>(sessionRecord, text)
  if (parsed.ok && parsed.value !== null && parsed.value.agent !== agent) {
    return { ok: false, because: `the session of ${agent} names agent ${parsed.value.agent}` }
  }
  return parsed
}

export function parseReports(text: string): Parsed<Reports> {
  return parse<Reports>(reports, text)
}

export function readTelling(value: unknown): Parsed<Telling> {
  return checked<Telling>(telling, value)
}

export function parseFreezeAnswer(text: string): Parsed<{ nowMs: number; report: PeerReport | null }> {
  return parse(freezeAnswer, text)
}

export function parseFailsafeAnswer(text: string): Parsed<{ accept: boolean; because: string }> {
  return parse(failsafeAnswer, text)
}

/**
 * When what was told surely had not been said yet, in this node's clock: after our answer that it echoes, and after the
 * time the teller held that answer, counted by a clock that may be fast. Null: the echo is not of this process, or
 * makes no sense, and the telling may be of any age. So a slow network or a frozen teller makes a report older, as with
 * a question (R10).
 */
export function toldAfterMs(echo: Echo | null, boot: string, nowMs: number): number | null {
  if (echo === null || echo.boot !== boot) return null
  const afterMs = echo.nowMs + echo.heldMs * (1 - CLOCK_RATE_BOUND)
  return afterMs <= nowMs ? afterMs : null
}

/**
 * A peer's report in the terms of this node's clock: times become ages at the peer, and ages count from when the
 * question left, so that a slow network makes a report older, never younger (R10).
 */
export function localReport(report: PeerReport, peerNowMs: number, sentAtMs: number, nowMs: number): PeerReport {
  const wayMs = Math.max(0, nowMs - sentAtMs)
  const engine: EngineView | null =
    report.engine === null
      ? null
      : { ...report.engine, observedAtMs: sentAtMs - Math.max(0, peerNowMs - report.engine.observedAtMs) }
  return { ...report, engine, loopAgeMs: report.loopAgeMs + wayMs }
}

function parse<T>(schema: z.ZodType<T>, text: string | null): Parsed<T> {
  if (text === null) return { ok: true, value: null }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { ok: false, because: 'not JSON' }
  }
  return checked(schema, json)
}

function checked<T>(schema: z.ZodType<T>, json: unknown): Parsed<T> {
  const result = schema.safeParse(json)
  if (result.success) return { ok: true, value: result.data }
  const issue = result.error.issues[0]
  return { ok: false, because: `${issue?.path.join('.') || 'record'}: ${issue?.message ?? 'does not fit'}` }
}
