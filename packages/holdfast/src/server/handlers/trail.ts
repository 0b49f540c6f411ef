/** Every change leaves a trail: an audit entry and an event, in the transaction of the change or before it. */
import type { Principal } from '../access/grants.ts'
import { nameOf } from '../access/grants.ts'
import { type AuditNote, appendAudit } from '../audit/audit-log.ts'
import type { Writing } from '../database/database.ts'
import { writeEvents } from '../events.ts'
import type { Draft } from '../follow/changes.ts'
import type { Scene } from '../scene.ts'

export interface Deed {
  readonly who: Principal | null
  readonly address: string
  readonly action: string
  readonly subject: string
  readonly outcome: AuditNote['outcome']
  readonly detail?: AuditNote['detail']
  /** Also an event, for everybody who may read. */
  readonly event?: {
    readonly kind: Draft['kind']
    readonly summary: string
    readonly group?: string
    readonly severity?: Draft['severity']
  }
}

export async function trail({ clock }: Scene, writing: Writing, deed: Deed): Promise<void> {
  const { who, address, action, subject, outcome, detail = {}, event } = deed
  const actor = who === null ? 'nobody' : nameOf(who)
  const wallMs = clock.wallMs()
  await appendAudit(writing, { actor, action, subject, outcome, address, detail }, wallMs)
  if (event === undefined) return
  const draft: Draft = {
    wallMs,
    kind: event.kind,
    severity: event.severity ?? 'notice',
    code: action,
    summary: event.summary,
    group: event.group ?? null,
    member: null,
    source: actor,
    rule: null,
    incident: null,
    detail,
  }
  await writeEvents(writing, [draft], wallMs)
}

/** A change of our own: it and its trail are written together, or neither is. */
export async function changeWithTrail<T>(
  scene: Scene,
  deed: Deed,
  change: (writing: Writing) => Promise<T>,
): Promise<T> {
  const value = await scene.database.write(async (writing) => {
    const done = await change(writing)
    await trail(scene, writing, deed)
    return done
  })
  scene.feed.poke()
  return value
}

/** Only the trail. */
export async function leaveTrail(scene: Scene, deed: Deed): Promise<void> {
  await changeWithTrail(scene, deed, async () => undefined)
}
