/** From grants to the answer whether somebody may. Pure. */
import type { Grant, Right } from '../api/roles.ts'
import { RIGHTS_OF } from '../api/roles.ts'
import type { ApiRoute } from '../api/routes.ts'

/** Who a request comes from. */
export interface Principal {
  readonly user: string
  readonly display: string
  readonly by: 'password' | 'oidc' | 'token'
  readonly grants: readonly Grant[]
  /** What a token narrows its user to; null for sessions. */
  readonly token: {
    readonly id: string
    readonly rights: readonly Right[]
    readonly groups: readonly string[] | null
  } | null
  readonly session: { readonly hash: string; readonly csrf: string } | null
  readonly expiresMs: number | null
}

/** Groups of each service. */
export type Services = ReadonlyMap<string, readonly string[]>

/** About the whole platform; a grant over one group does not give them. */
const PLATFORM_ONLY: ReadonlySet<Right> = new Set<Right>(['audit', 'admin'])

function isWhole({ groups, services }: Grant): boolean {
  return groups === undefined && services === undefined
}

function covers(grant: Grant, group: string, services: Services): boolean {
  if (isWhole(grant) || grant.groups?.includes(group) === true) return true
  return grant.services?.some((name) => services.get(name)?.includes(group) === true) ?? false
}

/** Over this group, or with null over the whole platform. */
export function rightsOver(who: Principal, group: string | null, services: Services): ReadonlySet<Right> {
  const rights = new Set<Right>()
  for (const grant of who.grants) {
    const applies = group === null ? isWhole(grant) : covers(grant, group, services)
    if (!applies) continue
    for (const right of RIGHTS_OF[grant.role]) {
      if (isWhole(grant) || !PLATFORM_ONLY.has(right)) rights.add(right)
    }
  }
  const { token } = who
  if (token === null) return rights
  const within = token.groups === null || (group !== null && token.groups.includes(group))
  return new Set(within ? [...rights].filter((right) => token.rights.includes(right)) : [])
}

/** Groups of these that may be read; null: all there are and will be. */
export function readable(who: Principal, groups: readonly string[], services: Services): ReadonlySet<string> | null {
  if (rightsOver(who, null, services).has('read')) return null
  return new Set(groups.filter((group) => rightsOver(who, group, services).has('read')))
}

export interface Asked {
  readonly route: ApiRoute
  /** The group in the path, or those of its service, if there is one. */
  readonly over: readonly string[] | null
  readonly groups: readonly string[]
  readonly services: Services
}

export function mayCall(who: Principal, { route, over, groups, services }: Asked): boolean {
  const { needs } = route
  if (needs === 'public' || needs === 'session') return true
  if (over !== null) return mayOver(who, needs, over, services)
  if (needs !== 'read') return rightsOver(who, null, services).has(needs)
  // What is read of the whole is narrowed to the groups that may be seen; there must be one.
  return readable(who, groups, services)?.size !== 0
}

/** Over each of these groups. What has no group (nobody knows it) asks for the right over everything. */
export function mayOver(who: Principal, right: Right, groups: readonly string[], services: Services): boolean {
  if (groups.length === 0) return rightsOver(who, null, services).has(right)
  return groups.every((group) => rightsOver(who, group, services).has(right))
}

/** Groups of a service; a group in none is one of its own, named `group:NAME`, as plans call it. */
export function groupsOfScope(scope: string, groups: readonly string[], services: Services): readonly string[] {
  const alone = scope.startsWith('group:') ? scope.slice('group:'.length) : null
  if (alone === null) return services.get(scope) ?? []
  return groups.includes(alone) && ![...services.values()].some((own) => own.includes(alone)) ? [alone] : []
}

/** As the audit log and the agents are told. */
export function nameOf(who: Principal): string {
  return who.token === null ? `user ${who.user}` : `token ${who.token.id} of ${who.user}`
}
