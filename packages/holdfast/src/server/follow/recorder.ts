/**
 * Writes down what happened, if this server leads: events, incidents and what is known, in one transaction with the
 * leader's beat. What could not be written is kept and written later, in order; a decision is written once, by its
 * number, whoever leads.
 */
import type { ApiGroup, ApiIncident } from '@holdfast/client'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { freshId } from '../../io/random.ts'
import type { Reading, Writing } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { writeEvents } from '../events.ts'
import type { Sighting } from './agent-follower.ts'
import {
  type AgentFacts,
  agentDraft,
  type Draft,
  factsWith,
  type GroupFacts,
  groupDrafts,
  groupFacts,
  reasonDraft,
  type Told,
  toldAfter,
  toldBy,
} from './changes.ts'
import { incidentAfter } from './incidents.ts'

/** Decisions kept of each agent for a take-over; as many as the agent keeps itself, twice. */
const TOLD_MAX = 400

export interface RecorderOptions {
  readonly leader: Leader
  readonly read: Reading
  readonly clock: Clock
  readonly log: Log
  readonly onWritten: () => void
  readonly onIncident: (incident: ApiIncident) => void
}

interface Known {
  readonly agents: Map<string, AgentFacts>
  readonly groups: Map<string, GroupFacts>
  readonly incidents: Map<string, ApiIncident>
}

interface Batch {
  readonly drafts: Draft[]
  readonly agents: Map<string, AgentFacts>
  readonly groups: Map<string, GroupFacts>
  readonly incidents: ApiIncident[]
}

export class Recorder {
  readonly #options: RecorderOptions
  readonly #told = new Map<string, Told[]>()
  readonly #sightings = new Map<string, Sighting>()
  readonly #groups = new Map<string, ApiGroup>()
  readonly #dirtyAgents = new Set<string>()
  readonly #dirtyGroups = new Set<string>()
  #known: Known | null = null
  #knownEpoch = -1
  #pending: Batch | null = null
  #writing: Promise<void> | null = null
  #again = false

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  saw(sighting: Sighting): void {
    const { agent, status } = sighting
    this.#sightings.set(agent, sighting)
    this.#dirtyAgents.add(agent)
    if (status === null || status.reasons.length === 0) return
    const told = this.#told.get(agent) ?? []
    const last = told.at(-1)
    const fresh = toldBy(status).filter(({ boot, number }) => boot !== last?.boot || number > last.number)
    this.#told.set(agent, [...told, ...fresh].slice(-TOLD_MAX))
  }

  changed(group: ApiGroup): void {
    this.#groups.set(group.group, group)
    this.#dirtyGroups.add(group.group)
  }

  incidentOf(group: string): string | null {
    return this.#known?.incidents.get(group)?.id ?? null
  }

  /** Writes what there is; calls during a write are served by one more after it. */
  flush(): Promise<void> {
    if (this.#writing !== null) {
      this.#again = true
      return this.#writing
    }
    this.#writing = this.#flushAll().finally(() => {
      this.#writing = null
    })
    return this.#writing
  }

  async #flushAll(): Promise<void> {
    do {
      this.#again = false
      if (!this.#options.leader.state.leading) return
      try {
        if (!(await this.#flushOnce())) return
      } catch (error) {
        this.#options.log.warn({ error }, 'events-not-written')
        return
      }
    } while (this.#again)
  }

  async #flushOnce(): Promise<boolean> {
    const { leader, read, clock, onWritten, onIncident } = this.#options
    const { epoch } = leader.state
    if (this.#known === null || this.#knownEpoch !== epoch) {
      this.#known = await loadKnown(read)
      this.#knownEpoch = epoch
      this.#pending = null
      // What changed while another one led, or nobody.
      for (const agent of this.#sightings.keys()) this.#dirtyAgents.add(agent)
      for (const group of this.#groups.keys()) this.#dirtyGroups.add(group)
    }
    const known = this.#known
    const batch = this.#pending ?? this.#batchOf(known)
    this.#pending = batch
    if (batch.agents.size + batch.groups.size + batch.drafts.length > 0) {
      const written = await leader.write(async (writing) => {
        await writeEvents(writing, batch.drafts, clock.wallMs())
        await writeKnown(writing, batch)
      })
      if (written === null) return false
    }
    this.#pending = null
    for (const [agent, facts] of batch.agents) known.agents.set(agent, facts)
    for (const [group, facts] of batch.groups) known.groups.set(group, facts)
    for (const incident of batch.incidents) {
      if (incident.state === 'open') known.incidents.set(incident.group, incident)
      else known.incidents.delete(incident.group)
      onIncident(incident)
    }
    if (batch.drafts.length > 0) onWritten()
    return true
  }

  #batchOf(known: Known): Batch {
    const wallMs = this.#options.clock.wallMs()
    const batch: Batch = { drafts: [], agents: new Map(), groups: new Map(), incidents: [] }
    const decisions = new Map<string, Draft[]>()
    for (const agent of this.#dirtyAgents) {
      for (const draft of this.#agentBatch(known, batch, agent)) {
        if (draft.group === null || !this.#groups.has(draft.group)) batch.drafts.push(draft)
        else decisions.set(draft.group, [...(decisions.get(draft.group) ?? []), draft])
      }
    }
    for (const group of new Set([...this.#dirtyGroups, ...decisions.keys()])) {
      this.#groupBatch(known, batch, { group, wallMs, told: decisions.get(group) ?? [] })
    }
    this.#dirtyAgents.clear()
    this.#dirtyGroups.clear()
    return batch
  }

  #agentBatch(known: Known, batch: Batch, agent: string): readonly Draft[] {
    const sighting = this.#sightings.get(agent)
    if (sighting === undefined) return []
    const before = known.agents.get(agent) ?? null
    const reachable = sighting.status !== null
    if (before !== null && before.reachable !== reachable) {
      batch.drafts.push(agentDraft(agent, reachable, sighting.because, this.#options.clock.wallMs()))
    }
    const told = toldAfter(this.#told.get(agent) ?? [], before)
    const last = told.at(-1)
    const facts: AgentFacts = {
      reachable,
      boot: last?.boot ?? before?.boot ?? '',
      reasons: last?.number ?? before?.reasons ?? 0,
    }
    const same = before?.reachable === reachable && before.boot === facts.boot && before.reasons === facts.reasons
    if (!same) batch.agents.set(agent, facts)
    return told.map(({ reason }) => reasonDraft(agent, reason))
  }

  #groupBatch(
    known: Known,
    batch: Batch,
    { group, wallMs, told }: { readonly group: string; readonly wallMs: number; readonly told: readonly Draft[] },
  ): void {
    const now = this.#groups.get(group)
    if (now === undefined) return
    const before = known.groups.get(group) ?? null
    const facts = groupFacts(before, now, wallMs, told)
    if (before === null) {
      batch.drafts.push(...told)
      batch.groups.set(group, facts)
      return
    }
    const drafts = [...told, ...groupDrafts(before, now, wallMs)]
    const open = known.incidents.get(group) ?? null
    const incident = incidentAfter(open, { before, now, wallMs, drafts, freshId })
    if (incident !== null && JSON.stringify(incident) !== JSON.stringify(open)) batch.incidents.push(incident)
    const said = incidentDrafts(open, incident, wallMs)
    batch.drafts.push(...[...drafts, ...said].map((draft) => ({ ...draft, incident: incident?.id ?? null })))
    const kept = factsWith(facts, incident)
    if (drafts.length + said.length > 0 || JSON.stringify(before) !== JSON.stringify(kept))
      batch.groups.set(group, kept)
  }
}

function incidentDrafts(before: ApiIncident | null, now: ApiIncident | null, wallMs: number): readonly Draft[] {
  if (now === null) return []
  const base = { wallMs, kind: 'incident', group: now.group, member: now.to, source: 'server', rule: null } as const
  const detail = { id: now.id, kind: now.kind, from: now.from, to: now.to, writeGapMs: now.writeGapMs }
  const drafts: Draft[] = []
  if (before === null) {
    const summary = `incident: ${now.because}`
    drafts.push({ ...base, severity: 'critical', code: 'incident-opened', summary, incident: now.id, detail })
  }
  if (now.state === 'closed') {
    const gap = now.writeGapMs === null ? '' : `, no writer for ${Math.round(now.writeGapMs)} ms as seen from here`
    const summary = `${now.kind} over: ${now.from ?? 'nobody'} to ${now.to ?? now.from ?? 'nobody'}${gap}`
    drafts.push({ ...base, severity: 'notice', code: 'incident-closed', summary, incident: now.id, detail })
  }
  return drafts
}

async function loadKnown(read: Reading): Promise<Known> {
  const known: Known = { agents: new Map(), groups: new Map(), incidents: new Map() }
  for (const { key, body } of await read.selectFrom('facts').selectAll().execute()) {
    const name = key.slice(key.indexOf('/') + 1)
    if (key.startsWith('agent/')) known.agents.set(name, JSON.parse(body) as AgentFacts)
    if (key.startsWith('group/')) known.groups.set(name, JSON.parse(body) as GroupFacts)
  }
  for (const { body } of await read.selectFrom('incidents').select('body').where('state', '=', 'open').execute()) {
    const incident = JSON.parse(body) as ApiIncident
    known.incidents.set(incident.group, incident)
  }
  return known
}

async function writeKnown(writing: Writing, batch: Batch): Promise<void> {
  const facts = [
    ...[...batch.agents].map(([agent, body]) => ({ key: `agent/${agent}`, body: JSON.stringify(body) })),
    ...[...batch.groups].map(([group, body]) => ({ key: `group/${group}`, body: JSON.stringify(body) })),
  ]
  for (const row of facts) {
    await writing
      .insertInto('facts')
      .values(row)
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ body: row.body }))
      .execute()
  }
  for (const incident of batch.incidents) {
    const { id, group, state, openedMs } = incident
    const body = JSON.stringify(incident)
    await writing
      .insertInto('incidents')
      .values({ id, group_name: group, state, opened_ms: Math.round(openedMs), body })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ state, body }))
      .execute()
  }
}
