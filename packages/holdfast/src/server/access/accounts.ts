/** Users, sessions, tokens and the one-time code, in the database. Of every secret only the hash is kept. */
import { hash, timingSafeEqual } from 'node:crypto'
import type { ApiToken, ApiUser } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import { freshId, secretBytes } from '../../io/random.ts'
import type { Grant, Right } from '../api/roles.ts'
import type { Reading, Writing } from '../database/database.ts'
import type { TokenRow, UserRow } from '../database/tables.ts'
import type { Principal } from './grants.ts'

const SECRET_BYTES = 32
/** A working day; then one logs in again. */
export const SESSION_MS = 12 * 3_600_000
/** An open page asks all the time; a forgotten one closes by itself. */
export const IDLE_MS = 60 * 60_000
/** The time of use is written at most so often. */
const TOUCH_MS = 60_000
const SESSIONS_A_USER_MAX = 20
export const TOKENS_A_USER_MAX = 100
export const USERS_MAX = 5_000
/** A role that was lost at the provider is noticed at a log-in only: without one for so long, tokens wait for it. */
export const OIDC_TOKEN_MS = 30 * 24 * 3_600_000
const TOKEN_FORM = /^hft_([0-9a-f]{24})_([A-Za-z0-9_-]{43})$/

export function digest(secret: string): string {
  return hash('sha256', secret, 'hex')
}

export function freshSecret(): string {
  return secretBytes(SECRET_BYTES).toString('base64url')
}

export function sameText(a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}

export function userOf(row: UserRow): ApiUser {
  return {
    user: row.name,
    display: row.display,
    by: row.by_kind as ApiUser['by'],
    disabled: row.disabled === 1,
    grants: JSON.parse(row.grants) as ApiUser['grants'],
    createdMs: row.created_ms,
    lastLoginMs: row.last_login_ms,
  }
}

export function tokenOf(row: TokenRow): ApiToken {
  return {
    id: row.id,
    user: row.user_name,
    label: row.label,
    rights: JSON.parse(row.rights) as ApiToken['rights'],
    groups: row.groups === null ? null : (JSON.parse(row.groups) as string[]),
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    lastUsedMs: row.last_used_ms,
  }
}

export async function findUser(read: Reading, name: string): Promise<UserRow | null> {
  return (await read.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst()) ?? null
}

export async function userCount(read: Reading): Promise<number> {
  const row = await read
    .selectFrom('users')
    .select((of) => of.fn.countAll().as('count'))
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

export interface Session {
  readonly secret: string
  readonly csrf: string
  readonly expiresMs: number
}

export async function openSession(
  writing: Writing,
  { user, by, wallMs }: { readonly user: string; readonly by: 'password' | 'oidc'; readonly wallMs: number },
): Promise<Session> {
  const session = { secret: freshSecret(), csrf: freshSecret(), expiresMs: Math.round(wallMs + SESSION_MS) }
  const atMs = Math.round(wallMs)
  await writing.deleteFrom('sessions').where('expires_ms', '<=', atMs).execute()
  const own = await writing
    .selectFrom('sessions')
    .select('hash')
    .where('user_name', '=', user)
    .orderBy('created_ms', 'desc')
    .offset(SESSIONS_A_USER_MAX - 1)
    .limit(SESSIONS_A_USER_MAX)
    .execute()
  for (const { hash: old } of own) await writing.deleteFrom('sessions').where('hash', '=', old).execute()
  await writing
    .insertInto('sessions')
    .values({
      hash: digest(session.secret),
      user_name: user,
      by_kind: by,
      csrf: session.csrf,
      created_ms: atMs,
      used_ms: atMs,
      expires_ms: session.expiresMs,
    })
    .execute()
  await writing.updateTable('users').set({ last_login_ms: atMs }).where('name', '=', user).execute()
  return session
}

/** Another one writes just now: then the next request notes the time of use. */
async function ifFree(touch: Promise<unknown>): Promise<void> {
  await touch.catch(() => undefined)
}

/** Null when the cookie is of nobody, ran out, or its user was disabled. */
export async function bySession(read: Reading, secret: string, wallMs: number): Promise<Principal | null> {
  const hashed = digest(secret)
  const row = await read
    .selectFrom('sessions')
    .innerJoin('users', 'users.name', 'sessions.user_name')
    .select(['users.name', 'users.display', 'users.disabled', 'users.grants'])
    .select(['sessions.by_kind', 'sessions.csrf', 'sessions.used_ms', 'sessions.expires_ms'])
    .where('sessions.hash', '=', hashed)
    .executeTakeFirst()
  if (row === undefined || row.disabled === 1) return null
  if (wallMs >= row.expires_ms || wallMs - row.used_ms > IDLE_MS) return null
  if (wallMs - row.used_ms > TOUCH_MS) {
    const touch = read
      .updateTable('sessions')
      .set({ used_ms: Math.round(wallMs) })
      .where('hash', '=', hashed)
    await ifFree(touch.execute())
  }
  return {
    user: row.name,
    display: row.display,
    by: row.by_kind as 'password' | 'oidc',
    grants: JSON.parse(row.grants) as Grant[],
    token: null,
    session: { hash: hashed, csrf: row.csrf },
    expiresMs: row.expires_ms,
  }
}

export async function byToken(read: Reading, token: string, wallMs: number): Promise<Principal | null> {
  const id = TOKEN_FORM.exec(token)?.[1]
  if (id === undefined) return null
  const row = await read
    .selectFrom('tokens')
    .innerJoin('users', 'users.name', 'tokens.user_name')
    .selectAll('tokens')
    .select(['users.display', 'users.disabled', 'users.grants', 'users.by_kind', 'users.last_login_ms'])
    .where('tokens.id', '=', id)
    .executeTakeFirst()
  if (row === undefined || !sameText(row.hash, digest(token)) || row.disabled === 1 || wallMs >= row.expires_ms) {
    return null
  }
  if (row.by_kind === 'oidc' && wallMs - (row.last_login_ms ?? 0) > OIDC_TOKEN_MS) {
    const message = `${row.user_name} has not logged in at the identity provider for 30 days`
    throw new HoldfastError('HF_AUTH_REQUIRED', message, 'log in once at the dashboard; then the token counts again')
  }
  if (row.last_used_ms === null || wallMs - row.last_used_ms > TOUCH_MS) {
    const touch = read
      .updateTable('tokens')
      .set({ last_used_ms: Math.round(wallMs) })
      .where('id', '=', id)
    await ifFree(touch.execute())
  }
  const { rights, groups } = tokenOf(row)
  return {
    user: row.user_name,
    display: row.display,
    by: 'token',
    grants: JSON.parse(row.grants) as Grant[],
    token: { id, rights: rights as readonly Right[], groups },
    session: null,
    expiresMs: row.expires_ms,
  }
}

export function freshToken(): { readonly id: string; readonly secret: string } {
  const id = freshId()
  return { id, secret: `hft_${id}_${freshSecret()}` }
}

const CODE_MS = 3_600_000
/** Without letters and digits that look alike. */
const CODE_LETTERS = 'ABCDEFGHJKMNPQRSTVWXYZ23456789'

/** A code that makes the first admin: one hour, once. A newer one replaces it. */
export async function freshCode(writing: Writing, wallMs: number): Promise<string> {
  const letters = [...secretBytes(16)].map((byte) => CODE_LETTERS[byte % CODE_LETTERS.length])
  const code = [0, 4, 8, 12].map((at) => letters.slice(at, at + 4).join('')).join('-')
  const row = { kind: 'first-admin', hash: digest(code), expires_ms: Math.round(wallMs + CODE_MS) }
  await writing
    .insertInto('one_time_codes')
    .values(row)
    .onConflict((conflict) => conflict.column('kind').doUpdateSet({ hash: row.hash, expires_ms: row.expires_ms }))
    .execute()
  return code
}

/** Uses the code up. Throws `HF_CODE_INVALID` for a wrong one, one that ran out, and one that was used. */
export async function useCode(writing: Writing, code: string, wallMs: number): Promise<void> {
  const row = await writing
    .selectFrom('one_time_codes')
    .selectAll()
    .where('kind', '=', 'first-admin')
    .executeTakeFirst()
  const given = digest(code.trim().toUpperCase())
  if (row === undefined || !sameText(row.hash, given) || wallMs >= row.expires_ms) {
    const next = 'start the server with --admin-code to get a new one'
    throw new HoldfastError('HF_CODE_INVALID', 'this code is wrong, was used, or ran out', next)
  }
  const used = await writing.deleteFrom('one_time_codes').where('hash', '=', row.hash).executeTakeFirst()
  if (Number(used.numDeletedRows) !== 1) throw new HoldfastError('HF_CODE_INVALID', 'this code was used', 'log in')
}
