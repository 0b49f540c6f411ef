/**
 * Talks to the agents of a platform over HTTP. Knows several and tries them in turn; every outcome is a value. A change
 * that may have reached an agent is never sent a second time: the answer is then `uncertain`.
 * No dependencies: it uses `fetch`; pass another one for an authority of your own (TLS) or a proxy.
 */
import type {
  AgentStatus,
  FaultOrder,
  FaultStatus,
  GroupCondition,
  GroupExplanation,
  IntentAccepted,
  IntentState,
  PlanWritten,
  StoredPlan,
} from './agent-api.ts'
import { attempt, type Call, type Fetch, type Refusal, type Result, type Tried } from './attempt.ts'

export interface AgentClientOptions {
  /** Base URLs of agents, e.g. `http://127.0.0.1:7301`; tried in this order. */
  readonly urls: readonly string[]
  readonly token: string
  /** Deadline of one attempt at one agent. Default 2000. */
  readonly timeoutMs?: number
  /** Default: the global `fetch`. */
  readonly fetch?: Fetch
}

export interface AgentClient {
  /** The view of each agent, in the order of `urls`; none is left out. */
  statusOfEach(): Promise<readonly { readonly url: string; readonly result: Result<AgentStatus> }[]>
  explain(group: string): Promise<Result<GroupExplanation>>
  switchover(
    group: string,
    body: { to?: string; by: string; dryRun?: boolean } & GroupCondition,
  ): Promise<Result<IntentAccepted>>
  failover(
    group: string,
    body: { to?: string; by: string; allowDataLoss: boolean } & GroupCondition,
  ): Promise<Result<IntentAccepted>>
  intent(group: string, id: string): Promise<Result<IntentState>>
  pause(
    group: string,
    body: { by: string; because: string; validMs: number } & GroupCondition,
  ): Promise<Result<{ ok: true }>>
  resume(group: string, body: { by: string } & GroupCondition): Promise<Result<{ ok: true }>>
  /** Begins to start the engine of a replica anew, unless it is another process than `ifStarted` by now. */
  restart(
    group: string,
    body: { member: string; by: string; ifEpoch: number; ifStarted: string },
  ): Promise<Result<{ ok: true }>>
  /** `part`: the plan itself, or the measured times of past ones. */
  plan(scope: string, part?: 'timings'): Promise<Result<StoredPlan>>
  writePlan(scope: string, body: { value: string; ifRevision: number }, part?: 'timings'): Promise<Result<PlanWritten>>
  /** Of a drill. A fault is one agent's own business: give this client one URL. */
  fault(order: FaultOrder): Promise<Result<FaultStatus>>
  faults(): Promise<Result<{ readonly faults: readonly FaultStatus[] }>>
  /** `id` `*`: every fault there. */
  liftFault(body: { id: string; by: string }): Promise<Result<{ readonly faults: readonly FaultStatus[] }>>
}

const TIMEOUT_MS = 2_000
/** Answers that another agent may not give: it has no member of the group, or is overloaded. */
const ASK_ANOTHER = new Set(['HF_GROUP_UNKNOWN', 'HF_BUSY', 'HF_PATH_UNKNOWN', 'HF_SERVICE_UNKNOWN'])

export function createAgentClient(options: AgentClientOptions): AgentClient {
  const at = (group: string, rest: string) => `/v1/groups/${encodeURIComponent(group)}/${rest}`
  const headers = { authorization: `Bearer ${options.token}` }
  const get = <T>(path: string) => ask<T>(options, { method: 'GET', path, headers })
  const post = <T>(path: string, body: object) => ask<T>(options, { method: 'POST', path, headers, body })
  return {
    statusOfEach: () =>
      Promise.all(
        options.urls.map(async (url) => {
          const only = { ...options, urls: [url] }
          return { url, result: await ask<AgentStatus>(only, { method: 'GET', path: '/v1/status', headers }) }
        }),
      ),
    explain: (group) => get(at(group, 'explain')),
    switchover: (group, body) => post(at(group, 'switchover'), body),
    failover: (group, body) => post(at(group, 'failover'), body),
    intent: (group, id) => get(at(group, `intents/${encodeURIComponent(id)}`)),
    pause: (group, body) => post(at(group, 'pause'), body),
    resume: (group, body) => post(at(group, 'resume'), body),
    restart: (group, body) => post(at(group, 'restart'), body),
    plan: (scope, part) => get(planAt(scope, part)),
    writePlan: (scope, body, part) => post(planAt(scope, part), body),
    fault: (order) => post('/v1/drills/faults', order),
    faults: () => get('/v1/drills/faults'),
    liftFault: (body) => post('/v1/drills/lift', body),
  }
}

function planAt(scope: string, part: 'timings' | undefined): string {
  return `/v1/plans/${encodeURIComponent(scope)}${part === undefined ? '' : `/${part}`}`
}

async function ask<T>(options: AgentClientOptions, call: Call): Promise<Result<T>> {
  const tried: Tried[] = []
  let refusal: Refusal | null = null
  for (const url of options.urls) {
    const result = await attempt<T>({ whom: 'an agent', timeoutMs: TIMEOUT_MS, ...options }, url, call)
    if (result.ok || result.kind === 'uncertain') return result
    if (result.kind === 'unreachable') {
      tried.push(...result.tried)
      continue
    }
    refusal = result
    if (!ASK_ANOTHER.has(result.code)) return result
  }
  return refusal ?? { ok: false, kind: 'unreachable', tried }
}
