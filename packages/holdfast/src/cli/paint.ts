/** Colours for people; plain text for pipes, NO_COLOR and --no-color. */
import type { Terminal } from './terminal.ts'

export interface Paint {
  bold(text: string): string
  dim(text: string): string
  good(text: string): string
  warn(text: string): string
  bad(text: string): string
}

export function paintFor(terminal: Terminal, wanted: boolean): Paint {
  const colours = wanted && terminal.isTty && (terminal.env.NO_COLOR ?? '') === '' && terminal.env.TERM !== 'dumb'
  const wrap = (on: number, off: number) => (text: string) => (colours ? `\u001b[${on}m${text}\u001b[${off}m` : text)
  return { bold: wrap(1, 22), dim: wrap(2, 22), good: wrap(32, 39), warn: wrap(33, 39), bad: wrap(31, 39) }
}
