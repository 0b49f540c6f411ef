/**
 * What a relay before a door shall do. A relay (HAProxy) carries the bytes of clients that are joined to the primary
 * while all is well; whoever has to wait or to be told why stays with the router's own door.
 */
import type { MemberName } from '../model.ts'
import type { RouteState } from './route.ts'

export type RelayMode =
  /** New connections go straight to the primary. */
  | { readonly to: 'member'; readonly member: MemberName }
  /** Nobody is let in; who comes waits before the door, for a moment. */
  | { readonly to: 'nobody' }
  /** New connections go to the router's own door. */
  | { readonly to: 'router' }

export interface RelayTurn {
  readonly mode: RelayMode
  /** When it is to be asked again, whatever happens; null: not before the next event. */
  readonly wakeAtMs: number | null
}

const NOBODY: RelayMode = { to: 'nobody' }
const ROUTER: RelayMode = { to: 'router' }

/**
 * `changingSinceMs`: when the present `changing` began, null in any other state. Clients that come during a change wait
 * before the door for `patienceMs`, so that they are carried by the relay afterwards; who comes later is held by the
 * router, which refuses with a reason in the end.
 */
export function relayTurn(
  { kind, standing, quiet }: Pick<RouteState, 'kind' | 'standing' | 'quiet'>,
  changingSinceMs: number | null,
  patienceMs: number,
  nowMs: number,
): RelayTurn {
  if (kind === 'open' && standing?.member) {
    if (quiet !== null && nowMs < quiet.untilMs) return { mode: NOBODY, wakeAtMs: quiet.untilMs }
    return { mode: { to: 'member', member: standing.member }, wakeAtMs: null }
  }
  const untilMs = (changingSinceMs ?? Number.NEGATIVE_INFINITY) + patienceMs
  return kind === 'changing' && nowMs < untilMs ? { mode: NOBODY, wakeAtMs: untilMs } : { mode: ROUTER, wakeAtMs: null }
}

export function sameMode(one: RelayMode, other: RelayMode): boolean {
  if (one.to !== other.to) return false
  return one.to !== 'member' || other.to !== 'member' || one.member === other.member
}
