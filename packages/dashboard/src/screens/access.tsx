/** Who may log in, and what each may do. */
import type { ApiGrant, ApiSession, ApiUser } from '@holdfast/client'
import { useState } from 'react'
import { Badge, Section, TableBox, TroubleBox } from '../parts/pieces.tsx'
import { Tokens } from '../parts/tokens.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { useAsking } from '../parts/use-asking.ts'
import { RemoveUserDialog, UserDialog } from '../parts/user-dialog.tsx'
import { grantText } from '../rights.ts'
import { server } from '../server.ts'
import { momentText } from '../words.ts'

type Open = { readonly kind: 'add' } | { readonly kind: 'change' | 'remove'; readonly user: ApiUser } | null

export function Access({ session }: { readonly session: ApiSession }) {
  const { value: users, trouble, again } = useAnswer('users', {})
  const [open, setOpen] = useState<Open>(null)
  const asking = useAsking()
  const close = (): void => {
    setOpen(null)
    again()
  }
  const setDisabled = async (user: string, disabled: boolean): Promise<void> => {
    await asking.run(() => server.ask('changeUser', { params: { user }, body: { disabled } }))
    again()
  }
  const add = (
    <button type="button" className="primary" onClick={() => setOpen({ kind: 'add' })}>
      Add a user…
    </button>
  )
  return (
    <>
      <h1>Access</h1>
      <Section title="Users" aside={add}>
        {trouble !== null && <TroubleBox trouble={trouble} />}
        {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
        {users !== null && (
          <TableBox label="Users">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">May</th>
                <th scope="col">Logs in by</th>
                <th scope="col">Last log-in</th>
                <th scope="col">State</th>
                <th scope="col">
                  <span className="hidden">Change</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {users.map((user) => (
                <UserRow
                  key={user.user}
                  user={user}
                  self={user.user === session.user}
                  onOpen={setOpen}
                  onDisabled={(disabled) => void setDisabled(user.user, disabled)}
                />
              ))}
            </tbody>
          </TableBox>
        )}
      </Section>
      <Tokens session={session} />
      {open?.kind === 'add' && <UserDialog user={null} onClose={close} />}
      {open?.kind === 'change' && <UserDialog user={open.user} onClose={close} />}
      {open?.kind === 'remove' && <RemoveUserDialog user={open.user} onClose={close} />}
    </>
  )
}

interface UserRowProps {
  readonly user: ApiUser
  readonly self: boolean
  readonly onOpen: (open: Open) => void
  readonly onDisabled: (disabled: boolean) => void
}

function UserRow({ user, self, onOpen, onDisabled }: UserRowProps) {
  return (
    <tr data-user={user.user}>
      <th scope="row">
        {user.user}
        {user.display !== '' && user.display !== user.user && <span className="cell-note">{user.display}</span>}
      </th>
      <td>{grantsText(user.grants)}</td>
      <td>{user.by}</td>
      <td className="nowrap">{user.lastLoginMs === null ? 'never' : momentText(user.lastLoginMs)}</td>
      <td>{user.disabled ? <Badge tone="risk">disabled</Badge> : <Badge tone="good">active</Badge>}</td>
      <td className="row-buttons">
        <button type="button" className="quiet" onClick={() => onOpen({ kind: 'change', user })}>
          Change<span className="hidden"> {user.user}</span>
        </button>
        {!self && (
          <>
            <button type="button" className="quiet" onClick={() => onDisabled(!user.disabled)}>
              {user.disabled ? 'Enable' : 'Disable'}
              <span className="hidden"> {user.user}</span>
            </button>
            <button type="button" className="quiet" onClick={() => onOpen({ kind: 'remove', user })}>
              Remove<span className="hidden"> {user.user}</span>
            </button>
          </>
        )}
      </td>
    </tr>
  )
}

function grantsText(grants: readonly ApiGrant[]): string {
  return grants.length === 0 ? 'nothing' : grants.map(grantText).join('; ')
}
