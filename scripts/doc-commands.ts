/**
 * Takes out of a document what a test can run, so that examples stay true. The words after a fence's language decide:
 *   ```yaml file=NAME        a file to write before what follows
 *   ```sh run                commands that must succeed, in one shell with all others of the page
 *   ```sh run background     a command that stays running until the page ends
 *   ```sh run retry=SECONDS  commands that must succeed within that time
 * Fences without these words are only shown. Prints the steps of the named documents as JSON.
 */
import { readFileSync } from 'node:fs'

export type DocStep =
  | { readonly kind: 'file'; readonly line: number; readonly name: string; readonly text: string }
  | {
      readonly kind: 'commands'
      /** Line of the document where the commands start. */
      readonly line: number
      readonly text: string
      readonly background: boolean
      /** 0: must succeed the first time. */
      readonly retrySeconds: number
    }

const RETRY_SECONDS_MAX = 300
const KNOWN_WORD = /^(run|background|retry=\d+|file=[\w./-]+)$/

/** Throws for a fence that is not closed and for words it does not know: a typing error must not hide a step. */
export function readDocSteps(markdown: string): readonly DocStep[] {
  const steps: DocStep[] = []
  const lines = markdown.split('\n')
  for (let index = 0; index < lines.length; index++) {
    const opening = /^```(\w*)\s*(.*)$/.exec(lines[index] ?? '')
    if (opening === null) continue
    const end = lines.indexOf('```', index + 1)
    if (end === -1) throw new Error(`line ${index + 1}: the fence is not closed; end it with a line of three backticks`)
    const words = (opening[2] ?? '').split(/\s+/).filter((word) => word !== '')
    const step = stepOf(words, `${lines.slice(index + 1, end).join('\n')}\n`, index + 2)
    if (step !== null) steps.push(step)
    index = end
  }
  return steps
}

function stepOf(words: readonly string[], text: string, line: number): DocStep | null {
  const unknown = words.find((word) => !KNOWN_WORD.test(word))
  if (unknown !== undefined) {
    throw new Error(`line ${line - 1}: '${unknown}' is not known; write run, background, retry=SECONDS or file=NAME`)
  }
  const valueAfter = (name: string): string | undefined =>
    words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1)
  const name = valueAfter('file')
  if (name !== undefined) {
    if (name.startsWith('/') || name.split('/').includes('..'))
      throw new Error(`line ${line - 1}: ${name} leads outside`)
    return { kind: 'file', line, name, text }
  }
  if (!words.includes('run')) return null
  const retrySeconds = Math.min(Number(valueAfter('retry') ?? 0), RETRY_SECONDS_MAX)
  return { kind: 'commands', line, text, background: words.includes('background'), retrySeconds }
}

function main(): void {
  const documents = process.argv.slice(2)
  if (documents.length === 0) {
    console.error('usage: node scripts/doc-commands.ts DOCUMENT...')
    process.exitCode = 2
    return
  }
  const steps = documents.map((document) => ({ document, steps: readDocSteps(readFileSync(document, 'utf8')) }))
  console.log(JSON.stringify(steps, null, 2))
}

if (import.meta.main) main()
