/** Looks at the plans of the shop while a scenario runs, and knows from the agents' statuses where the shop is. */
import { type AgentStatus, createAgentClient, type MemberStatus } from '@holdfast/client'
import type { PlanRecord } from '../../core/site-plan/plan.ts'
import { portOver } from '../../plans/plan-port.ts'
import { Progress } from '../plan-screen.ts'
import { sleep } from './ledger.ts'
import { GROUPS, type Group, type ShopLayout, type Site } from './shop-layout.ts'

const LOOK_MS = 100
const ASK_MS = 500

export interface PlanWatch {
  /** Newest plan of the service, whatever became of it. */
  plan(): PlanRecord | null
  stop(): void
}

export function startPlanWatch({ members, token }: ShopLayout, say: (line: string) => void): PlanWatch {
  const urls = [...new Set(members.map(({ agentUrl }) => agentUrl))]
  const port = portOver(createAgentClient({ urls, token, timeoutMs: ASK_MS }))
  let plan: PlanRecord | null = null
  let progress = new Progress()
  let running = true
  void (async () => {
    while (running) {
      const read = await port.read('shop').catch(() => null)
      if (read?.ok === true && read.plan !== null) {
        if (read.plan.id !== plan?.id) progress = new Progress()
        plan = read.plan
        for (const line of progress.news(plan)) say(`plan  ${plan.kind}: ${line}`)
      }
      await sleep(LOOK_MS)
    }
  })()
  return {
    plan: () => plan,
    stop: () => {
      running = false
    },
  }
}

/** Who takes writes of this group, the newest if two believe so. */
export function leaderOf(statuses: readonly AgentStatus[], group: Group): MemberStatus | null {
  const leading = statuses.flatMap(({ members }) => members.filter((m) => m.group === group && m.writableForMs > 0))
  return leading.sort((a, b) => b.epoch - a.epoch)[0] ?? null
}

/** Every group takes writes here. */
export function ledAt(statuses: readonly AgentStatus[], site: Site): boolean {
  return GROUPS.every((group) => leaderOf(statuses, group)?.site === site)
}

/** The same, and the other site follows, has confirmed, and nothing is held. */
export function wholeAt(statuses: readonly AgentStatus[], site: Site): boolean {
  if (!ledAt(statuses, site)) return false
  const seen = statuses.flatMap(({ groups }) => groups)
  return GROUPS.every((group) => {
    const leader = leaderOf(statuses, group)
    const follows = statuses.some(({ members }) =>
      members.some((m) => m.group === group && m.site !== site && m.engine?.receiving === true),
    )
    const own = seen.filter((g) => g.group === group)
    const covered = own.some((g) => g.holder === leader?.member && g.eligible.some((m) => m !== leader?.member))
    return follows && covered && own.every((g) => g.paused === null)
  })
}
