/** Requests that wait for somebody else. Each is decided once, by compare-and-set on its state, and runs out alone. */
import type { ApiApproval } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import type { Principal } from '../access/grants.ts'
import type { ApprovalRow } from '../database/tables.ts'
import type { Scene } from '../scene.ts'
import { seen } from './platform.ts'
import { changeWithTrail } from './trail.ts'

/** Long enough to find somebody, short enough that what was true when it was asked still is. */
const VALID_MS = 15 * 60_000
const WAITING_MAX = 100
const SHOWN_MAX = 200

interface Asker {
  readonly who: Principal
  readonly address: string
}

type Wanted = Pick<ApiApproval, 'id' | 'action' | 'group' | 'to' | 'allowDataLoss' | 'epoch'>

export async function openApproval(scene: Scene, { who, address }: Asker, wanted: Wanted): Promise<ApiApproval> {
  const { id, action, group, to, allowDataLoss, epoch } = wanted
  const askedMs = Math.round(scene.clock.wallMs())
  const approval: ApiApproval = {
    ...{ id, action, group, to, allowDataLoss, epoch, askedMs },
    state: 'waiting',
    askedBy: who.user,
    expiresMs: askedMs + VALID_MS,
    decidedBy: null,
    decidedMs: null,
    because: '',
    intent: null,
  }
  const summary = `${who.user} asks an approver for: ${action} of ${group}${allowDataLoss ? ', loss accepted' : ''}`
  const event = { kind: 'approval' as const, summary, group, severity: 'warning' as const }
  const detail = { id, to, allowDataLoss, epoch }
  await changeWithTrail(
    scene,
    { who, address, action: `${action}-approval`, subject: `group ${group}`, outcome: 'asked', detail, event },
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
          group_name: group,
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

/** Throws `HF_APPROVAL_CLOSED` when somebody was quicker, or it ran out. */
export async function closeApproval(
  scene: Scene,
  { who, address }: Asker,
  before: ApiApproval,
  decision: Pick<ApiApproval, 'state' | 'because' | 'intent'>,
): Promise<ApiApproval> {
  const decidedMs = Math.round(scene.clock.wallMs())
  const next: ApiApproval = { ...before, ...decision, decidedBy: who.user, decidedMs }
  const { id, group, action } = next
  const summary = `${who.user}: ${action} of ${group} asked by ${next.askedBy} is ${next.state}`
  const event = { kind: 'approval' as const, summary, group }
  const detail = { id, state: next.state, because: next.because, askedBy: next.askedBy }
  await changeWithTrail(
    scene,
    { who, address, action: `${action}-${next.state}`, subject: `group ${group}`, outcome: 'done', detail, event },
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

function approvalOf(row: ApprovalRow, wallMs: number): ApiApproval {
  // One of before epochs were kept fits no group any more.
  const kept = JSON.parse(row.body) as Omit<ApiApproval, 'epoch'> & Partial<Pick<ApiApproval, 'epoch'>>
  const approval: ApiApproval = { epoch: 0, ...kept }
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
  if (groups !== null) query = query.where('group_name', 'in', [...groups, ''])
  const rows = await query.orderBy('asked_ms', 'desc').limit(SHOWN_MAX).execute()
  const wallMs = scene.clock.wallMs()
  return rows.map((row) => approvalOf(row, wallMs)).filter((one) => state === undefined || one.state === state)
}
