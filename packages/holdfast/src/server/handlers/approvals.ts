/** Requests that wait for somebody else. Each is decided once, by compare-and-set on its state, and runs out alone. */
import type { ApiApproval } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import { groupsOfScope, mayOver, type Principal } from '../access/grants.ts'
import type { ApprovalRow } from '../database/tables.ts'
import { planWords } from '../plans/plan-view.ts'
import { groupNames, type Scene } from '../scene.ts'
import { seen } from './platform.ts'
import { changeWithTrail } from './trail.ts'

/** Long enough to find somebody, short enough that what was true when it was asked still is. */
const VALID_MS = 15 * 60_000
const WAITING_MAX = 100
const SHOWN_MAX = 200

export interface Asker {
  readonly who: Principal
  readonly address: string
}

/** A route that needs a right has somebody who has it. */
export function present(who: Principal | null): Principal {
  if (who === null) throw new HoldfastError('HF_AUTH_REQUIRED', 'nobody is logged in', 'log in')
  return who
}

type Wanted = Pick<ApiApproval, 'id' | 'action' | 'group' | 'to' | 'plan' | 'allowDataLoss' | 'epoch'>

/** What it is about, for the audit log and for who may read it. */
function subjectOf({ group, plan }: Pick<ApiApproval, 'group' | 'plan'>): string {
  return plan === null ? `group ${group}` : `service ${plan.service}`
}

function wordsFor({ action, group, plan }: Pick<ApiApproval, 'action' | 'group' | 'plan'>): string {
  return plan === null ? `${action} of ${group}` : planWords(plan)
}

/** The groups over all of which somebody must have the right to read or decide it. */
export function groupsOf(scene: Scene, { group, plan }: Pick<ApiApproval, 'group' | 'plan'>): readonly string[] {
  if (plan === null) return group === null ? [] : [group]
  return groupsOfScope(plan.service, groupNames(scene), scene.services())
}

export async function openApproval(scene: Scene, { who, address }: Asker, wanted: Wanted): Promise<ApiApproval> {
  const { id, action, group, to, plan, allowDataLoss, epoch } = wanted
  const askedMs = Math.round(scene.clock.wallMs())
  const approval: ApiApproval = {
    ...{ id, action, group, to, plan, allowDataLoss, epoch, askedMs },
    state: 'waiting',
    askedBy: who.user,
    expiresMs: askedMs + VALID_MS,
    decidedBy: null,
    decidedMs: null,
    because: '',
    intent: null,
  }
  const summary = `${who.user} asks an approver for: ${wordsFor(wanted)}${allowDataLoss ? ', loss accepted' : ''}`
  const event = { kind: 'approval' as const, summary, ...shownWith(scene, wanted), severity: 'warning' as const }
  const detail = { id, to, allowDataLoss, epoch, ...(plan === null ? {} : { digest: plan.digest }) }
  await changeWithTrail(
    scene,
    { who, address, action: `${action}-approval`, subject: subjectOf(wanted), outcome: 'asked', detail, event },
    async (writing) => {
      const waiting = await writing
        .selectFrom('approvals')
        .select('id')
        .where('state', '=', 'waiting')
        .where('expires_ms', '>', askedMs)
        .limit(WAITING_MAX)
        .execute()
      if (waiting.length >= WAITING_MAX) {
        throw new HoldfastError('HF_LIMIT_REACHED', `${WAITING_MAX} requests wait already`, 'decide some of them first')
      }
      await writing
        .insertInto('approvals')
        .values({
          id,
          group_name: rowName(wanted),
          state: 'waiting',
          asked_ms: askedMs,
          expires_ms: approval.expiresMs,
          body: JSON.stringify(approval),
        })
        .execute()
    },
  )
  return approval
}

/** Of a service it is the name of the service, which is no group's. */
function rowName({ group, plan }: Pick<ApiApproval, 'group' | 'plan'>): string {
  return plan === null ? (group ?? '') : `service ${plan.service}`
}

function shownWith(scene: Scene, wanted: Pick<ApiApproval, 'group' | 'plan'>): { readonly group?: string } {
  const [group] = groupsOf(scene, wanted)
  return group === undefined ? {} : { group }
}

/** Throws `HF_APPROVAL_CLOSED` when somebody was quicker, or it ran out. */
export async function closeApproval(
  scene: Scene,
  { who, address }: Asker,
  before: ApiApproval,
  decision: Pick<ApiApproval, 'state' | 'because' | 'intent'>,
): Promise<ApiApproval> {
  const decidedMs = Math.round(scene.clock.wallMs())
  const next: ApiApproval = { ...before, ...decision, decidedBy: who.user, decidedMs }
  const { id, action } = next
  const summary = `${who.user}: ${wordsFor(next)} asked by ${next.askedBy} is ${next.state}`
  const event = { kind: 'approval' as const, summary, ...shownWith(scene, next) }
  const detail = { id, state: next.state, because: next.because, askedBy: next.askedBy }
  await changeWithTrail(
    scene,
    { who, address, action: `${action}-${next.state}`, subject: subjectOf(next), outcome: 'done', detail, event },
    async (writing) => {
      const changed = await writing
        .updateTable('approvals')
        .set({ state: next.state, body: JSON.stringify(next) })
        .where('id', '=', id)
        .where('state', '=', before.state)
        .where((of) => of.or([of('expires_ms', '>', decidedMs), of('state', '!=', 'waiting')]))
        .executeTakeFirst()
      if (Number(changed.numUpdatedRows) !== 1) {
        throw new HoldfastError('HF_APPROVAL_CLOSED', `request ${id} is no longer open`, 'ask for it again')
      }
    },
  )
  return next
}

export async function findApproval({ database, clock }: Scene, id: string): Promise<ApiApproval | null> {
  const row = await database.read.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : approvalOf(row, clock.wallMs())
}

/** What rows of older versions have not. */
type Later = 'epoch' | 'plan'

function approvalOf(row: ApprovalRow, wallMs: number): ApiApproval {
  // One of before epochs were kept fits no group any more.
  const kept = JSON.parse(row.body) as Omit<ApiApproval, Later> & Partial<Pick<ApiApproval, Later>>
  const approval: ApiApproval = { epoch: 0, plan: null, ...kept }
  const over = approval.state === 'waiting' && wallMs >= approval.expiresMs
  return over ? { ...approval, state: 'expired' } : approval
}

export async function approvalsFor(
  scene: Scene,
  who: Principal,
  state: ApiApproval['state'] | undefined,
): Promise<readonly ApiApproval[]> {
  const groups = seen(scene, who)
  let query = scene.database.read.selectFrom('approvals').selectAll()
  if (groups !== null) {
    const services = scene.services()
    const read = [...scene.scopes].filter(([, own]) => mayOver(who, 'read', own, services))
    query = query.where('group_name', 'in', [...groups, ...read.map(([scope]) => `service ${scope}`), ''])
  }
  const rows = await query.orderBy('asked_ms', 'desc').limit(SHOWN_MAX).execute()
  const wallMs = scene.clock.wallMs()
  return rows.map((row) => approvalOf(row, wallMs)).filter((one) => state === undefined || one.state === state)
}
