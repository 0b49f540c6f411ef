/** What a canary finds, as events. Pure. */
import type { Finding } from '../../canary/settings.ts'
import { durationText } from '../../config/quantities.ts'
import type { Told } from '../../core/canary/model.ts'
import type { Draft } from '../follow/changes.ts'

type Words = Pick<Draft, 'severity' | 'code' | 'summary' | 'detail'>

interface Trouble {
  readonly failed: number
  readonly unknown: number
  readonly because: string
}

export function outageBegan(forMs: number, { failed, unknown, because }: Trouble): Words {
  const last = because === '' ? 'nothing answers' : because
  const summary = `clients cannot write: no acknowledgement for ${whole(forMs)}, ${counts(failed, unknown)}; ${last}`
  const detail = { forMs: Math.round(forMs), failed, unknown, because }
  return { severity: 'critical', code: 'canary-outage', summary: summary.slice(0, 500), detail }
}

export function outageOver(outage: Extract<Told, { kind: 'outage-ended' }>): Words {
  const { fromMs, toMs, failed, unknown, unmeasuredMs, seen } = outage
  const ms = Math.max(0, toMs - fromMs - unmeasuredMs)
  const detail = { ms: Math.round(ms), failed, unknown, unmeasuredMs: Math.round(unmeasuredMs), seen }
  const blind = unmeasuredMs > 0 ? `, and ${whole(unmeasuredMs)} in which nobody measured` : ''
  const first =
    seen === 'to its end' ? 'clients write again after' : 'not measured further; clients could not write for'
  const summary = `${first} ${whole(ms)}${blind}, ${counts(failed, unknown)}`
  return { severity: 'notice', code: 'canary-outage-over', summary, detail }
}

export function eventOfFinding(
  finding: Exclude<Finding, { kind: 'outage-began' | 'outage-ended' | 'stalled' | 'checked' }>,
): Words {
  switch (finding.kind) {
    case 'lost': {
      const { records, from, to, reachMs, atLeast } = finding.loss
      const least = atLeast ? 'at least ' : ''
      const summary =
        `${least}${records} acknowledged canary records, ${from} to ${to}, are not at the primary: ` +
        `${least}${whole(reachMs)} of acknowledged writes were lost, or somebody deleted them`
      return {
        severity: 'critical',
        code: 'canary-lost',
        summary,
        detail: { ...finding.loss, reachMs: Math.round(reachMs) },
      }
    }
    case 'returned': {
      const summary = `${finding.records} canary records that were told as lost are at the primary`
      return { severity: 'warning', code: 'canary-returned', summary, detail: { records: finding.records } }
    }
    case 'bad-record': {
      const { where, because } = finding
      const summary = `read back from ${where}: ${because}`
      return { severity: 'warning', code: 'canary-bad-record', summary, detail: { where, because } }
    }
    case 'not-measured': {
      const { because } = finding
      const severity = because.startsWith('the group refuses us') ? 'warning' : 'info'
      return { severity, code: 'canary-not-measured', summary: `not measured: ${because}`, detail: { because } }
    }
    case 'measured':
      return { severity: 'info', code: 'canary-measured', summary: 'what clients see is measured', detail: {} }
  }
}

function counts(failed: number, unknown: number): string {
  return `${failed} failed, ${unknown} without an answer`
}

const whole = (ms: number): string => durationText(Math.round(ms))
