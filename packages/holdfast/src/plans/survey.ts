/** What a plan is made from: the description, what agents say now, who would refuse, how long it took before. */
import type { AgentClient, GroupExplanation } from '@holdfast/client'
import { type GroupSpec, groupByName, type Platform, type ServiceSpec } from '../config/platform.ts'
import type { GroupFacts, MemberFacts, Survey } from '../core/site-plan/draft.ts'
import { clientFor } from './agent-clients.ts'
import { agentsBeside, type GroupLook, Lookout } from './look.ts'
import { type PlanPort, whyNot } from './plan-port.ts'

/** Nothing waits for a survey, so a busy agent may take its time. */
const ASK_MS = 2_000
/** Exclusions that no acceptance of loss can mend. */
const NEVER = new Set(['no-failover', 'not-seen', 'data-not-ready', 'engine-not-answering', 'system-id-differs'])

export interface SurveyOptions {
  readonly platform: Platform
  readonly port: PlanPort
  /** A planned move asks each candidate's group whether it would refuse; a failover asks who may take over. */
  readonly planned: boolean
}

/** A service of one group, for a group that is in none. */
export function scopeOf(group: GroupSpec): Pick<ServiceSpec, 'name' | 'groups' | 'hooks'> {
  return { name: `group:${group.name}`, groups: [{ group: group.name, after: [] }], hooks: [] }
}

export async function surveyOf(
  one: Pick<ServiceSpec, 'name' | 'groups' | 'hooks'>,
  options: SurveyOptions,
): Promise<Survey> {
  const { platform, port } = options
  const lookout = new Lookout(platform, ASK_MS)
  const specs = one.groups.flatMap(({ group }) => groupByName(platform, group) ?? [])
  return {
    scope: one.name,
    order: one.groups,
    groups: await Promise.all(specs.map(async (group) => factsOf(group, await lookout.group(group), options))),
    hooks: one.hooks.map((hook) => ({ ...hook, undo: hook.undo !== null })),
    past: await port.pastRuns(one.name),
  }
}

async function factsOf(group: GroupSpec, look: GroupLook, options: SurveyOptions): Promise<GroupFacts> {
  const { view } = look
  const client = clientFor(agentsBeside(options.platform, group), ASK_MS)
  const explained = options.planned ? null : await client.explain(group.name)
  const explanation = explained?.ok === true ? explained.value : null
  const members = group.members.map(async (spec): Promise<MemberFacts> => {
    const heard = look.members.find(({ member }) => member === spec.name) ?? null
    const verdict =
      spec.name === view.holder
        ? FINE
        : explanation === null && options.planned
          ? await dryRun(client, group.name, spec.name)
          : verdictOf(explanation, spec.name)
    return {
      member: spec.name,
      site: spec.site,
      priority: spec.priority,
      heard: heard !== null,
      refusal: heard === null ? 'its agent does not answer' : verdict.refusal,
      never: heard === null || spec.noFailover || verdict.never,
      lagBytes: heard?.lagBytes ?? null,
      started: view.engines[spec.name]?.started ?? null,
      following: view.engines[spec.name]?.following ?? false,
    }
  })
  return {
    group: group.name,
    epoch: view.epoch,
    holder: view.holder,
    open: view.phase === 'open' && view.writable,
    pausedBy: view.paused?.by ?? null,
    members: await Promise.all(members),
    replication: group.replication,
    timing: group.timing,
  }
}

interface Verdict {
  readonly refusal: string | null
  readonly never: boolean
}

const FINE: Verdict = { refusal: null, never: false }

async function dryRun(client: AgentClient, group: string, to: string): Promise<Verdict> {
  const result = await client.switchover(group, { to, by: 'survey', dryRun: true })
  return result.ok ? FINE : { refusal: whyNot(result), never: false }
}

function verdictOf(explanation: GroupExplanation | null, member: string): Verdict {
  const found = explanation?.candidates.find((one) => one.member === member)
  if (found === undefined) return { refusal: 'no agent explains the group', never: false }
  if (found.eligible) return FINE
  const words = found.because.map(({ code, rule, detail }) => {
    const numbers = Object.entries(detail).map(([name, value]) => `${name}=${String(value)}`)
    return [code, rule === undefined ? '' : `(${rule})`, ...numbers].filter((word) => word !== '').join(' ')
  })
  return { refusal: words.join(', '), never: found.because.some(({ code }) => NEVER.has(code)) }
}
