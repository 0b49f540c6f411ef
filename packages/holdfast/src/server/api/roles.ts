/** Who may do what. A role is a set of rights; a grant gives one over everything or over named groups and services. */
import { z } from 'zod'
import { name, named } from './shape.ts'

export const RIGHTS = ['read', 'operate', 'approve', 'audit', 'admin'] as const
export type Right = (typeof RIGHTS)[number]

export const ROLES = ['viewer', 'operator', 'approver', 'auditor', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** `audit` and `admin` are about the whole platform, so a grant of them over one group gives only its other rights. */
export const RIGHTS_OF: Readonly<Record<Role, readonly Right[]>> = {
  viewer: ['read'],
  operator: ['read', 'operate'],
  approver: ['read', 'approve'],
  auditor: ['read', 'audit'],
  admin: ['read', 'operate', 'approve', 'audit', 'admin'],
}

/** More grants than groups and services make sense of nothing. */
const SCOPES_MAX = 512

export const roleSchema = named('Role', z.enum(ROLES).describe('A set of rights.'))
export const rightSchema = named('Right', z.enum(RIGHTS).describe('What a route asks for.'))

export const grantSchema = named(
  'Grant',
  z.strictObject({
    role: roleSchema,
    groups: z.array(name()).max(SCOPES_MAX).optional().describe('Only over these groups.'),
    services: z.array(name()).max(SCOPES_MAX).optional().describe('Only over the groups of these services.'),
  }),
)
export type Grant = z.output<typeof grantSchema>
