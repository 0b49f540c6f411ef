/** Tells a run line by line: one column per member, decisions with reasons, actions, faults. For people. */
import type { Action } from '../core/protocol.ts'
import type { Fault } from './fault-menu.ts'
import type { Step } from './run.ts'

const TIME_WIDTH = 11

export class Trace {
  readonly lines: string[] = []
  private readonly size: number
  private readonly linesMax: number

  /** Keeps the last `linesMax` lines. */
  constructor(size: number, linesMax: number) {
    this.size = size
    this.linesMax = linesMax
  }

  step(atMs: number, host: number, step: Step): void {
    for (const reason of step.reasons) {
      const detail = Object.entries(reason.detail).map(([key, value]) => `${key}=${value}`)
      this.add(atMs, host, [reason.code, ...detail, reason.rule ?? ''].join(' ').trim())
    }
    for (const action of step.actions) {
      const text = described(action)
      if (text !== null) this.add(atMs, host, `> ${text}`)
    }
  }

  fault(fault: Fault): void {
    this.push(`${time(fault.atMs)} ${'*'.padEnd(this.size + 2)} fault ${fault.kind} for ${fault.forMs} ms`)
  }

  private add(atMs: number, host: number, text: string): void {
    const columns = '.'.repeat(host) + String(host + 1) + '.'.repeat(this.size - host - 1)
    this.push(`${time(atMs)} ${columns}  ${text}`)
  }

  private push(line: string): void {
    this.lines.push(line)
    if (this.lines.length > this.linesMax * 2) this.lines.splice(0, this.lines.length - this.linesMax)
  }

  last(count: number): string[] {
    return this.lines.slice(-count)
  }
}

function time(ms: number): string {
  return (ms / 1_000).toFixed(3).padStart(TIME_WIDTH)
}

/** Beats and arms are too many to tell. */
export function described(action: Action): string | null {
  switch (action.kind) {
    case 'write-session':
    case 'arm':
    case 'read-session':
    case 'read-record':
      return null
    case 'engine':
      return `engine ${JSON.stringify(action.command)}`
    case 'write-record': {
      const { epoch, phase, sync } = action.record
      return `record ${action.purpose} epoch=${epoch} phase=${phase} sync=${sync.need} of [${sync.members.join(' ')}]`
    }
    case 'answer-freeze':
    case 'answer-failsafe':
    case 'answer-restart':
      return `${action.kind} ${action.because}`
    case 'ask-freeze':
    case 'ask-failsafe':
      return `${action.kind} epoch=${action.epoch} of [${action.members.join(' ')}]`
    case 'disarm':
      return 'disarm'
  }
}
