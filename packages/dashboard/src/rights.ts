/**
 * What the signed-in person may do, so that a button that would be refused is not offered. The server decides again at
 * every request; this is courtesy. Pure. A test keeps the table equal to the server's.
 */
import type { ApiRight, ApiRole, ApiService, ApiSession } from '@holdfast/client'

export const RIGHTS_OF: Readonly<Record<ApiRole, readonly ApiRight[]>> = {
  viewer: ['read'],
  operator: ['read', 'operate'],
  approver: ['read', 'approve'],
  auditor: ['read', 'audit'],
  admin: ['read', 'operate', 'approve', 'audit', 'admin'],
}

export function may(session: ApiSession, right: ApiRight): boolean {
  return session.rights.includes(right)
}

export function mayOver(
  session: ApiSession,
  right: ApiRight,
  group: string,
  services: readonly ApiService[] = [],
): boolean {
  if (may(session, right)) return true
  return session.grants.some((grant) => {
    if (!RIGHTS_OF[grant.role].includes(right)) return false
    const named = grant.groups?.includes(group) === true
    const served = services.some(
      (service) => grant.services?.includes(service.service) === true && service.groups.includes(group),
    )
    return named || served
  })
}

/** A move touches every group of a service, so the right is needed over each. */
export function mayOverAll(
  session: ApiSession,
  right: ApiRight,
  groups: readonly string[],
  services: readonly ApiService[] = [],
): boolean {
  if (may(session, right)) return true
  return groups.length > 0 && groups.every((group) => mayOver(session, right, group, services))
}

export function grantText(grant: ApiSession['grants'][number]): string {
  const scopes = [...(grant.groups ?? []), ...(grant.services ?? []).map((service) => `service ${service}`)]
  return scopes.length === 0 ? grant.role : `${grant.role} of ${scopes.join(', ')}`
}
