/** Makes, changes or removes an account. */
import type { ApiGrant, ApiRole, ApiUser } from '@holdfast/client'
import { useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import { RIGHTS_OF } from '../rights.ts'
import { server } from '../server.ts'
import { Dialog } from './dialog.tsx'
import { Field } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

const ROLES = Object.keys(RIGHTS_OF) as readonly ApiRole[]
const PASSWORD_MIN = 12
const EVERYTHING = ''

export function UserDialog({ user, onClose }: { readonly user: ApiUser | null; readonly onClose: () => void }) {
  const [name, setName] = useState(user?.user ?? '')
  const [display, setDisplay] = useState(user?.display ?? '')
  const [password, setPassword] = useState('')
  const [grants, setGrants] = useState<readonly ApiGrant[]>(user?.grants ?? [{ role: 'viewer' }])
  const asking = useAsking()
  const shown = display.trim() === '' ? {} : { display: display.trim() }
  const run = async (): Promise<void> => {
    const answer = await asking.run(() => {
      if (user === null) return server.ask('addUser', { body: { user: name.trim(), password, grants, ...shown } })
      const body = { grants, ...shown, ...(password === '' ? {} : { password }) }
      return server.ask('changeUser', { params: { user: user.user }, body })
    })
    if (answer !== null) onClose()
  }
  const fits = password.length >= PASSWORD_MIN || (user !== null && password === '')
  return (
    <Dialog
      title={user === null ? 'Add a user' : `Change ${user.user}`}
      does={user === null ? 'Add' : 'Change'}
      ready={name.trim() !== '' && fits}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      {user === null ? (
        <Field label="Name" hint="small letters and digits, or an address of mail">
          <input name="user" autoComplete="off" required value={name} onChange={(e) => setName(e.target.value)} />
        </Field>
      ) : (
        <p className="dim">A change ends the sessions of {user.user}.</p>
      )}
      <Field label="Shown as">
        <input name="display" maxLength={200} value={display} onChange={(e) => setDisplay(e.target.value)} />
      </Field>
      {user?.by !== 'oidc' && (
        <Field
          label={user === null ? 'Password' : 'New password'}
          hint={`${PASSWORD_MIN} characters or more${user === null ? '' : '; empty: as it was'}`}
        >
          <input
            name="password"
            type="password"
            autoComplete="new-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </Field>
      )}
      <Grants grants={grants} onGrants={setGrants} />
    </Dialog>
  )
}

interface GrantsProps {
  readonly grants: readonly ApiGrant[]
  readonly onGrants: (grants: readonly ApiGrant[]) => void
}

/** One place each: everything, a group, or a service. */
function scopeOf({ groups, services }: ApiGrant): string {
  if (groups?.[0] !== undefined) return `group ${groups.join(' ')}`
  return services?.[0] === undefined ? EVERYTHING : `service ${services.join(' ')}`
}

function Grants({ grants, onGrants }: GrantsProps) {
  const platform = useLive((state) => state.platform)
  const known = [
    ...(platform?.groups ?? []).map(({ group }) => `group ${group}`),
    ...(platform?.services ?? []).map(({ service }) => `service ${service}`),
  ]
  const scopes = [...new Set([...known, ...grants.map(scopeOf).filter((scope) => scope !== EVERYTHING)])]
  const change = (index: number, grant: ApiGrant): void =>
    onGrants(grants.map((one, at) => (at === index ? grant : one)))
  return (
    <fieldset>
      <legend>May</legend>
      {grants.map((grant, index) => {
        const scope = scopeOf(grant)
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: grants have no names of their own
          <div className="grant" key={index}>
            <select
              aria-label="Role"
              value={grant.role}
              onChange={(event) => change(index, { ...grant, role: event.target.value as ApiRole })}
            >
              {ROLES.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </select>
            <select
              aria-label="Over"
              value={scope}
              onChange={(event) => change(index, grantFor(grant.role, event.target.value))}
            >
              <option value={EVERYTHING}>over everything</option>
              {scopes.map((one) => (
                <option key={one} value={one}>
                  over {one}
                </option>
              ))}
            </select>
            <button
              type="button"
              className="quiet"
              aria-label={`Take ${grant.role} away`}
              onClick={() => onGrants(grants.filter((_, at) => at !== index))}
            >
              ×
            </button>
          </div>
        )
      })}
      <button type="button" onClick={() => onGrants([...grants, { role: 'viewer' }])}>
        One more
      </button>
    </fieldset>
  )
}

function grantFor(role: ApiRole, scope: string): ApiGrant {
  const [kind, ...names] = scope.split(' ')
  if (kind === 'group') return { role, groups: names }
  return kind === 'service' ? { role, services: names } : { role }
}

export function RemoveUserDialog({ user, onClose }: { readonly user: ApiUser; readonly onClose: () => void }) {
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const answer = await asking.run(() => server.ask('removeUser', { params: { user: user.user } }))
    if (answer !== null) onClose()
  }
  return (
    <Dialog
      title={`Remove ${user.user}`}
      does="Remove"
      dangerous
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>The sessions and tokens of this user end at once. What the user did stays in the audit log.</p>
    </Dialog>
  )
}
