/** One's own password and tokens. */
import type { ApiSession } from '@holdfast/client'
import { type FormEvent, useState } from 'react'
import { Field, Section, TroubleBox } from '../parts/pieces.tsx'
import { Tokens } from '../parts/tokens.tsx'
import { useAsking } from '../parts/use-asking.ts'
import { grantText } from '../rights.ts'
import { server } from '../server.ts'

const PASSWORD_MIN = 12

export function Account({ session }: { readonly session: ApiSession }) {
  return (
    <>
      <h1>{session.display === '' ? session.user : session.display}</h1>
      <p className="dim">
        Logged in as {session.user} by {session.by}; {session.grants.map(grantText).join('; ')}
      </p>
      {session.by === 'password' && <Password user={session.user} />}
      <Tokens session={session} />
    </>
  )
}

function Password({ user }: { readonly user: string }) {
  const [old, setOld] = useState('')
  const [fresh, setFresh] = useState('')
  const [done, setDone] = useState(false)
  const asking = useAsking()
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setDone(false)
    const answer = await asking.run(() => server.ask('changePassword', { body: { old, new: fresh } }))
    if (answer === null) return
    setOld('')
    setFresh('')
    setDone(true)
  }
  return (
    <Section title="Password">
      <form className="narrow" onSubmit={(event) => void submit(event)}>
        <input type="text" hidden readOnly autoComplete="username" value={user} />
        <Field label="Old password">
          <input
            type="password"
            autoComplete="current-password"
            required
            value={old}
            onChange={(event) => setOld(event.target.value)}
          />
        </Field>
        <Field label="New password" hint={`${PASSWORD_MIN} characters or more; your other sessions end`}>
          <input
            type="password"
            autoComplete="new-password"
            minLength={PASSWORD_MIN}
            required
            value={fresh}
            onChange={(event) => setFresh(event.target.value)}
          />
        </Field>
        {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
        {done && <p role="status">Changed.</p>}
        <div className="buttons start">
          <button type="submit" disabled={asking.busy}>
            Change it
          </button>
        </div>
      </form>
    </Section>
  )
}
