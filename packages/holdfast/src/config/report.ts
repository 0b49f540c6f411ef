/** Mistakes as people read them: file:line:column, what is wrong, and below it what would be right. */
import { visibleLine } from '../io/visible-text.ts'
import type { Mistake } from './mistake.ts'

const WIDTH = 80

/** One block per mistake, lines of at most 80 columns where words allow; without a final line break. */
export function mistakesText(file: string, mistakes: readonly Mistake[]): string {
  return mistakes.map((mistake) => mistakeText(file, mistake)).join('\n')
}

function mistakeText(file: string, { line, column, path, what, right }: Mistake): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`
  const head = path === '' ? place : `${place}  ${path}`
  return [head, ...wrapped(what, '  wrong  '), ...wrapped(right, '  right  ')].join('\n')
}

/** Words in lines of at most 80 columns; the first starts with `lead`, the others are indented as far. */
export function wrapped(text: string, lead: string): readonly string[] {
  const lines: string[] = []
  let line = lead
  let empty = true
  for (const word of visibleLine(text).split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ' '.repeat(lead.length)
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  return [...lines, line]
}
