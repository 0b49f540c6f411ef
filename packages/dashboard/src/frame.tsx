/** The frame around every screen: who and where, the way to the screens, plain words when the connection is lost. */
import type { ApiSession } from '@holdfast/client'
import { useEffect, useRef, useState } from 'react'
import { nowMs, wallMs } from './clock.ts'
import { clockDifferenceMs } from './live/server-clock.ts'
import { useLive, useWallMs } from './live/use-live.tsx'
import { DrillBar } from './parts/drill-bar.tsx'
import { TroubleBox } from './parts/pieces.tsx'
import { StopFaults } from './parts/stop-faults.tsx'
import { type DrillsNow, useDrills } from './parts/use-drills.ts'
import { Link, partsOf, usePath } from './place.tsx'
import { may } from './rights.ts'
import { Access } from './screens/access.tsx'
import { Account } from './screens/account.tsx'
import { Alerts } from './screens/alerts.tsx'
import { Approvals } from './screens/approvals.tsx'
import { Audit } from './screens/audit.tsx'
import { Drills } from './screens/drills.tsx'
import { GroupScreen } from './screens/group.tsx'
import { Incident } from './screens/incident.tsx'
import { Incidents } from './screens/incidents.tsx'
import { Overview } from './screens/overview.tsx'
import { Report } from './screens/report.tsx'
import { Topology } from './screens/topology.tsx'
import { ServiceScreen } from './screens/whole.tsx'
import { server } from './server.ts'
import { applyTheme, storedTheme, type Theme } from './theme.ts'
import { clockText, durationText } from './words.ts'

interface FrameProps {
  readonly session: ApiSession
  readonly onLeft: () => void
}

export function Frame({ session, onLeft }: FrameProps) {
  const path = usePath()
  const main = useRef<HTMLElement>(null)
  const [first = ''] = partsOf(path)
  const title = TITLES[first] ?? 'Not found'
  const platform = useLive((state) => state.platform?.platform ?? '')
  const lost = useLive((state) => state.link.state === 'lost')
  const shown = useRef(path)
  const drills = useDrills()
  useEffect(() => {
    document.title = `${title} · ${platform === '' ? 'Holdfast' : platform}`
    // Who reads by ear hears where the link led; not at the first screen, which begins at its top.
    if (shown.current !== path) main.current?.focus()
    shown.current = path
  }, [title, platform, path])
  return (
    <div className={lost ? 'frame stale' : 'frame'}>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Head session={session} onLeft={onLeft} />
      <Ways session={session} at={first} />
      <div className="body">
        <LostBanner />
        <ClockNote />
        <DrillBar session={session} drills={drills.value} />
        <StopFaults session={session} />
        <main id="main" tabIndex={-1} ref={main}>
          <Screen path={path} session={session} drills={drills} />
        </main>
      </div>
    </div>
  )
}

const TITLES: Readonly<Record<string, string>> = {
  '': 'Overview',
  topology: 'Topology',
  groups: 'Group',
  services: 'Service',
  incidents: 'Incidents',
  drills: 'Drills',
  alerts: 'Alerts',
  approvals: 'Approvals',
  audit: 'Audit',
  access: 'Access',
  account: 'Account',
}

interface ScreenProps {
  readonly path: string
  readonly session: ApiSession
  readonly drills: DrillsNow
}

function Screen({ path, session, drills }: ScreenProps) {
  const [first = '', second] = partsOf(path)
  const known = useLive((state) => state.platform !== null)
  const refused = useLive((state) => (state.link.state === 'lost' && state.link.status === 403 ? state.link : null))
  if (first === 'account') return <Account session={session} />
  if (first === 'access') return <Access session={session} />
  if (first === 'audit') return <Audit />
  if (refused !== null) {
    const next = 'ask an admin for a grant'
    return <TroubleBox trouble={{ message: 'You may see no group of this platform.', next, code: '' }} />
  }
  if (!known) return <p className="waiting">Waiting for the first word of the server…</p>
  if (first === '') return <Overview session={session} />
  if (first === 'topology') return <Topology />
  if (first === 'groups' && second !== undefined) return <GroupScreen key={second} name={second} session={session} />
  if (first === 'services' && second !== undefined)
    return <ServiceScreen key={second} name={second} session={session} />
  if (first === 'incidents' && second !== undefined) return <Incident key={second} id={second} />
  if (first === 'incidents') return <Incidents />
  if (first === 'drills' && second !== undefined) return <Report key={second} id={second} />
  if (first === 'drills') return <Drills session={session} drills={drills} />
  if (first === 'alerts') return <Alerts session={session} />
  if (first === 'approvals') return <Approvals session={session} />
  return (
    <>
      <h1>Nothing here</h1>
      <p>
        There is no screen at this address. <Link to="/">Go to the overview.</Link>
      </p>
    </>
  )
}

function Head({ session, onLeft }: FrameProps) {
  const platform = useLive((state) => state.platform)
  const state = useLive((live) => live.link.state)
  const words = { live: 'Live', connecting: 'Connecting', lost: 'No connection' }[state]
  const logOut = async (): Promise<void> => {
    await server.ask('logout', {})
    onLeft()
  }
  return (
    <header className="head">
      <Link to="/" className="brand">
        <span className="brand-mark" aria-hidden="true" />
        <span>{platform?.platform ?? 'Holdfast'}</span>
      </Link>
      <span className={`link ${state}`} role="status">
        <span className="dot" aria-hidden="true" />
        {words}
      </span>
      <span className="push" />
      <ThemeSwitch />
      <Link to="/account" className="who">
        {session.display === '' ? session.user : session.display}
      </Link>
      <button type="button" className="quiet" onClick={() => void logOut()}>
        Log out
      </button>
    </header>
  )
}

const NEXT_THEME: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' }

function ThemeSwitch() {
  const [theme, setTheme] = useState(storedTheme)
  const change = (): void => {
    const next = NEXT_THEME[theme]
    applyTheme(next)
    setTheme(next)
  }
  return (
    <button type="button" className="quiet theme" onClick={change} aria-label={`Colours: ${theme}. Change them`}>
      <span aria-hidden="true">{{ system: '◐', light: '○', dark: '●' }[theme]}</span>
      <span className="theme-word">{theme}</span>
    </button>
  )
}

function Ways({ session, at }: { readonly session: ApiSession; readonly at: string }) {
  const waiting = useLive((state) => state.incidents.filter((incident) => incident.state === 'open').length)
  const ways: readonly (readonly [string, string, boolean])[] = [
    ['', 'Overview', true],
    ['topology', 'Topology', true],
    ['incidents', 'Incidents', true],
    ['drills', 'Drills', true],
    ['alerts', 'Alerts', true],
    ['approvals', 'Approvals', true],
    ['audit', 'Audit', may(session, 'audit')],
    ['access', 'Access', may(session, 'admin')],
  ]
  const here = at === 'groups' || at === 'services' ? '' : at
  return (
    <nav className="ways" aria-label="Screens">
      {ways
        .filter(([, , shown]) => shown)
        .map(([path, title]) => (
          <Link key={path} to={`/${path}`} current={path === here}>
            {title}
            {path === 'incidents' && waiting > 0 && <span className="count">{waiting} open</span>}
          </Link>
        ))}
    </nav>
  )
}

function LostBanner() {
  const link = useLive((state) => state.link)
  const heardMs = useLive((state) => state.heardMs)
  const nowWallMs = useWallMs()
  if (link.state !== 'lost') return null
  const agoMs = Math.max(1_000, nowMs() - link.sinceMs)
  const seen = heardMs > 0
  return (
    <div className="lost" role="alert">
      <strong>
        No connection to the server since {clockText(nowWallMs - agoMs)} (
        {durationText(Math.round(agoMs / 1_000) * 1_000)}).
      </strong>{' '}
      {seen ? 'Everything below is as it was then. ' : ''}
      The databases do not depend on this page. Trying again: {link.because}.
    </div>
  )
}

function ClockNote() {
  const clock = useLive((state) => state.clock)
  useWallMs()
  const difference = clockDifferenceMs(clock, nowMs(), wallMs())
  if (difference === null) return null
  const where = difference > 0 ? 'ahead of' : 'behind'
  return (
    <p className="note">
      This browser's clock is {durationText(Math.abs(difference))} {where} the server's. Times shown here are the
      server's.
    </p>
  )
}
