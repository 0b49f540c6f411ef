/** Accounts and tokens. Nobody gives more than he has, and the last who may administer stays. */
import type { ApiToken } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import {
  digest,
  findUser,
  freshToken,
  TOKENS_A_USER_MAX,
  tokenOf,
  USERS_MAX,
  userCount,
  userOf,
} from '../access/accounts.ts'
import { type Principal, rightsOver } from '../access/grants.ts'
import type { Grant } from '../api/roles.ts'
import type { Writing } from '../database/database.ts'
import type { UserRow } from '../database/tables.ts'
import { document, type Handlers } from '../http/request.ts'
import { groupNames, type Scene } from '../scene.ts'
import { present } from './approvals.ts'
import { unknown } from './platform.ts'
import { changeWithTrail, type Deed } from './trail.ts'

type UserHandlers = Pick<
  Handlers,
  'users' | 'addUser' | 'changeUser' | 'removeUser' | 'tokens' | 'addToken' | 'removeToken'
>

const DAY_MS = 86_400_000

export function userHandlers(scene: Scene): UserHandlers {
  const { database } = scene
  const deedOf = (who: Principal | null, address: string, action: string, user: string): Deed => {
    return { who, address, action, subject: `user ${user}`, outcome: 'done' }
  }
  return {
    users: async () => {
      const rows = await database.read.selectFrom('users').selectAll().orderBy('name').execute()
      return document(rows.map(userOf))
    },
    addUser: async ({ body, who, address }) => {
      knownGrants(scene, body.grants)
      const password = await scene.passwords.hash(body.password)
      const row: UserRow = {
        name: body.user,
        display: body.display ?? body.user,
        by_kind: 'password',
        identity: null,
        password,
        disabled: 0,
        grants: JSON.stringify(body.grants),
        created_ms: Math.round(scene.clock.wallMs()),
        last_login_ms: null,
      }
      const deed = { ...deedOf(who, address, 'addUser', body.user), detail: { grants: row.grants } }
      await changeWithTrail(scene, deed, async (writing) => {
        if ((await userCount(writing)) >= USERS_MAX) throw full(`${USERS_MAX} accounts`)
        if ((await findUser(writing, body.user)) !== null) {
          throw new HoldfastError('HF_USER_EXISTS', `there is a user ${body.user}`, 'take another name')
        }
        await writing.insertInto('users').values(row).execute()
      })
      return document(userOf(row))
    },
    changeUser: async ({ params, body, who, address }) => {
      if (body.grants !== undefined) knownGrants(scene, body.grants)
      const password = body.password === undefined ? {} : { password: await scene.passwords.hash(body.password) }
      const change = {
        ...password,
        ...(body.display === undefined ? {} : { display: body.display }),
        ...(body.disabled === undefined ? {} : { disabled: body.disabled ? 1 : 0 }),
        ...(body.grants === undefined ? {} : { grants: JSON.stringify(body.grants) }),
      }
      const detail = { changed: Object.keys(change).join(' '), ...(change.grants ? { grants: change.grants } : {}) }
      const deed = { ...deedOf(who, address, 'changeUser', params.user), detail }
      const row = await changeWithTrail(scene, deed, async (writing) => {
        if ((await findUser(writing, params.user)) === null) throw unknown('user', params.user)
        if (Object.keys(change).length > 0) {
          await writing.updateTable('users').set(change).where('name', '=', params.user).execute()
        }
        // Another name to show is no reason to log somebody out.
        if (Object.keys(change).some((key) => key !== 'display')) {
          await writing.deleteFrom('sessions').where('user_name', '=', params.user).execute()
        }
        await someAdmin(writing)
        return findUser(writing, params.user)
      })
      if (row === null) throw unknown('user', params.user)
      return document(userOf(row))
    },
    removeUser: async ({ params, who, address }) => {
      await removeUser(scene, deedOf(who, address, 'removeUser', params.user), params.user)
      return document({ ok: true })
    },
    ...tokenHandlers(scene),
  }
}

async function removeUser(scene: Scene, deed: Deed, user: string): Promise<void> {
  await changeWithTrail(scene, deed, async (writing) => {
    const gone = await writing.deleteFrom('users').where('name', '=', user).executeTakeFirst()
    if (Number(gone.numDeletedRows) !== 1) throw unknown('user', user)
    await someAdmin(writing)
  })
}

function full(what: string): HoldfastError {
  return new HoldfastError('HF_LIMIT_REACHED', `there are ${what} already`, 'remove some that are not needed')
}

/** A grant over what does not exist would begin to mean something on the day somebody takes the name. */
function knownGrants(scene: Scene, grants: readonly Grant[]): void {
  const groups = new Set(groupNames(scene))
  const services = scene.services()
  for (const grant of grants) {
    const strangers = [
      ...(grant.groups ?? []).filter((name) => !groups.has(name)).map((name) => `group ${name}`),
      ...(grant.services ?? []).filter((name) => !services.has(name)).map((name) => `service ${name}`),
    ]
    if (strangers.length > 0) {
      throw new HoldfastError('HF_BODY_INVALID', `there is no ${strangers.join(', no ')}`, 'compare with the platform')
    }
  }
}

async function someAdmin(writing: Writing): Promise<void> {
  const rows = await writing.selectFrom('users').select('grants').where('disabled', '=', 0).execute()
  const admins = rows.filter(({ grants }) =>
    (JSON.parse(grants) as Grant[]).some(
      ({ role, groups, services }) => role === 'admin' && groups === undefined && services === undefined,
    ),
  )
  if (admins.length === 0) {
    const message = 'nobody could administer the server after this; nothing was changed'
    throw new HoldfastError('HF_LAST_ADMIN', message, 'give another account the role admin first')
  }
}

function tokenHandlers(scene: Scene): Pick<UserHandlers, 'tokens' | 'addToken' | 'removeToken'> {
  const { database } = scene
  const isAdmin = (who: Principal): boolean => rightsOver(who, null, scene.services()).has('admin')
  return {
    tokens: async ({ who }) => {
      const asker = present(who)
      let query = database.read.selectFrom('tokens').selectAll().orderBy('created_ms')
      if (!isAdmin(asker)) query = query.where('user_name', '=', asker.user)
      return document((await query.execute()).map(tokenOf))
    },
    addToken: async ({ body, who, address }) => {
      const asker = present(who)
      // A token that leaked must not be able to prolong itself.
      if (asker.session === null) throw new HoldfastError('HF_FORBIDDEN', 'a token makes no tokens', 'log in')
      const { id, secret } = freshToken()
      const createdMs = Math.round(scene.clock.wallMs())
      const token: ApiToken = {
        id,
        user: asker.user,
        label: body.label,
        rights: [...new Set(body.rights)],
        groups: body.groups ?? null,
        createdMs,
        expiresMs: createdMs + body.validDays * DAY_MS,
        lastUsedMs: null,
      }
      const detail = { id, label: body.label, rights: token.rights.join(' '), validDays: body.validDays }
      const deed: Deed = { who, address, action: 'addToken', subject: `user ${asker.user}`, outcome: 'done', detail }
      await changeWithTrail(scene, deed, async (writing) => {
        await writing.deleteFrom('tokens').where('expires_ms', '<=', createdMs).execute()
        const own = await writing.selectFrom('tokens').select('id').where('user_name', '=', asker.user).execute()
        if (own.length >= TOKENS_A_USER_MAX) throw full(`${TOKENS_A_USER_MAX} tokens of ${asker.user}`)
        await writing
          .insertInto('tokens')
          .values({
            id,
            hash: digest(secret),
            user_name: asker.user,
            label: token.label,
            rights: JSON.stringify(token.rights),
            groups: token.groups === null ? null : JSON.stringify(token.groups),
            created_ms: createdMs,
            expires_ms: token.expiresMs,
            last_used_ms: null,
          })
          .execute()
      })
      return document({ token, secret })
    },
    removeToken: async ({ params, who, address }) => {
      const asker = present(who)
      const detail = { id: params.id }
      const deed: Deed = { who, address, action: 'removeToken', subject: `token ${params.id}`, outcome: 'done', detail }
      await changeWithTrail(scene, deed, async (writing) => {
        let gone = writing.deleteFrom('tokens').where('id', '=', params.id)
        if (!isAdmin(asker)) gone = gone.where('user_name', '=', asker.user)
        if (Number((await gone.executeTakeFirst()).numDeletedRows) !== 1) throw unknown('token', params.id)
      })
      return document({ ok: true })
    },
  }
}
