/** Logging in and out. Every try, also a failed one, is in the audit log; passwords never are. */
import type { ApiSession } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import { bySession, findUser, openSession, type Session, useCode, userCount } from '../access/accounts.ts'
import { type Principal, rightsOver } from '../access/grants.ts'
import { RIGHTS } from '../api/roles.ts'
import { cookieText } from '../http/cookies.ts'
import { SESSION_COOKIE } from '../http/guarded.ts'
import { document, type Extras, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { present } from './approvals.ts'
import { changeWithTrail, leaveTrail } from './trail.ts'

type SessionHandlers = Pick<Handlers, 'methods' | 'login' | 'session' | 'logout' | 'firstAdmin' | 'changePassword'>

export function sessionHandlers(scene: Scene): SessionHandlers {
  const { database } = scene
  return {
    methods: async () => {
      const oidc = scene.oidcLabel === null ? null : { label: scene.oidcLabel }
      const firstAdmin = (await userCount(database.read)) === 0
      return document({ platform: scene.platform.name, firstAdmin, oidc })
    },
    login: async ({ body, address }) => login(scene, body, address),
    firstAdmin: async ({ body, address }) => firstAdmin(scene, body, address),
    session: async ({ who }) => document(sessionDocument(scene, present(who))),
    logout: async ({ who, address }) => {
      const { session, user } = present(who)
      const deed = { who, address, action: 'logout', subject: `user ${user}`, outcome: 'done' } as const
      await changeWithTrail(scene, deed, async (writing) => {
        if (session !== null) await writing.deleteFrom('sessions').where('hash', '=', session.hash).execute()
      })
      return document({ ok: true }, { cookies: [sessionCookie(scene, '', 0)] })
    },
    changePassword: async ({ who, body, address }) => {
      const { user, session } = present(who)
      if (session === null) throw new HoldfastError('HF_FORBIDDEN', 'a token changes no password', 'log in')
      scene.tries.check(user, address)
      const row = await findUser(database.read, user)
      if (!(await scene.passwords.matches(body.old, row?.password ?? null))) {
        scene.tries.failed(user, address)
        throw new HoldfastError('HF_LOGIN_FAILED', 'the old password is not right', 'try again, or ask an admin')
      }
      const password = await scene.passwords.hash(body.new)
      const deed = { who, address, action: 'changePassword', subject: `user ${user}`, outcome: 'done' } as const
      await changeWithTrail(scene, deed, async (writing) => {
        await writing.updateTable('users').set({ password }).where('name', '=', user).execute()
        const others = writing.deleteFrom('sessions').where('user_name', '=', user)
        await others.where('hash', '!=', session.hash).execute()
      })
      return document({ ok: true })
    },
  }
}

async function login(
  scene: Scene,
  { user, password }: { readonly user: string; readonly password: string },
  address: string,
) {
  const { database, tries, passwords } = scene
  tries.check(user, address)
  const row = await findUser(database.read, user)
  const fits = await passwords.matches(password, row?.password ?? null)
  if (row === null || !fits || row.disabled === 1) {
    tries.failed(user, address)
    const detail = { known: row !== null, disabled: row?.disabled === 1 }
    await leaveTrail(scene, {
      who: null,
      address,
      action: 'login',
      subject: `user ${user}`,
      outcome: 'refused',
      detail,
    })
    throw new HoldfastError('HF_LOGIN_FAILED', 'name or password is not right', 'try again, or ask an admin')
  }
  tries.succeeded(user, address)
  return admit(scene, { user, by: 'password', address })
}

interface Admission {
  readonly user: string
  readonly by: 'password' | 'oidc'
  readonly address: string
}

/** Opens a session. The secret is new at every log-in, so one that was planted before is worth nothing. */
export async function openAdmission(scene: Scene, { user, by, address }: Admission): Promise<Session> {
  const deed = {
    who: null,
    address,
    action: 'login',
    subject: `user ${user}`,
    outcome: 'done',
    detail: { by },
  } as const
  return changeWithTrail(scene, deed, (writing) => openSession(writing, { user, by, wallMs: scene.clock.wallMs() }))
}

async function admit(scene: Scene, admission: Admission) {
  const session = await openAdmission(scene, admission)
  const who = await bySession(scene.database.read, session.secret, scene.clock.wallMs())
  return document(sessionDocument(scene, present(who)), sessionExtras(scene, session))
}

export function sessionExtras(scene: Scene, session: Session): Extras {
  return { cookies: [sessionCookie(scene, session.secret, session.expiresMs - scene.clock.wallMs())] }
}

function sessionCookie({ secure }: Scene, value: string, maxAgeMs: number): string {
  return cookieText(SESSION_COOKIE, value, { secure, sameSite: 'Strict', maxAgeMs })
}

async function firstAdmin(
  scene: Scene,
  { code, user, password }: { readonly code: string; readonly user: string; readonly password: string },
  address: string,
) {
  const { tries, clock } = scene
  tries.check('first admin', address)
  const hashed = await scene.passwords.hash(password)
  const deed = { who: null, address, action: 'firstAdmin', subject: `user ${user}`, outcome: 'done' } as const
  try {
    await changeWithTrail(scene, deed, async (writing) => {
      await useCode(writing, code, clock.wallMs())
      const taken = await writing.selectFrom('users').select('name').where('name', '=', user).executeTakeFirst()
      if (taken !== undefined) throw new HoldfastError('HF_USER_EXISTS', `there is a user ${user}`, 'take another name')
      await writing
        .insertInto('users')
        .values({
          name: user,
          display: user,
          by_kind: 'password',
          identity: null,
          password: hashed,
          disabled: 0,
          grants: JSON.stringify([{ role: 'admin' }]),
          created_ms: Math.round(clock.wallMs()),
          last_login_ms: null,
        })
        .execute()
    })
  } catch (error) {
    tries.failed('first admin', address)
    throw error
  }
  tries.succeeded('first admin', address)
  return admit(scene, { user, by: 'password', address })
}

export function sessionDocument(scene: Scene, who: Principal): ApiSession {
  const over = rightsOver(who, null, scene.services())
  return {
    user: who.user,
    display: who.display,
    by: who.by,
    grants: who.grants as ApiSession['grants'],
    rights: RIGHTS.filter((right) => over.has(right)),
    expiresMs: who.expiresMs,
    csrf: who.session?.csrf ?? '',
  }
}
