/** Which phase may follow which on which event: total, so that a new phase or event does not compile half-handled. */
import type { DrillEvent, Phase } from './model.ts'

type Kind = DrillEvent['kind']
type Row = Readonly<Record<Kind, readonly Phase[]>>

const STAY: Row = {
  tick: [],
  facts: [],
  canary: [],
  approved: [],
  probed: [],
  'fault-on': [],
  'fault-failed': [],
  'fault-off': [],
  'lift-failed': [],
  measured: [],
  'measure-failed': [],
  abort: [],
}

/** Beside the phases listed an event may always leave the phase as it is. */
export const TRANSITIONS: Readonly<Record<Phase, Row>> = {
  asking: { ...STAY, tick: ['ended'], approved: ['checking'], abort: ['ended'] },
  checking: {
    ...STAY,
    tick: ['ended'],
    facts: ['ended'],
    probed: ['asking-fault', 'faulting', 'ended'],
    abort: ['ended'],
  },
  'asking-fault': { ...STAY, tick: ['ended'], facts: ['ended'], approved: ['faulting', 'ended'], abort: ['ended'] },
  faulting: {
    ...STAY,
    tick: ['lifting'],
    canary: ['lifting'],
    'fault-on': ['faulted'],
    'fault-failed': ['lifting'],
    abort: ['lifting'],
  },
  faulted: {
    ...STAY,
    tick: ['lifting'],
    facts: ['lifting'],
    canary: ['lifting'],
    'fault-failed': ['lifting'],
    'fault-off': ['recovering'],
    abort: ['lifting'],
  },
  lifting: { ...STAY, tick: ['ended'], 'fault-off': ['recovering', 'ended'] },
  recovering: {
    ...STAY,
    tick: ['measuring', 'ended'],
    facts: ['ended'],
    canary: ['ended'],
    probed: ['measuring'],
    abort: ['ended'],
  },
  measuring: { ...STAY, tick: ['ended'], measured: ['ended'], 'measure-failed': ['ended'], abort: ['ended'] },
  ended: STAY,
}
