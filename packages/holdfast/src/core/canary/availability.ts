/**
 * Whether clients are served, from what became of attempts: every moment is up, down or not measured, and an outage is
 * the time from the last acknowledgement before it to the first after it. Pure (SPEC.md).
 */
import { assert } from '../assert.ts'
import type { OpenOutage, Pace, Span, Step, Told, WatchEvent, Watched } from './model.ts'
import { TRANSITIONS } from './transitions.ts'

/** Far above what the shell has under way; more would be a defect that must not eat memory. */
const PENDING_MAX = 16

export function unwatched(nowMs: number, because: string): Watched {
  return { condition: 'unmeasured', because, seenMs: nowMs, settledMs: nowMs, pending: [], outage: null }
}

export function stepWatch(before: Watched, event: WatchEvent, pace: Pace): Step {
  const nowMs = Math.max(event.nowMs, before.seenMs)
  const walk = new Walk(before, nowMs)
  if (nowMs - before.seenMs > pace.stallMs) walk.stall()
  walk.take(event, pace)
  const { condition } = walk.state
  const allowed = condition === before.condition || TRANSITIONS[before.condition][event.kind].includes(condition)
  assert(allowed, `canary: ${event.kind} led from ${before.condition} to ${condition}`)
  return { state: { ...walk.state, seenMs: nowMs }, spans: walk.spans, told: walk.told }
}

const NOTHING: Omit<OpenOutage, 'fromMs'> = { failed: 0, unknown: 0, unmeasuredMs: 0 }

class Walk {
  readonly spans: Span[] = []
  readonly told: Told[] = []
  readonly #nowMs: number
  state: Watched

  constructor(before: Watched, nowMs: number) {
    this.state = before
    this.#nowMs = nowMs
  }

  /** What was not measured is no outage, and what was under way meanwhile proves none. */
  stall(): void {
    const { condition, seenMs, pending, outage } = this.state
    this.told.push({ kind: 'stalled', ms: this.#nowMs - seenMs })
    this.state = { ...this.state, pending: pending.map((one) => ({ ...one, void: true })) }
    if (condition === 'down' && outage !== null) {
      this.#settle('down', seenMs)
      const unmeasuredMs = outage.unmeasuredMs + this.#nowMs - seenMs
      this.#settle('unmeasured')
      this.state = { ...this.state, outage: { ...outage, unmeasuredMs } }
      return
    }
    this.#blind()
  }

  /** Since the newest acknowledgement nothing was confirmed; an outage that has begun goes on. */
  #blind(): void {
    const { condition } = this.state
    if (condition === 'down') return
    this.#settle('unmeasured')
    if (condition === 'up') this.state = { ...this.state, condition: 'starting' }
  }

  take(event: WatchEvent, pace: Pace): void {
    switch (event.kind) {
      case 'begin':
        this.#begin()
        return
      case 'pause':
        this.#pause(event.because)
        return
      case 'tick':
        this.#tick(pace)
        return
      case 'invoke':
        this.#invoke(event.n)
        return
      case 'ok':
        if (this.#finished(event.n) !== null) this.#served(pace)
        return
      case 'void':
        if (this.#finished(event.n) !== null) this.#blind()
        return
      case 'fail':
      case 'info': {
        const attempt = this.#finished(event.n)
        if (attempt !== null && !attempt.void) this.#unserved(event.kind)
      }
    }
  }

  #begin(): void {
    if (this.state.condition !== 'unmeasured') return
    this.#settle('unmeasured')
    this.state = { ...this.state, condition: 'starting', because: '' }
  }

  #pause(because: string): void {
    const { condition } = this.state
    this.#settle(condition === 'down' ? 'down' : 'unmeasured')
    this.#end('not to its end')
    this.state = { ...this.state, condition: 'unmeasured', because, pending: [] }
  }

  #tick({ lateMs }: Pace): void {
    const { condition, settledMs, pending } = this.state
    if (condition === 'unmeasured') this.#settle('unmeasured')
    if (condition === 'down') this.#settle('down')
    if (condition !== 'up' && condition !== 'starting') return
    if (this.#nowMs - settledMs > lateMs && pending.some((one) => !one.void)) this.#fall()
  }

  #invoke(n: number): void {
    if (this.state.condition === 'unmeasured') return
    const attempt = { n, sentMs: this.#nowMs, void: false }
    this.state = { ...this.state, pending: [...this.state.pending, attempt].slice(-PENDING_MAX) }
  }

  /** Null for one that is not awaited: it was given up, or measuring was paused. */
  #finished(n: number): Watched['pending'][number] | null {
    const attempt = this.state.pending.find((one) => one.n === n) ?? null
    if (attempt === null) return null
    this.state = { ...this.state, pending: this.state.pending.filter((one) => one.n !== n) }
    return attempt
  }

  #served({ lateMs }: Pace): void {
    const { settledMs, outage } = this.state
    if (outage === null && this.#nowMs - settledMs > lateMs) this.#fall()
    this.#settle(this.state.outage === null ? 'up' : 'down')
    this.#end('to its end')
    this.state = { ...this.state, condition: 'up' }
  }

  #unserved(kind: 'fail' | 'info'): void {
    if (this.state.outage === null) this.#fall()
    const outage = this.state.outage ?? { ...NOTHING, fromMs: this.state.settledMs }
    const counted = kind === 'fail' ? { failed: outage.failed + 1 } : { unknown: outage.unknown + 1 }
    this.state = { ...this.state, outage: { ...outage, ...counted } }
  }

  /** Down since the newest acknowledgement. */
  #fall(): void {
    const { settledMs } = this.state
    this.told.push({ kind: 'outage-began', fromMs: settledMs })
    this.state = { ...this.state, condition: 'down', outage: { ...NOTHING, fromMs: settledMs } }
    this.#settle('down')
  }

  #end(seen: 'to its end' | 'not to its end'): void {
    const { outage } = this.state
    if (outage === null) return
    this.told.push({ kind: 'outage-ended', ...outage, toMs: this.#nowMs, seen })
    this.state = { ...this.state, outage: null }
  }

  #settle(kind: Span['kind'], toMs: number = this.#nowMs): void {
    const { settledMs } = this.state
    if (toMs <= settledMs) return
    this.spans.push({ kind, fromMs: settledMs, toMs })
    this.state = { ...this.state, settledMs: toMs }
  }
}
