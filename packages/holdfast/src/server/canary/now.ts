/** What a canary sees, in the words of the API. Pure. */
import type { ApiCanaryFigures, ApiCanaryNow, ApiGroup } from '@holdfast/client'
import type { CanaryView } from '../../canary/settings.ts'

export function nowOf(group: string, view: CanaryView, nowMs: number, known: ApiGroup | null): ApiCanaryNow {
  const { writes, reads, latency, replicas, atRisk: risk } = view
  const { outage } = writes
  const lagOf = (name: string): number | null => known?.members.find(({ member }) => member === name)?.lagBytes ?? null
  const side = ({ condition, because, via, lastTrouble }: CanaryView['writes']) => {
    return { condition, because, via, lastTrouble }
  }
  return {
    group,
    perSecond: view.perSecond,
    writes: side(writes),
    reads: side(reads),
    sinceAckMs: rounded(view.sinceAckMs),
    latency:
      latency === null
        ? null
        : { newestMs: fine(latency.newestMs), p50Ms: fine(latency.p50Ms), p95Ms: fine(latency.p95Ms) },
    outage: outage === null ? null : { ...counted(outage), forMs: Math.round(nowMs - outage.fromMs) },
    ...{ acked: view.acked, failed: view.failed, unknown: view.unknown, lost: view.lost, badRecords: view.bad },
    checkedMsAgo: rounded(view.checkedMsAgo),
    risk: risk === null ? null : { ...risk, ms: Math.round(risk.ms), lookedMsAgo: Math.round(risk.lookedMsAgo) },
    replicas: replicas.map(({ member, site, stale, lookedMsAgo, because }) => ({
      ...{ member, site, because },
      ageMs: rounded(stale?.ageMs ?? null),
      lacks: stale?.lacks ?? null,
      lacksMs: rounded(stale?.lacksMs ?? null),
      lookedMsAgo: rounded(lookedMsAgo),
      lagBytesPredicted: lagOf(member),
    })),
  }
}

function counted(outage: { readonly failed: number; readonly unknown: number; readonly unmeasuredMs: number }) {
  const { failed, unknown, unmeasuredMs } = outage
  return { failed, unknown, unmeasuredMs: Math.round(unmeasuredMs) }
}

const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms))
const fine = (ms: number): number => Math.round(ms * 100) / 100

export function figuresOf(
  all: readonly ApiCanaryNow[],
  only: ReadonlySet<string> | null,
  wallMs: number,
): ApiCanaryFigures {
  const seen = all.filter(({ group }) => only?.has(group) !== false)
  return { wallMs: Math.round(wallMs), groups: seen.map(figuresOfOne) }
}

function figuresOfOne(now: ApiCanaryNow): ApiCanaryFigures['groups'][number] {
  return {
    ...{ group: now.group, writes: now.writes.condition, reads: now.reads.condition, because: now.writes.because },
    ...{ latencyMs: now.latency?.newestMs ?? null, sinceAckMs: now.sinceAckMs },
    ...{ outageMs: now.outage?.forMs ?? null, risk: now.risk },
    replicas: now.replicas.map(({ member, ageMs, lacksMs }) => ({ member, ageMs, lacksMs })),
  }
}
