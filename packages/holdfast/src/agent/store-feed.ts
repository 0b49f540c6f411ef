/**
 * What the store says without being asked: a watch on records and on the sessions of those who hold them, and a
 * linearizable read of each group's record at the start and once per ttl in case a watch broke silently. A value that
 * makes no sense is not passed on.
 */
import type { AgentName, GroupName, GroupRecord } from '../core/model.ts'
import type { NodeSettings } from '../core/node.ts'
import type { Store, StoredValue, Watch } from '../store/contract.ts'
import type { Mailbox } from './mailbox.ts'
import { GROUPS, parseGroupRecord, parseSessionRecord, SESSIONS, sessionKey } from './records.ts'
import type { StorePort } from './store-port.ts'

export interface StoreFeedOptions {
  readonly store: Store
  readonly port: StorePort
  readonly mailbox: Mailbox
  readonly settings: NodeSettings
  readonly onGap: (because: string) => void
  readonly onRecord: (record: GroupRecord) => void
}

/** Each watch has a connection; beyond these one watch takes all sessions. */
const HOLDERS_MAX = 8
const EVERYBODY: ReadonlySet<AgentName> = new Set([''])

export class StoreFeed {
  readonly #options: StoreFeedOptions
  readonly #ttlByGroup: ReadonlyMap<GroupName, number>
  readonly #agents: ReadonlySet<string>
  #groups: Watch | null = null
  /** By agent. */
  readonly #sessions = new Map<AgentName, Watch>()
  #timers = new Map<GroupName, NodeJS.Timeout>()
  #closed = false

  constructor(options: StoreFeedOptions) {
    const { settings } = options
    this.#options = options
    this.#ttlByGroup = new Map(settings.members.map((m) => [m.group, m.timing.ttlMs]))
    this.#agents = new Set(settings.members.flatMap((m) => m.members.map((other) => other.agent)))
  }

  start(): void {
    const { store, onGap } = this.#options
    this.#groups = store.watch(GROUPS, { onEntry: (entry) => this.#group(entry), onGap })
    for (const group of this.#ttlByGroup.keys()) void this.#read(group)
  }

  /**
   * The core looks at the sessions of holders alone, and every beat of any other agent would wake us for nothing.
   * Cheap to repeat.
   */
  watchSessionsOf(holders: ReadonlySet<AgentName>): void {
    if (this.#closed) return
    const { store, onGap } = this.#options
    const wanted = holders.size > HOLDERS_MAX ? EVERYBODY : holders
    for (const agent of wanted) {
      if (this.#sessions.has(agent)) continue
      this.#sessions.set(agent, store.watch(sessionKey(agent), { onEntry: (entry) => this.#session(entry), onGap }))
    }
    for (const [agent, watch] of this.#sessions) {
      if (wanted.has(agent)) continue
      this.#sessions.delete(agent)
      watch.close()
    }
  }

  close(): void {
    this.#closed = true
    this.#groups?.close()
    for (const watch of this.#sessions.values()) watch.close()
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }

  #group(entry: StoredValue): void {
    const { port, mailbox, onRecord } = this.#options
    const group = entry.key.slice(GROUPS.length)
    if (this.#closed || !this.#ttlByGroup.has(group)) return
    const parsed = port.parsed(entry, (text) => parseGroupRecord(text, group))
    if (!parsed.ok) return
    const { value } = parsed
    if (value !== null) onRecord(value)
    const { revision } = entry
    mailbox.toGroup(group, { kind: 'record', revision, value, sentAtMs: null, id: null, nowMs: mailbox.nowMs() })
  }

  #session(entry: StoredValue): void {
    const { port, mailbox } = this.#options
    const agent = entry.key.slice(SESSIONS.length)
    // A watch takes all keys that begin like the agent's.
    const wanted = this.#sessions.has(agent) || this.#sessions.has('')
    if (this.#closed || !wanted || !this.#agents.has(agent)) return
    const parsed = port.parsed(entry, (text) => parseSessionRecord(text, agent))
    if (!parsed.ok) return
    const { value } = parsed
    mailbox.toSharersOf(agent, { kind: 'session', agent, value, sentAtMs: null, id: null, nowMs: mailbox.nowMs() })
  }

  /** An unknown outcome is tried again after one request time, so that a start during a short outage is not lost. */
  async #read(group: GroupName): Promise<void> {
    const { port, mailbox, settings, onRecord } = this.#options
    const { sentAtMs, outcome } = await port.readGroup(group)
    if (this.#closed) return
    if (outcome.kind === 'ok') {
      const { revision, value } = outcome
      if (value !== null) onRecord(value)
      mailbox.toGroup(group, { kind: 'record', revision, value, sentAtMs, id: null, nowMs: mailbox.nowMs() })
    }
    const againMs = outcome.kind === 'ok' ? (this.#ttlByGroup.get(group) ?? settings.ttlMs) : settings.requestMs
    this.#timers.set(
      group,
      setTimeout(() => void this.#read(group), againMs),
    )
  }
}
