/** Small pieces that every screen is made of. A state is told by a word and a shape, never by colour alone. */
import type { ReactNode } from 'react'
import type { Level } from '../level.ts'
import type { Trouble } from '../server.ts'

export type Tone = 'good' | 'risk' | 'bad' | 'calm'

export const TONE_OF: Readonly<Record<Level, Tone>> = {
  safe: 'good',
  exposed: 'risk',
  paused: 'risk',
  watched: 'calm',
  down: 'bad',
  unknown: 'bad',
}

const SHAPES: Readonly<Record<Tone, string>> = {
  good: 'M3.5 8.5l3 3 6-7',
  risk: 'M8 4v5M8 12v.01',
  bad: 'M4.5 4.5l7 7M11.5 4.5l-7 7',
  calm: 'M4 8h8',
}

export function Shape({ tone }: { readonly tone: Tone }) {
  return (
    <svg className={`shape ${tone}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={SHAPES[tone]} />
    </svg>
  )
}

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) {
  return (
    <span className={`badge ${tone}`}>
      <Shape tone={tone} />
      {children}
    </span>
  )
}

export function TroubleBox({ trouble }: { readonly trouble: Trouble }) {
  return (
    <div className="trouble" role="alert">
      <Shape tone="bad" />
      <div>
        <strong>{trouble.message}</strong>
        {trouble.next !== '' && <p>Next: {trouble.next}</p>}
        {trouble.code !== '' && <p className="dim mono">{trouble.code}</p>}
      </div>
    </div>
  )
}

export function Section({
  title,
  aside,
  children,
}: {
  readonly title: string
  readonly aside?: ReactNode
  readonly children: ReactNode
}) {
  return (
    <section className="section">
      <div className="section-head">
        <h2>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  )
}

export function Empty({ children }: { readonly children: ReactNode }) {
  return <p className="empty">{children}</p>
}

interface FieldProps {
  readonly label: string
  readonly hint?: string
  readonly children: ReactNode
}

export function Field({ label, hint, children }: FieldProps) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is among the children
    <label className="field">
      <span className="field-label">{label}</span>
      {children}
      {hint !== undefined && <span className="hint">{hint}</span>}
    </label>
  )
}

interface TableBoxProps {
  readonly label: string
  /** On a narrow screen its cells stand one below the other, each under its `data-label`. */
  readonly stacked?: boolean
  readonly children: ReactNode
}

/** Wide tables scroll in a box of their own, also by keyboard; the page never does sideways. */
export function TableBox({ label, stacked = false, children }: TableBoxProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="table-box" aria-label={label} tabIndex={0}>
      <table className={stacked ? 'stacked' : undefined}>{children}</table>
    </section>
  )
}
