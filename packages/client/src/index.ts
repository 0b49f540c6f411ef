export type * from './agent-api.ts'
export {
  type AgentClient,
  type AgentClientOptions,
  createAgentClient,
  type Fetch,
  type FetchAnswer,
  type FetchInit,
  type Refusal,
  type Result,
  type Tried,
} from './agent-client.ts'
