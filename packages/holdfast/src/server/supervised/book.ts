/** Writes down what changed in supervised groups, if this server leads; what is known is kept beside the events. */
import type { ApiSupervisedGroup } from '@holdfast/client'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { Writing } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { writeEvents } from '../events.ts'
import type { Draft } from '../follow/changes.ts'

export interface SupervisedFacts {
  readonly primaries: Readonly<Record<string, string | null>>
  readonly safe: boolean
}

interface BookOptions {
  readonly leader: Leader
  readonly clock: Clock
  readonly log: Log
  readonly onWritten: () => void
}

export class SupervisedBook {
  readonly #options: BookOptions
  readonly #dirty = new Map<string, ApiSupervisedGroup>()
  #writing = false

  constructor(options: BookOptions) {
    this.#options = options
  }

  note(group: ApiSupervisedGroup): void {
    if (group.seenMs > 0) this.#dirty.set(group.group, group)
  }

  async flush(): Promise<void> {
    const { leader, log, onWritten } = this.#options
    if (this.#writing || !leader.state.leading) return
    this.#writing = true
    try {
      for (const [name, group] of [...this.#dirty]) {
        const written = await leader.write((writing) => this.#write(writing, group))
        if (written === null) return
        if (this.#dirty.get(name) === group) this.#dirty.delete(name)
        if (written.value) onWritten()
      }
    } catch (error) {
      log.warn({ error }, 'supervised-not-written')
    } finally {
      this.#writing = false
    }
  }

  async #write(writing: Writing, group: ApiSupervisedGroup): Promise<boolean> {
    const key = `supervised/${group.group}`
    const row = await writing.selectFrom('facts').select('body').where('key', '=', key).executeTakeFirst()
    const before = row === undefined ? null : (JSON.parse(row.body) as SupervisedFacts)
    const facts = factsOf(group, before)
    const body = JSON.stringify(facts)
    if (row?.body === body) return false
    const drafts = before === null ? [] : supervisedDrafts(before, facts, group, this.#options.clock.wallMs())
    await writeEvents(writing, drafts, this.#options.clock.wallMs())
    await writing
      .insertInto('facts')
      .values({ key, body })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ body }))
      .execute()
    return drafts.length > 0
  }
}

/** Who is silent for a moment is not forgotten: a primary counts until another one is named. */
function factsOf({ shards, verdict }: ApiSupervisedGroup, before: SupervisedFacts | null): SupervisedFacts {
  const named = shards.map(({ shard, primary }) => [shard, primary ?? before?.primaries[shard] ?? null] as const)
  return { primaries: { ...before?.primaries, ...Object.fromEntries(named) }, safe: verdict.safe }
}

/** What became different, as events. Pure. */
export function supervisedDrafts(
  before: SupervisedFacts,
  now: SupervisedFacts,
  { group, by, verdict }: Pick<ApiSupervisedGroup, 'group' | 'by' | 'verdict'>,
  wallMs: number,
): readonly Draft[] {
  const base = { wallMs, group, source: 'server', rule: null, incident: null } as const
  const drafts: Draft[] = []
  for (const [shard, to] of Object.entries(now.primaries)) {
    const from = before.primaries[shard] ?? null
    if (from === to || from === null) continue
    const where = shard === '' ? '' : ` of ${shard}`
    const summary = `${to ?? 'nobody'} is primary${where}, before ${from}; decided by ${by}`
    const detail = { from, to, by, ...(shard === '' ? {} : { shard }) }
    drafts.push({ ...base, kind: 'leader', severity: 'notice', code: 'supervised-leader', summary, member: to, detail })
  }
  if (before.safe !== now.safe) {
    const code = now.safe ? 'safe' : 'not-safe'
    const summary = `${now.safe ? 'safe' : 'not safe'}: ${verdict.because}`.slice(0, 500)
    const severity = now.safe ? 'notice' : 'warning'
    drafts.push({ ...base, kind: 'verdict', severity, code, summary, member: null, detail: {} })
  }
  return drafts
}
