/**
 * What people ask of groups. Written down before the agents are asked, and again with what became of it; so a change
 * that cannot be written down does not happen. What would lose data needs the right to approve, or somebody who has it.
 */
import type { ApiApproval, Result } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import { freshId } from '../../io/random.ts'
import { mayOver, type Principal, rightsOver } from '../access/grants.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { agentAnswer, groupOr404, outcomeOf, wordsOf } from './agents.ts'
import { type Asker, approvalsFor, closeApproval, findApproval, groupsOf, openApproval, present } from './approvals.ts'
import { beginApproved } from './plans.ts'
import { unknown } from './platform.ts'
import { type Deed, leaveTrail } from './trail.ts'

type ActionHandlers = Pick<
  Handlers,
  'switchover' | 'failover' | 'intent' | 'pause' | 'resume' | 'automation' | 'approvals' | 'approve' | 'reject'
>

interface Move {
  readonly action: 'switchover' | 'failover'
  readonly group: string
  readonly to: string | null
  readonly allowDataLoss: boolean
  readonly dryRun: boolean
  /** What was seen when it was decided; the agents refuse it at another. */
  readonly ifEpoch: number | null
}

export function actionHandlers(scene: Scene): ActionHandlers {
  return {
    switchover: async ({ params, body, who, address }) => {
      const { to = null, dryRun = false, askApproval = false } = body
      const move: Move = { action: 'switchover', group: params.group, to, allowDataLoss: false, dryRun, ifEpoch: null }
      return document(await asked(scene, { who: present(who), address }, move, askApproval))
    },
    failover: async ({ params, body, who, address }) => {
      const { to = null, allowDataLoss = false, ifEpoch = null } = body
      ownGroup(scene, params.group, 'failover')
      const move: Move = { action: 'failover', group: params.group, to, allowDataLoss, dryRun: false, ifEpoch }
      const may = rightsOver(present(who), params.group, scene.services()).has('approve')
      return document(await asked(scene, { who: present(who), address }, move, allowDataLoss && !may))
    },
    intent: async ({ params: { group, id } }) => {
      if (scene.supervised.watch.group(group) !== null) return document(await scene.supervised.moves.intent(group, id))
      return document(agentAnswer(await scene.agentsOf(group).intent(group, id)))
    },
    pause: async ({ params, body, who, address }) => {
      agentAnswer(await pause(scene, { who: present(who), address }, params.group, body))
      return document({ ok: true })
    },
    resume: async ({ params, who, address }) => {
      agentAnswer(await resume(scene, { who: present(who), address }, params.group))
      return document({ ok: true })
    },
    automation: async ({ body, who, address }) =>
      document(await automation(scene, { who: present(who), address }, body)),
    ...approvalHandlers(scene),
  }
}

/** A group of ours, or one that another program leads. */
function subjectOf(scene: Scene, group: string): { members: readonly { member: string }[]; epoch: number } {
  const supervised = scene.supervised.watch.group(group)
  if (supervised !== null) return { members: supervised.members, epoch: supervised.epoch ?? 0 }
  return groupOr404(scene.watch.group(group), group)
}

/** What only the manager of a group decides; with the command that would do it. */
function ownGroup(scene: Scene, group: string, verb: string): void {
  const led = scene.supervised.watch.group(group)
  if (led === null) return
  const words = `${group} is led by ${led.by}, which decides that; Holdfast does not ${verb} it from here`
  throw new HoldfastError(
    'HF_MANAGER_DECIDES',
    words,
    `with its own tool, e.g. ${led.failoverCommand}; or holdfast ${verb}`,
  )
}

async function asked(
  scene: Scene,
  asker: Asker,
  move: Move,
  waits: boolean,
): Promise<{ intent: string | null; approval: ApiApproval | null }> {
  const { members, epoch } = subjectOf(scene, move.group)
  // Of a supervised group whose manager is silent nobody knows the members; it is told so below.
  if (move.to !== null && members.length > 0 && !members.some(({ member }) => member === move.to)) {
    const names = members.map(({ member }) => member).join(', ')
    throw new HoldfastError('HF_BODY_INVALID', `${move.to} is no member of ${move.group}`, `use one of ${names}`)
  }
  if (waits && !move.dryRun) {
    const approval = await openApproval(scene, asker, {
      ...{ id: freshId(), ...move, plan: null, epoch: move.ifEpoch ?? epoch },
    })
    return { intent: null, approval }
  }
  return { intent: agentAnswer(await carryOut(scene, asker, move)).id, approval: null }
}

async function carryOut(scene: Scene, asker: Asker, move: Move): Promise<Result<{ id: string }>> {
  const { action, group, to, allowDataLoss, dryRun, ifEpoch } = move
  const target = { ...(to === null ? {} : { to }), ...(ifEpoch === null ? {} : { ifEpoch }) }
  const by = asker.who.user
  const words = `${action} of ${group}${to === null ? '' : ` to ${to}`}${allowDataLoss ? ', loss accepted' : ''}`
  const led = scene.supervised.watch.group(group) !== null
  const client = led ? null : scene.agentsOf(group)
  const run = () =>
    client === null
      ? scene.supervised.moves.switchover(group, { to, dryRun, ifEpoch })
      : action === 'switchover'
        ? client.switchover(group, { ...target, by, ...(dryRun ? { dryRun } : {}) })
        : client.failover(group, { ...target, by, allowDataLoss })
  if (dryRun) return run()
  return withTrail(scene, asker, { action, group, words, detail: { to, allowDataLoss, ifEpoch } }, run)
}

interface Work {
  readonly action: string
  readonly group: string
  readonly words: string
  readonly detail: NonNullable<Deed['detail']>
}

/** Asked, then done: the first is on disk before an agent hears of it. */
async function withTrail<T>(
  scene: Scene,
  { who, address }: Asker,
  { action, group, words, detail }: Work,
  run: () => Promise<Result<T>>,
): Promise<Result<T>> {
  const base = { who, address, action, subject: `group ${group}` }
  const summary = `${who.user} asked for: ${words}`
  await leaveTrail(scene, { ...base, outcome: 'asked', detail, event: { kind: 'action', summary, group } })
  const result = await run()
  const because = wordsOf(result)
  const after: Deed = {
    ...base,
    outcome: outcomeOf(result),
    detail: because === '' ? detail : { ...detail, because },
    ...(result.ok ? {} : { event: { kind: 'action', severity: 'warning', summary: `${words}: ${because}`, group } }),
  }
  // It was written down that it was asked for; the agents' own records say what became of it.
  await leaveTrail(scene, after).catch((error: unknown) => scene.log.error({ error, action }, 'outcome-not-written'))
  return result
}

function pause(
  scene: Scene,
  asker: Asker,
  group: string,
  { because, validMs }: { readonly because: string; readonly validMs: number },
): Promise<Result<{ ok: true }>> {
  ownGroup(scene, group, 'pause')
  groupOr404(scene.watch.group(group), group)
  const by = asker.who.user
  return withTrail(
    scene,
    asker,
    { action: 'pause', group, words: `pause: ${because}`, detail: { because, validMs } },
    () => scene.agentsOf(group).pause(group, { by, because, validMs }),
  )
}

function resume(scene: Scene, asker: Asker, group: string): Promise<Result<{ ok: true }>> {
  ownGroup(scene, group, 'resume')
  groupOr404(scene.watch.group(group), group)
  const by = asker.who.user
  return withTrail(scene, asker, { action: 'resume', group, words: 'resume', detail: {} }, () =>
    scene.agentsOf(group).resume(group, { by }),
  )
}

async function automation(
  scene: Scene,
  asker: Asker,
  body: { readonly automation: 'on' | 'off'; readonly because: string; readonly validMs?: number | undefined },
): Promise<{ outcomes: { group: string; ok: boolean; because: string }[] }> {
  const { because, validMs } = body
  if (body.automation === 'off' && validMs === undefined) {
    throw new HoldfastError('HF_BODY_INVALID', 'switching it off needs an end (R28)', 'give validMs, at most 7 days')
  }
  const groups = scene.platform.groups.filter(({ failover }) => failover !== 'observe')
  const outcomes = []
  for (const { name: group } of groups) {
    const result =
      body.automation === 'off'
        ? await pause(scene, asker, group, { because, validMs: validMs ?? 0 })
        : await resume(scene, asker, group)
    outcomes.push({ group, ok: result.ok, because: wordsOf(result) })
  }
  return { outcomes }
}

function approvalHandlers(scene: Scene): Pick<ActionHandlers, 'approvals' | 'approve' | 'reject'> {
  return {
    approvals: async ({ query, who }) => document(await approvalsFor(scene, present(who), query.state)),
    approve: async ({ params, body, who, address }) => {
      const asker = { who: present(who), address }
      const approval = await decidable(scene, asker.who, params.id)
      if (!mayOver(asker.who, 'approve', groupsOf(scene, approval), scene.services())) throw notYours(asker.who)
      if (approval.askedBy === asker.who.user) {
        const message = 'who asks for something does not approve it'
        throw new HoldfastError('HF_FORBIDDEN', message, 'let another approver look at it')
      }
      // First decided, then carried out: nobody can carry it out twice.
      const because = body.because ?? ''
      const decided = await closeApproval(scene, asker, approval, { state: 'approved', because, intent: null })
      return document(await carriedOut(scene, asker, decided))
    },
    reject: async ({ params, body, who, address }) => {
      const asker = { who: present(who), address }
      const approval = await decidable(scene, asker.who, params.id)
      const may = mayOver(asker.who, 'approve', groupsOf(scene, approval), scene.services())
      if (!may && approval.askedBy !== asker.who.user) throw notYours(asker.who)
      const because = body.because ?? ''
      return document(await closeApproval(scene, asker, approval, { state: 'rejected', because, intent: null }))
    },
  }
}

/** What an approver agreed to, handed over; why it could not be is kept with it. */
async function carriedOut(scene: Scene, asker: Asker, decided: ApiApproval): Promise<ApiApproval> {
  const close = (state: 'approved' | 'failed', words: string, intent: string | null) =>
    closeApproval(scene, asker, decided, { state, because: words, intent })
  const { action, group, to, allowDataLoss, epoch, because } = decided
  if (action === 'plan' || group === null) {
    try {
      return await close('approved', because, (await beginApproved(scene, asker, decided)).id)
    } catch (error) {
      await close('failed', error instanceof HoldfastError ? `${error.code}: ${error.message}` : 'an error', null)
      throw error
    }
  }
  const result = await carryOut(scene, asker, { action, group, to, allowDataLoss, dryRun: false, ifEpoch: epoch })
  const closed = result.ok
    ? await close('approved', because, result.value.id)
    : await close('failed', wordsOf(result), null)
  if (!result.ok && result.kind === 'refused' && result.code === 'HF_GROUP_CHANGED') throw outdated(result, closed)
  return closed
}

function outdated({ message }: { readonly message: string }, { id }: ApiApproval): HoldfastError {
  const words = `${message}; it is no longer what request ${id} was asked for, which has ended; nothing was changed`
  return new HoldfastError('HF_GROUP_CHANGED', words, 'look at the group; if it is still needed, ask for it again')
}

function notYours({ user }: Principal): HoldfastError {
  return new HoldfastError('HF_FORBIDDEN', `${user} has no right to approve here`, 'ask an approver of the group')
}

async function decidable(scene: Scene, who: Principal, id: string): Promise<ApiApproval> {
  const approval = await findApproval(scene, id)
  const may = approval !== null && mayOver(who, 'read', groupsOf(scene, approval), scene.services())
  if (approval === null || !may) throw unknown('approval', id)
  if (approval.state !== 'waiting') {
    throw new HoldfastError(
      'HF_APPROVAL_CLOSED',
      `request ${id} is ${approval.state}`,
      'ask for it again if it is needed',
    )
  }
  return approval
}
