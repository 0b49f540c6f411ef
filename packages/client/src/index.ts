export type * from './agent-api.ts'
export {
  type AgentClient,
  type AgentClientOptions,
  createAgentClient,
} from './agent-client.ts'
export type { Fetch, FetchAnswer, FetchInit, Refusal, Result, Tried } from './attempt.ts'
export {
  type AskInput,
  type AskRoute,
  createServerClient,
  type ServerClient,
  type ServerClientOptions,
} from './server-client.ts'
export { SERVER_ROUTES, type ServerRoutes } from './server-routes.ts'
export { type Following, type FollowOptions, followServer, type StreamState } from './server-stream.ts'
export type * from './server-types.ts'
