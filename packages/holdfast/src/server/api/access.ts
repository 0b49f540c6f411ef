/** Who somebody is: sessions, users, tokens. Secrets go in and, but for a new token once, never come out. */
import { z } from 'zod'
import { grantSchema, rightSchema } from './roles.ts'
import { account, id, name, named, text, wallMs } from './shape.ts'

/** Shorter ones are guessed; longer ones only cost time to hash. */
const PASSWORD_MIN = 12
const PASSWORD_MAX = 256
const GRANTS_MAX = 64
const TOKEN_DAYS_MAX = 366

const password = () => z.string().min(PASSWORD_MIN).max(PASSWORD_MAX)

export const methodsSchema = named(
  'LoginMethods',
  z.object({
    platform: z.string(),
    firstAdmin: z.boolean().describe('Nobody has an account yet: use the one-time code the server printed.'),
    oidc: z.object({ label: z.string() }).nullable().describe('Go to /api/v1/session/oidc.'),
  }),
)

export const loginBody = named(
  'Login',
  z.strictObject({ user: account(), password: z.string().min(1).max(PASSWORD_MAX) }),
)

export const firstAdminBody = named(
  'FirstAdmin',
  z.strictObject({ code: z.string().min(1).max(64), user: account(), password: password() }),
)

export const sessionSchema = named(
  'Session',
  z.object({
    user: z.string(),
    display: z.string(),
    by: z.enum(['password', 'oidc', 'token']),
    grants: z.array(grantSchema),
    rights: z.array(rightSchema).describe('Over the whole platform.'),
    expiresMs: wallMs().nullable(),
    csrf: z.string().describe('Send it as `holdfast-csrf` with every change; empty for tokens, which need none.'),
  }),
)

export const oidcCallbackQuery = z.object({
  code: z.string().max(4_096).optional(),
  state: z.string().max(256).optional(),
  error: z.string().max(256).optional(),
})

export const passwordBody = named(
  'PasswordChange',
  z.strictObject({ old: z.string().min(1).max(PASSWORD_MAX), new: password() }),
)

export const userSchema = named(
  'User',
  z.object({
    user: z.string(),
    display: z.string(),
    by: z.enum(['password', 'oidc']),
    disabled: z.boolean(),
    grants: z.array(grantSchema),
    createdMs: wallMs(),
    lastLoginMs: wallMs().nullable(),
  }),
)

export const userBody = named(
  'NewUser',
  z.strictObject({
    user: account(),
    display: text().optional(),
    password: password(),
    grants: z.array(grantSchema).max(GRANTS_MAX),
  }),
)

export const userChange = named(
  'UserChange',
  z.strictObject({
    display: text().optional(),
    password: password().optional(),
    disabled: z.boolean().optional(),
    grants: z.array(grantSchema).max(GRANTS_MAX).optional(),
  }),
)

export const tokenSchema = named(
  'Token',
  z.object({
    id: z.string(),
    user: z.string(),
    label: z.string(),
    rights: z.array(rightSchema).describe('At most these, and only while its user has them.'),
    groups: z.array(z.string()).nullable().describe('Only over these; null: all its user has.'),
    createdMs: wallMs(),
    expiresMs: wallMs(),
    lastUsedMs: wallMs().nullable(),
  }),
)

export const tokenBody = named(
  'NewToken',
  z.strictObject({
    label: text(),
    rights: z.array(rightSchema).min(1).max(8),
    groups: z.array(name()).max(512).optional(),
    validDays: z.int().min(1).max(TOKEN_DAYS_MAX),
  }),
)

export const newTokenSchema = named(
  'TokenMade',
  z.object({ token: tokenSchema, secret: z.string().describe('Shown once; only its hash is kept.') }),
)

export const userParams = z.strictObject({ user: account() })
export const tokenParams = z.strictObject({ id: id() })
