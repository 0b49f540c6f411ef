/** Looks at the agents while the demo runs: who leads, is everybody well, and every decision with its reason, once. */
import { type AgentStatus, createAgentClient, type MemberStatus, type ReasonLine } from '@holdfast/client'
import { systemClock } from '../../io/clock.ts'
import type { Layout } from './layout.ts'
import { sleep } from './ledger.ts'

export interface Watcher {
  /** Newest status of every agent that answered lately. */
  statuses(): readonly AgentStatus[]
  primary(): MemberStatus | null
  /** One primary, the others streaming, and in sync mode a standby that may take over. */
  well(sync: boolean): boolean
  /** Decisions since this wall time, oldest first. */
  since(wallMs: number): readonly ReasonLine[]
  /** Gives up at the bound, and when the watcher was stopped. */
  waitFor(what: () => boolean, boundMs: number): Promise<boolean>
  stop(): void
}

const LOOK_MS = 50
/** A status older than this says nothing: its agent is down or frozen. */
const STALE_MS = 600
const REASONS_MAX = 5_000

export type Watched = Pick<Layout, 'token' | 'members'>

export function startWatcher(layout: Watched, onReason: (line: ReasonLine) => void): Watcher {
  const latest = new Map<string, { status: AgentStatus; atMs: number }>()
  const seen = new Set<string>()
  const reasons: ReasonLine[] = []
  let running = true

  const take = (status: AgentStatus): void => {
    latest.set(status.agent, { status, atMs: systemClock.nowMs() })
    for (const line of status.reasons) {
      const key = `${line.wallMs}/${line.member}/${line.code}/${JSON.stringify(line.detail)}`
      if (seen.has(key) || reasons.length >= REASONS_MAX) continue
      seen.add(key)
      reasons.push(line)
      onReason(line)
    }
  }
  for (const url of new Set(layout.members.map(({ agentUrl }) => agentUrl))) {
    const client = createAgentClient({ urls: [url], token: layout.token, timeoutMs: 300 })
    void (async () => {
      while (running) {
        for (const { result } of await client.statusOfEach()) if (result.ok) take(result.value)
        await sleep(LOOK_MS)
      }
    })()
  }
  const statuses = (): AgentStatus[] => {
    const fromMs = systemClock.nowMs() - STALE_MS
    return [...latest.values()].filter((l) => l.atMs >= fromMs).map((l) => l.status)
  }
  const members = (): MemberStatus[] => statuses().flatMap((s) => s.members)
  const primary = (): MemberStatus | null => {
    const leading = members().filter((m) => m.role === 'primary' && m.writableForMs > 0)
    return leading.sort((a, b) => b.epoch - a.epoch)[0] ?? null
  }
  return {
    statuses,
    primary,
    well: (sync) => {
      const all = members()
      const leader = primary()
      if (leader === null || all.length < layout.members.length) return false
      const following = all.filter((m) => m.engine?.receiving === true && m.engine.upstream === leader.member)
      const eligible = statuses().find((s) => s.agent === leader.agent)?.groups[0]?.eligible ?? []
      const covered = !sync || eligible.some((m) => m !== leader.member)
      return following.length === layout.members.length - 1 && covered
    },
    since: (wallMs) => reasons.filter((r) => r.wallMs >= wallMs).sort((a, b) => a.wallMs - b.wallMs),
    waitFor: async (what, boundMs) => {
      const untilMs = systemClock.nowMs() + boundMs
      while (running && systemClock.nowMs() < untilMs) {
        if (what()) return true
        await sleep(20)
      }
      return what()
    },
    stop: () => {
      running = false
    },
  }
}
