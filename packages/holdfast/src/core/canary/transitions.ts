/** Which condition may follow which on which event: total, so that a new one does not compile half-handled. */
import type { Condition, WatchEvent } from './model.ts'

type Kind = WatchEvent['kind']
type Row = Readonly<Record<Kind, readonly Condition[]>>

/** After a stall it is not known whether clients are served: any event may begin with one. Nor is it known after an
 * answer that says nothing of them. */
const AFTER_STALL: readonly Condition[] = ['starting']

/** Beside the conditions listed an event may always leave the condition as it is. */
export const TRANSITIONS: Readonly<Record<Condition, Row>> = {
  unmeasured: { begin: ['starting'], pause: [], tick: [], invoke: [], ok: [], fail: [], info: [], void: [] },
  starting: {
    begin: [],
    pause: ['unmeasured'],
    tick: ['down'],
    invoke: [],
    ok: ['up'],
    fail: ['down'],
    info: ['down'],
    void: [],
  },
  up: {
    begin: AFTER_STALL,
    pause: ['unmeasured'],
    tick: ['down', ...AFTER_STALL],
    invoke: AFTER_STALL,
    ok: [],
    fail: ['down', ...AFTER_STALL],
    info: ['down', ...AFTER_STALL],
    void: AFTER_STALL,
  },
  down: { begin: [], pause: ['unmeasured'], tick: [], invoke: [], ok: ['up'], fail: [], info: [], void: [] },
}
