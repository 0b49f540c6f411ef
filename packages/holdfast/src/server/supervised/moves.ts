/**
 * Planned switches of supervised groups: the manager is asked, and what became of it is kept in the database, so that
 * any server can tell. A server that dies meanwhile leaves the manager to go on or not; a later look says which.
 */
import type { ApiIntent, Refusal, Result } from '@holdfast/client'
import { plannedSwitch, type SwitchReport } from '../../engines/planned-switch.ts'
import { type ErrorCode, HoldfastError } from '../../errors.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { freshId } from '../../io/random.ts'
import { appendAudit } from '../audit/audit-log.ts'
import type { Database } from '../database/database.ts'
import type { SupervisedWatch } from './watch.ts'

export interface SupervisedMovesOptions {
  readonly watch: SupervisedWatch
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly name: string
}

export interface SupervisedMove {
  readonly to: string | null
  readonly dryRun: boolean
  readonly ifEpoch: number | null
}

/** As the command line waits by default. */
const TIMEOUT_MS = 60_000
/** Beyond its end nobody runs it any more. */
const GONE_MS = 15_000
/** So many are remembered of each group. */
const KEPT = 50

const CODES = {
  refused: 'HF_MANAGER_REFUSED',
  unreachable: 'HF_MANAGER_UNREACHABLE',
  uncertain: 'HF_MANAGER_UNCERTAIN',
} as const satisfies Record<string, ErrorCode>

interface Kept extends ApiIntent {
  readonly endsMs: number
}

export class SupervisedMoves {
  readonly #options: SupervisedMovesOptions
  readonly #running = new Map<string, string>()
  readonly #closing = new AbortController()

  constructor(options: SupervisedMovesOptions) {
    this.#options = options
  }

  async switchover(group: string, move: SupervisedMove): Promise<Result<{ id: string }>> {
    const { watch, clock } = this.#options
    const epoch = watch.group(group)?.epoch ?? 0
    if (move.ifEpoch !== null && move.ifEpoch !== epoch) {
      const message = `${group} is at epoch ${epoch}, not ${move.ifEpoch}; nothing was changed`
      return refusal('HF_GROUP_CHANGED', message, 'look at the group; if it is still needed, ask again')
    }
    if (this.#running.has(group))
      return refusal('HF_INTENT_BUSY', `${group} is being switched over`, 'wait for its end')
    const supervisor = await watch.supervisor(group)
    const wish = { to: move.to, allowLoss: false, timeoutMs: TIMEOUT_MS }
    const tools = { clock, say: () => undefined, signal: this.#closing.signal }
    const would = await plannedSwitch(supervisor, { ...wish, dryRun: true }, tools)
    if (!would.ok) return refusal(CODES[would.kind], `${would.because}; nothing was changed`, would.next)
    if (move.dryRun) return { ok: true, value: { id: 'dry-run' }, url: '' }
    if (this.#running.has(group))
      return refusal('HF_INTENT_BUSY', `${group} is being switched over`, 'wait for its end')
    const id = freshId()
    this.#running.set(group, id)
    try {
      await this.#keep(group, this.#kept({ id, state: 'running', because: 'asking the manager', holder: would.from }))
    } catch (error) {
      this.#running.delete(group)
      throw error
    }
    void this.#run(group, id, move)
    return { ok: true, value: { id }, url: '' }
  }

  async intent(group: string, id: string): Promise<ApiIntent> {
    const { database, clock } = this.#options
    const row = await database.read
      .selectFrom('manager_moves')
      .select('body')
      .where('id', '=', id)
      .where('group_name', '=', group)
      .executeTakeFirst()
    if (row === undefined) {
      throw new HoldfastError('HF_INTENT_UNKNOWN', `no request ${id} is known for ${group}`, 'look at the group')
    }
    const { endsMs, ...intent } = JSON.parse(row.body) as Kept
    if (intent.state !== 'running' || clock.wallMs() < endsMs + GONE_MS) return intent
    const because = 'the server that asked is gone; the manager may have done it all the same: look at the group'
    return { ...intent, state: 'refused', because }
  }

  close(): void {
    this.#closing.abort()
  }

  #kept(change: Pick<ApiIntent, 'id' | 'state' | 'because' | 'holder'> & { readonly epoch?: number | null }): Kept {
    const endsMs = Math.round(this.#options.clock.wallMs()) + TIMEOUT_MS
    return { ...change, epoch: change.epoch ?? 0, endsMs }
  }

  async #run(group: string, id: string, { to }: SupervisedMove): Promise<void> {
    const { watch, clock, log } = this.#options
    const told = (state: ApiIntent['state'], because: string, holder: string | null, epoch: number | null = null) =>
      this.#keep(group, this.#kept({ id, state, because: because.slice(0, 500), holder, epoch })).catch(
        (error: unknown) => log.error({ error, group }, 'outcome-not-written'),
      )
    try {
      watch.hurry(group)
      const supervisor = await watch.supervisor(group)
      const tools = { clock, say: (step: string) => void told('running', step, null), signal: this.#closing.signal }
      const wish = { to, allowLoss: false, timeoutMs: TIMEOUT_MS, dryRun: false }
      const report = await plannedSwitch(supervisor, wish, tools)
      if (report.ok) await told('done', doneWords(report), report.to, report.epoch)
      else
        await told('refused', `${report.because}${report.next === '' ? '' : `; next: ${report.next}`}`, report.primary)
      await this.#audit(group, id, report)
    } catch (error) {
      log.error({ error, group }, 'manager-move-failed')
      await told('refused', error instanceof Error ? error.message : String(error), null)
    } finally {
      this.#running.delete(group)
      watch.hurry(group)
    }
  }

  async #audit(group: string, id: string, report: SwitchReport): Promise<void> {
    const { database, clock, name } = this.#options
    const outcome = report.ok ? 'done' : report.kind === 'uncertain' ? 'unknown' : 'refused'
    const { because } = report.ok ? { because: doneWords(report) } : report
    const note = { actor: `server ${name}`, action: 'switchover-over', subject: `group ${group}`, outcome } as const
    await database.write((writing) =>
      appendAudit(writing, { ...note, address: '', detail: { id, because: because.slice(0, 500) } }, clock.wallMs()),
    )
  }

  async #keep(group: string, kept: Kept): Promise<void> {
    const { database, clock } = this.#options
    const { id } = kept
    const body = JSON.stringify(kept)
    const askedMs = Math.round(clock.wallMs())
    await database.write(async (writing) => {
      await writing
        .insertInto('manager_moves')
        .values({ id, group_name: group, asked_ms: askedMs, body })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ body }))
        .execute()
      const old = await writing
        .selectFrom('manager_moves')
        .select('id')
        .where('group_name', '=', group)
        .orderBy('asked_ms', 'desc')
        .offset(KEPT)
        .limit(KEPT)
        .execute()
      const ids = old.map((one) => one.id)
      if (ids.length > 0) await writing.deleteFrom('manager_moves').where('id', 'in', ids).execute()
    })
  }
}

function refusal(code: ErrorCode, message: string, next: string): Refusal {
  return { ok: false, kind: 'refused', url: '', status: 409, code, message, next, retryable: false }
}

function doneWords({ from, to, tookMs, outageMs, lostBytes }: Extract<SwitchReport, { ok: true }>): string {
  const loss = lostBytes === null ? '' : lostBytes === 0 ? ', nothing lost' : `, ${lostBytes} bytes lost`
  return `${from} to ${to} in ${tookMs} ms, without a primary for writers ${outageMs ?? 0} ms${loss}`
}
