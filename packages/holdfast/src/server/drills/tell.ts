/** Drills in the words of events. Pure. */
import type { EndedDrill } from '../../drills/ledger.ts'
import type { TimelineEntry } from '../../drills/runner.ts'
import type { Draft } from '../follow/changes.ts'

interface About {
  readonly drill: string
  readonly group: string
  readonly wallMs: number
}

const base = { kind: 'drill', member: null, source: 'server', rule: null, incident: null } as const

export function begunDraft({ drill, group, wallMs }: About, id: string, by: string): Draft {
  const summary = `drill ${drill} of ${by} runs`
  return { ...base, wallMs, group, severity: 'notice', code: 'drill-begun', summary, detail: { drill, id, by } }
}

export function endedDraft(
  group: string,
  { id, drill, outcome, because, endedWallMs, rtoMs, rpoMs }: EndedDrill,
): Draft {
  const severity = outcome === 'failed' || outcome === 'unproved' ? 'warning' : 'notice'
  const summary = `drill ${drill} ${outcome}: ${because}`.slice(0, 500)
  const detail = { drill, id, outcome, rtoMs, rpoMs }
  return { ...base, wallMs: endedWallMs, group, severity, code: 'drill-ended', summary, detail }
}

export function lineDraft({ drill, group }: Omit<About, 'wallMs'>, id: string, entry: TimelineEntry): Draft {
  const { code, detail, wallMs, sinceMs } = entry
  const words = Object.entries(detail).map(([key, value]) => `${key} ${String(value)}`)
  const summary = [`drill ${drill}: ${code.replaceAll('-', ' ')}`, ...words].join(', ').slice(0, 500)
  const own = { drill, id, sinceMs, ...detail }
  return {
    ...base,
    wallMs,
    group,
    severity: 'info',
    code: `drill-${code.replace(/^drill-/, '')}`,
    summary,
    detail: own,
  }
}

export function missedDraft({ drill, group, wallMs }: About, because: string): Draft {
  const summary = `drill ${drill} was not run at its time: ${because}`
  return { ...base, wallMs, group, severity: 'warning', code: 'drill-missed', summary, detail: { drill } }
}
