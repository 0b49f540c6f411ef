/**
 * How the simulator reaches the core: exactly the two functions that the agent drives, plus what an agent tells its
 * peers. Planted bugs wrap a port; the core itself is never touched.
 */
import type { MemberName, PeerReport } from '../core/model.ts'
import type { NodeEvent, NodeSettings, NodeState } from '../core/node.ts'
import type { StepResult } from '../core/protocol.ts'

export interface CorePort {
  start(settings: NodeSettings, bootId: string, nowMs: number): NodeState
  step(state: NodeState, event: NodeEvent, settings: NodeSettings): StepResult<NodeState>
  report(state: NodeState, member: MemberName, settings: NodeSettings, nowMs: number): PeerReport | null
}
