/** The two addresses of logging in at an identity provider. */
import { HoldfastError } from '../../errors.ts'
import type { Identity, Oidc } from '../access/oidc.ts'
import { cookieName, cookieText } from '../http/cookies.ts'
import type { Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { openAdmission, sessionExtras } from './session.ts'
import { changeWithTrail, leaveTrail } from './trail.ts'

const FLOW_COOKIE = 'holdfast-login'
const FLOW_MS = 10 * 60_000

export function oidcHandlers(scene: Scene, oidc: Oidc | null): Pick<Handlers, 'oidcStart' | 'oidcCallback'> {
  const { secure } = scene
  const provider = (): Oidc => {
    if (oidc !== null) return oidc
    throw new HoldfastError('HF_THING_UNKNOWN', 'no identity provider is described', 'log in with a password')
  }
  // Lax: the provider sends the browser back from another site.
  const flowCookie = (value: string, maxAgeMs: number): string =>
    cookieText(FLOW_COOKIE, value, { secure, sameSite: 'Lax', maxAgeMs })
  return {
    oidcStart: async ({ address }) => {
      scene.tries.check(null, address)
      const { url, browser } = await provider().start(address)
      return { kind: 'redirect', to: url, extras: { cookies: [flowCookie(browser, FLOW_MS)] } }
    },
    oidcCallback: async ({ query, cookies, address }) => {
      scene.tries.check(null, address)
      try {
        const browser = cookies.get(cookieName(FLOW_COOKIE, secure)) ?? ''
        const { code = '', state = '' } = query
        const identity = await provider().finish({ code, state, browser })
        if (identity.grants.length === 0) {
          await revoke(scene, identity, address)
          const message = `${identity.user} belongs to nothing that has a role here`
          throw new HoldfastError('HF_FORBIDDEN', message, 'ask an admin')
        }
        await keepUser(scene, identity, address)
        const session = await openAdmission(scene, { user: identity.user, by: 'oidc', address })
        const extras = { cookies: [flowCookie('', 0), ...(sessionExtras(scene, session).cookies ?? [])] }
        return { kind: 'redirect', to: '/', extras }
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error
        scene.tries.failed(null, address)
        const detail = { code: error.code, because: error.message }
        await leaveTrail(scene, { who: null, address, action: 'login', subject: 'oidc', outcome: 'refused', detail })
        throw error
      }
    },
  }
}

/** Who lost every role at the provider has none here, nor anything that was opened or made while he had one. */
async function revoke(scene: Scene, { identity }: Identity, address: string): Promise<void> {
  const { read } = scene.database
  // By what stays: his name may be another one by now.
  const row = await read.selectFrom('users').select('name').where('identity', '=', identity).executeTakeFirst()
  if (row === undefined) return
  const { name } = row
  const deed = { who: null, address, action: 'oidcUser', subject: `user ${name}`, outcome: 'done' } as const
  await changeWithTrail(scene, { ...deed, detail: { grants: '[]' } }, async (writing) => {
    await writing.updateTable('users').set({ grants: '[]' }).where('identity', '=', identity).execute()
    await writing.deleteFrom('sessions').where('user_name', '=', name).execute()
    await writing.deleteFrom('tokens').where('user_name', '=', name).execute()
  })
}

/** The provider's word of today counts: grants are those of this log-in. */
async function keepUser(scene: Scene, { identity, user, display, grants }: Identity, address: string): Promise<void> {
  const text = JSON.stringify(grants)
  const deed = { who: null, address, action: 'oidcUser', subject: `user ${user}`, outcome: 'done' } as const
  await changeWithTrail(scene, { ...deed, detail: { grants: text } }, async (writing) => {
    const row = await writing.selectFrom('users').selectAll().where('name', '=', user).executeTakeFirst()
    if (row === undefined) {
      await writing
        .insertInto('users')
        .values({
          name: user,
          display,
          by_kind: 'oidc',
          identity,
          password: null,
          disabled: 0,
          grants: text,
          created_ms: Math.round(scene.clock.wallMs()),
          last_login_ms: null,
        })
        .execute()
      return
    }
    // Who takes a name at the provider must not become somebody else here.
    if (row.identity !== identity) {
      throw new HoldfastError('HF_USER_EXISTS', `${user} is somebody else's account here`, 'ask an admin')
    }
    if (row.disabled === 1) throw new HoldfastError('HF_LOGIN_FAILED', `${user} is disabled`, 'ask an admin')
    await writing.updateTable('users').set({ display, grants: text }).where('name', '=', user).execute()
  })
}
