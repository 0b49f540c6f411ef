/** Logging in: by password, at the identity provider, or as the first admin with the code the server printed. */
import type { ApiLoginMethods, ApiSession } from '@holdfast/client'
import { type FormEvent, useState } from 'react'
import { Field, TroubleBox } from '../parts/pieces.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { useAsking } from '../parts/use-asking.ts'
import { server } from '../server.ts'

interface LoginProps {
  readonly ended: boolean
  readonly onEntered: (session: ApiSession) => void
}

const PASSWORD_MIN = 12

export function Login({ ended, onEntered }: LoginProps) {
  const { value: methods, trouble } = useAnswer('methods', {})
  return (
    <main className="login" id="main">
      <div className="login-card">
        <p className="login-mark">
          <span className="brand-mark" aria-hidden="true" /> Holdfast
        </p>
        <h1>{methods === null ? 'Log in' : methods.platform}</h1>
        {ended && <p className="note">Your session ended. Log in again to go on.</p>}
        {trouble !== null && <TroubleBox trouble={trouble} />}
        {methods !== null && <Ways methods={methods} onEntered={onEntered} />}
      </div>
    </main>
  )
}

function Ways({
  methods,
  onEntered,
}: {
  readonly methods: ApiLoginMethods
  readonly onEntered: LoginProps['onEntered']
}) {
  const [first, setFirst] = useState(methods.firstAdmin)
  return (
    <>
      {first ? <FirstAdmin onEntered={onEntered} /> : <Password onEntered={onEntered} />}
      {methods.oidc !== null && !first && (
        <a className="button wide" href="/api/v1/session/oidc">
          Log in with {methods.oidc.label}
        </a>
      )}
      <button type="button" className="quiet" onClick={() => setFirst(!first)}>
        {first ? 'I have an account' : 'I have a one-time code'}
      </button>
    </>
  )
}

function Password({ onEntered }: { readonly onEntered: LoginProps['onEntered'] }) {
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const asking = useAsking()
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const session = await asking.run(() => server.ask('login', { body: { user: user.trim(), password } }))
    if (session !== null) onEntered(session)
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Field label="Name">
        <input name="user" autoComplete="username" required value={user} onChange={(e) => setUser(e.target.value)} />
      </Field>
      <Field label="Password">
        <input
          name="password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(e) => setPassword(e.target.value)}
        />
      </Field>
      {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
      <button type="submit" className="primary wide" disabled={asking.busy}>
        {asking.busy ? 'Asking…' : 'Log in'}
      </button>
    </form>
  )
}

function FirstAdmin({ onEntered }: { readonly onEntered: LoginProps['onEntered'] }) {
  const [code, setCode] = useState('')
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const asking = useAsking()
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const body = { code: code.trim(), user: user.trim(), password }
    const session = await asking.run(() => server.ask('firstAdmin', { body }))
    if (session !== null) onEntered(session)
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <p className="dim">The server printed a one-time code when it started. It makes one admin, once.</p>
      <Field label="One-time code">
        <input name="code" autoComplete="off" required value={code} onChange={(e) => setCode(e.target.value)} />
      </Field>
      <Field label="Your name" hint="small letters and digits, or an address of mail">
        <input name="user" autoComplete="username" required value={user} onChange={(e) => setUser(e.target.value)} />
      </Field>
      <Field label="New password" hint={`${PASSWORD_MIN} characters or more`}>
        <input
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={PASSWORD_MIN}
          required
          value={password}
          onChange={(e) => setPassword(e.target.value)}
        />
      </Field>
      {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
      <button type="submit" className="primary wide" disabled={asking.busy}>
        {asking.busy ? 'Asking…' : 'Make the first admin'}
      </button>
    </form>
  )
}
