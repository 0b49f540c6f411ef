/** Who is there: asks once, then shows the log-in or the frame with its screens. */
import type { ApiSession } from '@holdfast/client'
import { useCallback, useEffect, useState } from 'react'
import { Frame } from './frame.tsx'
import { LiveProvider } from './live/use-live.tsx'
import { TroubleBox } from './parts/pieces.tsx'
import { Login } from './screens/login.tsx'
import { rememberCsrf, server, type Trouble, troubleOf } from './server.ts'

type Who =
  | { readonly state: 'asking' }
  | { readonly state: 'nobody'; readonly ended: boolean }
  | { readonly state: 'here'; readonly session: ApiSession }
  | { readonly state: 'trouble'; readonly trouble: Trouble }

const RETRY_MS = 2_000

export function App() {
  const [who, setWho] = useState<Who>({ state: 'asking' })
  const enter = useCallback((session: ApiSession) => {
    rememberCsrf(session.csrf)
    setWho({ state: 'here', session })
  }, [])
  const leave = useCallback((ended: boolean) => {
    rememberCsrf('')
    setWho({ state: 'nobody', ended })
  }, [])
  const asking = who.state === 'asking' || who.state === 'trouble'
  useEffect(() => {
    if (!asking) return
    let over = false
    const ask = async (): Promise<void> => {
      const answer = await server.ask('session', {})
      if (over) return
      if (answer.ok) enter(answer.value)
      else if (answer.kind === 'refused' && answer.status === 401) leave(false)
      else setWho({ state: 'trouble', trouble: troubleOf(answer) })
    }
    void ask()
    const timer = setInterval(() => void ask(), RETRY_MS)
    return () => {
      over = true
      clearInterval(timer)
    }
  }, [asking, enter, leave])

  if (who.state === 'asking') return <p className="waiting">Asking the server…</p>
  if (who.state === 'trouble') {
    return (
      <main className="alone">
        <TroubleBox trouble={who.trouble} />
        <p className="dim">Trying again every {RETRY_MS / 1_000} s.</p>
      </main>
    )
  }
  if (who.state === 'nobody') return <Login ended={who.ended} onEntered={enter} />
  return (
    <LiveProvider onLoggedOut={() => leave(true)}>
      <Frame session={who.session} onLeft={() => leave(false)} />
    </LiveProvider>
  )
}
