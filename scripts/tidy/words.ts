/** Rules about words: those with a better one, marks of unfinished work, and what only the author's desk knows. */
import type { Finding } from './finding.ts'
import { LOCK_PATH, type SourceFile } from './source-files.ts'

interface BannedWord {
  readonly pattern: RegExp
  readonly rule: 'words' | 'unfinished' | 'leaks'
  readonly wanted: string
}

/** Each pattern is looked for in every line of every text file. */
const BANNED_WORDS: readonly BannedWord[] = [
  {
    pattern: /\b(masters?|slaves?)\b/i,
    rule: 'words',
    wanted: "say 'primary' and 'replica' (an engine's own name for it needs an allowance)",
  },
  { pattern: /\b(whitelist|blacklist)\w*/i, rule: 'words', wanted: "say 'allowed' and 'refused'" },
  {
    pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
    rule: 'unfinished',
    wanted: 'do it now, or write the gap into the SPEC.md or the documentation of what it concerns',
  },
  {
    pattern: /(?<![\w.~-])\/(work|root|workspace|home\/[a-z]\w*)\//,
    rule: 'leaks',
    wanted: 'a path of one machine; write it relative to the repository, or take it from the configuration',
  },
  {
    pattern: /\/tmp\/(brief|i2)\b/,
    rule: 'leaks',
    wanted: 'a path of one machine; the project speaks only of itself',
  },
  {
    pattern: /(?<![\w/#&])#\d{1,5}\b(?!\s*[;{])/,
    rule: 'leaks',
    wanted: "a number without its repository leads nowhere; write it like 'patroni#1894', or say what it was about",
  },
  {
    pattern: /\b(in|of|from|by|see|this|last|previous|next) (session|issue) \d+\b/i,
    rule: 'leaks',
    wanted: 'say what was decided, not when; the project speaks only of itself',
  },
]

export function checkWords(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter((file) => file.path !== LOCK_PATH)
    .flatMap((file) => file.lines.flatMap((text, index) => checkLine(file.path, index + 1, text)))
}

function checkLine(path: string, line: number, text: string): readonly Finding[] {
  const findings: Finding[] = []
  for (const { pattern, rule, wanted } of BANNED_WORDS) {
    const word = pattern.exec(text)?.[0]
    if (word !== undefined) findings.push({ path, line, rule, message: `'${word}': ${wanted}`, subject: word })
  }
  return findings
}
