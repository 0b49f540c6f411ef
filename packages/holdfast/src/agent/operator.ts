/**
 * What people ask of a group: switchover, failover, pause, resume. Each is checked, written into the group's record by
 * compare-and-set, and carried out by whoever holds the lease. Refusals name the rule and the numbers.
 */
import type { GroupRecord, Intent, Pause } from '../core/model.ts'
import { HoldfastError } from '../errors.ts'
import { freshId } from '../io/random.ts'
import { conditionOf, holds } from './conditions.ts'
import type { Answer, Request, Route } from './door.ts'
import { explain, type Known, verdicts } from './explanation.ts'
import type { StorePort } from './store-port.ts'

export interface OperatorOptions {
  readonly store: StorePort
  /** What this agent knows of a group; null when it stands beside no member of it. */
  readonly known: (group: string) => Known | null
  readonly onRecord: (record: GroupRecord) => void
}

/** A record changes a few times per minute; losing this often means something else is wrong. */
const WRITE_ATTEMPTS_MAX = 5
/** Long enough for a clean stop and a promotion, short enough that a forgotten intent does not surprise anybody. */
const INTENT_VALID_MS = 60_000
const PAUSE_MS_MAX = 7 * 24 * 3_600_000
const TEXT_MAX = 200
/** Exclusions that no switchover can mend: they are about the member, not about how far its log is. */
const NEVER = new Set([
  'not-in-failsafe-list',
  'no-failover',
  'not-seen',
  'data-not-ready',
  'engine-not-answering',
  'system-id-differs',
])

export function operatorRoutes(options: OperatorOptions): readonly Route[] {
  const post = (verb: string, handle: Route['handle']): Route => {
    return { method: 'POST', path: `/v1/groups/:group/${verb}`, open: false, handle }
  }
  const get = (rest: string, handle: Route['handle']): Route => {
    return { method: 'GET', path: `/v1/groups/:group/${rest}`, open: false, handle }
  }
  return [
    get('explain', (request) => ok(explain(known(options, request)))),
    get('intents/:id', (request) => intentState(options, request)),
    post('switchover', (request) => ask(options, request, 'switchover')),
    post('failover', (request) => ask(options, request, 'failover')),
    post('pause', (request) => pause(options, request)),
    post('resume', (request) => resume(options, request)),
  ]
}

async function ask(options: OperatorOptions, request: Request, kind: Intent['kind']): Promise<Answer> {
  const facts = known(options, request)
  const fields = fieldsOf(request.body)
  if (facts.settings.failover === 'observe') {
    throw refused('R16', `${facts.settings.group} is only observed`, 'move it by the means that lead it')
  }
  const intent: Intent = {
    id: freshId(),
    kind,
    to: optionalText(fields, 'to'),
    allowDataLoss: kind === 'failover' && flag(fields, 'allowDataLoss'),
    by: text(fields, 'by'),
    validMs: INTENT_VALID_MS,
  }
  const dryRun = flag(fields, 'dryRun')
  const condition = conditionOf(fields)
  await change(options, facts.settings.group, dryRun, (record) => {
    holds(facts, record, condition)
    check(facts, record, intent)
    return { ...record, intent }
  })
  return ok({ id: dryRun ? 'dry-run' : intent.id })
}

function check(facts: Known, record: GroupRecord, intent: Intent): void {
  const { settings } = facts
  if (record.intent !== null && !mayReplace(facts, record, intent)) {
    const who = `${record.intent.kind} ${record.intent.id} asked by ${record.intent.by}`
    throw new HoldfastError('HF_INTENT_BUSY', `${who} is still open`, 'wait for it, then ask again')
  }
  if (intent.kind === 'switchover' && record.phase !== 'open') {
    const next = 'wait until a primary is open, or ask for a failover'
    throw refused('R30', `nobody is open for writes (phase ${record.phase}, epoch ${record.epoch})`, next)
  }
  if (intent.to !== null) {
    if (!settings.members.some((spec) => spec.member === intent.to)) {
      const names = settings.members.map((spec) => spec.member).join(', ')
      throw new HoldfastError(
        'HF_BODY_INVALID',
        `${intent.to} is no member of ${settings.group}`,
        `use one of ${names}`,
      )
    }
    if (intent.to === record.holder && record.phase === 'open') {
      throw refused('R19', `${intent.to} holds the lease already (epoch ${record.epoch})`, 'name another member')
    }
  }
  const found = verdicts(facts, intent.allowDataLoss).filter((verdict) => verdict.member !== record.holder)
  const asked = intent.to === null ? found : found.filter((verdict) => verdict.member === intent.to)
  const hopeless = (verdict: (typeof found)[number]): boolean =>
    verdict.because.some((exclusion) => intent.kind === 'failover' || NEVER.has(exclusion.code))
  if (asked.length === 0 || !asked.every(hopeless)) return
  const rules = asked.flatMap((verdict) =>
    verdict.because.map((e) => `${verdict.member}: ${e.code} (${e.rule}) ${numbers(e)}`),
  )
  const loss = intent.kind === 'failover' && !intent.allowDataLoss
  throw refused(
    asked[0]?.because[0]?.rule ?? 'R11',
    rules.join('; '),
    loss ? 'holdfast failover --allow-data-loss' : 'mend it first',
  )
}

/**
 * An order that has run out here, or that waits for a primary which is gone, must not lock out the one that is needed:
 * only a living holder answers orders.
 */
function mayReplace(facts: Known, record: GroupRecord, intent: Intent): boolean {
  const { member, moment } = facts
  const seen = member.intentSeen
  const expired = seen !== null && moment.nowMs - seen.atMs > (record.intent?.validMs ?? 0)
  const { holder } = member
  const silent = holder !== null && moment.nowMs - holder.unchangedSinceMs > 2 * holder.ttlMs
  return expired || (intent.kind === 'failover' && (record.phase !== 'open' || silent))
}

function numbers(exclusion: { readonly detail: Readonly<Record<string, unknown>> }): string {
  return Object.entries(exclusion.detail)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ')
}

function refused(rule: string, message: string, next: string): HoldfastError {
  return new HoldfastError('HF_INTENT_REFUSED', `${rule}: ${message}`, next)
}

async function intentState(options: OperatorOptions, request: Request): Promise<Answer> {
  const facts = known(options, request)
  const id = request.params.id ?? ''
  const { record } = await read(options, facts.settings.group)
  const { holder, epoch } = record
  if (record.intent?.id === id) {
    const state = record.phase === 'open' && facts.member.handover?.id !== id ? 'waiting' : 'running'
    return ok({ id, state, because: `phase ${record.phase}`, holder, epoch })
  }
  if (record.lastIntent?.id === id) {
    const { because } = record.lastIntent
    return ok({ id, state: record.lastIntent.ok ? 'done' : 'refused', because, holder, epoch })
  }
  throw new HoldfastError('HF_INTENT_UNKNOWN', `no request ${id.slice(0, 64)}`, 'a later request may have replaced it')
}

async function pause(options: OperatorOptions, request: Request): Promise<Answer> {
  const facts = known(options, request)
  const fields = fieldsOf(request.body)
  const validMs = fields.validMs
  if (typeof validMs !== 'number' || !(validMs > 0) || validMs > PAUSE_MS_MAX) {
    const next = `give validMs, at most ${PAUSE_MS_MAX} (7 days)`
    throw new HoldfastError('HF_BODY_INVALID', 'a pause needs an end (R28)', next)
  }
  const wanted: Pause = { id: freshId(), by: text(fields, 'by'), because: text(fields, 'because'), validMs }
  const condition = conditionOf(fields)
  await change(options, facts.settings.group, false, (record) => {
    holds(facts, record, condition)
    return { ...record, pause: wanted }
  })
  return ok({ ok: true })
}

async function resume(options: OperatorOptions, request: Request): Promise<Answer> {
  const facts = known(options, request)
  const fields = fieldsOf(request.body)
  text(fields, 'by')
  const condition = conditionOf(fields)
  await change(options, facts.settings.group, false, (record) => {
    holds(facts, record, condition)
    return record.pause === null ? null : { ...record, pause: null }
  })
  return ok({ ok: true })
}

/** Reads, changes, writes; again when somebody else wrote meanwhile. Null from `edit`: nothing to do. */
async function change(
  options: OperatorOptions,
  group: string,
  dryRun: boolean,
  edit: (record: GroupRecord) => GroupRecord | null,
): Promise<void> {
  for (let attempt = 0; attempt < WRITE_ATTEMPTS_MAX; attempt++) {
    const { record, revision } = await read(options, group)
    const edited = edit(record)
    if (edited === null || dryRun) return
    const next: GroupRecord = { ...edited, stamp: `operator:${freshId()}` }
    const { outcome } = await options.store.writeGroup(next, revision)
    if (outcome.kind === 'unknown') throw unreachable(outcome.because)
    if (outcome.kind === 'ok') return options.onRecord(next)
  }
  throw new HoldfastError('HF_BUSY', `the record of ${group} changes too often`, 'ask again in a moment')
}

async function read(options: OperatorOptions, group: string): Promise<{ record: GroupRecord; revision: number }> {
  const { outcome } = await options.store.readGroup(group)
  if (outcome.kind !== 'ok') throw unreachable(outcome.kind === 'unknown' ? outcome.because : outcome.kind)
  if (outcome.value === null) {
    throw new HoldfastError('HF_INTENT_REFUSED', `group ${group} was never created`, 'wait for its first primary')
  }
  return { record: outcome.value, revision: outcome.revision }
}

function unreachable(because: string): HoldfastError {
  return new HoldfastError(
    'HF_STORE_UNREACHABLE',
    `the store did not answer: ${because}`,
    'see holdfast status, ask again',
  )
}

function known(options: OperatorOptions, request: Request): Known {
  const group = request.params.group ?? ''
  const facts = options.known(group)
  if (facts !== null) return facts
  throw new HoldfastError(
    'HF_GROUP_UNKNOWN',
    `no member of group ${group.slice(0, 64)} here`,
    'ask an agent of that group',
  )
}

export function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  throw new HoldfastError('HF_BODY_INVALID', 'the body is no object', 'send one JSON object')
}

export function text(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name]
  if (typeof value === 'string' && value.length > 0 && value.length <= TEXT_MAX && !/\p{Cc}/u.test(value)) return value
  throw new HoldfastError(
    'HF_BODY_INVALID',
    `"${name}" must be text`,
    `give "${name}", 1 to ${TEXT_MAX} printable characters`,
  )
}

function optionalText(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  return fields[name] === undefined || fields[name] === null ? null : text(fields, name)
}

function flag(fields: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = fields[name]
  if (value === undefined || typeof value === 'boolean') return value === true
  throw new HoldfastError('HF_BODY_INVALID', `"${name}" must be true or false`, `leave "${name}" out for false`)
}

export function ok(body: unknown): Answer {
  return { status: 200, body }
}
