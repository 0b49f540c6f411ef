/** One mistake of a description: where, what is wrong, what would be right. */

export type Path = readonly (string | number)[]

export interface Mistake {
  /** 1-based position in the file; 0 when the file as a whole is meant. */
  readonly line: number
  readonly column: number
  /** Where in the document, e.g. `groups[0].members[2].listen`; empty for the document itself. */
  readonly path: string
  readonly what: string
  /** What would be right. */
  readonly right: string
}

/** A mistake found by its path; the position is looked up afterwards. `at` says which of key and value is meant. */
export interface Finding {
  readonly path: Path
  readonly at: 'key' | 'value'
  readonly what: string
  readonly right: string
}

/** Keys and values of strangers are shown up to this length, on one line. */
const SHOWN_MAX = 60

export function pathText(path: Path): string {
  let text = ''
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`
  return text
}

/** A piece of the file, safe to print: one line, no control characters, cut when long. */
export function shown(value: unknown): string {
  const text = [...String(value)].map((letter) => (isPrintable(letter) ? letter : '\u00b7')).join('')
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}

function isPrintable(letter: string): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(letter)
}

export function byPosition(a: Mistake, b: Mistake): number {
  return a.line - b.line || a.column - b.column || (a.what < b.what ? -1 : 1)
}
