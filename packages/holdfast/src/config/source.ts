/**
 * From the bytes of a file to plain values with positions. Refuses what a description never needs: aliases and tags
 * (a few lines of them can stand for gigabytes), several documents, duplicate keys. Leaves meaning to `shape.ts`.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from 'yaml'
import { type Finding, type Mistake, type Path, pathText, shown } from './mistake.ts'

/** A description of hundreds of groups is below 100 KiB. */
export const FILE_BYTES_MAX = 512 * 1024
/** The format itself needs six levels. */
const DEPTH_MAX = 24
/** After this many mistakes the next ones are no longer of use. */
const SYNTAX_MISTAKES_MAX = 20

export interface Source {
  readonly value: unknown
  readonly mistakes: readonly Mistake[]
  /** False when the text could not be understood; `value` then says nothing. */
  readonly readable: boolean
  /** Gives a finding its position. */
  place(finding: Finding): Mistake
}

interface Spot {
  readonly keyOffset: number | null
  readonly valueOffset: number
}

/** Never throws, whatever the bytes. */
export function readSource(bytes: Uint8Array): Source {
  const text = decoded(bytes)
  if (typeof text !== 'string') return unreadable([text])
  if (text.trim() === '') {
    return unreadable([wholeFile('the file is empty', 'a description; "holdfast validate --help" names an example')])
  }
  try {
    return parsed(text)
  } catch (error) {
    // The parser recurses; what is nested thousands of levels deep ends its stack.
    if (!(error instanceof RangeError)) throw error
    return unreadable([wholeFile('the file is nested too deeply to be read', `at most ${DEPTH_MAX} levels`)])
  }
}

function unreadable(mistakes: readonly Mistake[]): Source {
  return {
    value: null,
    mistakes,
    readable: false,
    place: ({ path, what, right }) => ({ line: 0, column: 0, path: pathText(path), what, right }),
  }
}

export function wholeFile(what: string, right: string): Mistake {
  return { line: 0, column: 0, path: '', what, right }
}

function decoded(bytes: Uint8Array): string | Mistake {
  const right = 'text in UTF-8'
  if (bytes.length > FILE_BYTES_MAX) {
    const what = `the file has ${bytes.length} bytes; no description is that long`
    return wholeFile(what, `at most ${FILE_BYTES_MAX} bytes`)
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return wholeFile('the file is written in UTF-16', right)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const before = new TextDecoder('utf-8').decode(bytes).split('\ufffd')[0] ?? ''
    const lines = before.split('\n')
    const position = { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
    return { ...position, path: '', what: 'a byte here is not UTF-8', right }
  }
}

function parsed(text: string): Source {
  const counter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: false,
    stringKeys: false,
    merge: false,
    logLevel: 'error',
  })
  const at = (offset: number) => {
    const { line, col } = counter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  if (document.errors.length > 0) {
    // The parser may complain twice about one place; the first complaint is the useful one.
    const errors = document.errors.filter(
      (error, index, all) => error.pos[0] !== all[index - 1]?.pos[0] && !repeated(error, all[index - 1]),
    )
    const told = errors.slice(0, SYNTAX_MISTAKES_MAX)
    return unreadable(told.map((error) => ({ ...at(error.pos[0]), path: '', ...syntaxWords(error) })))
  }
  const walk: Walk = { spots: new Map(), mistakes: [], aliases: new Set(), at }
  const value = plain(document.contents, [], walk)
  const place = (finding: Finding): Mistake => ({
    ...at(offsetOf(walk.spots, finding)),
    path: pathText(finding.path),
    what: finding.what,
    right: finding.right,
  })
  return { value, mistakes: walk.mistakes, readable: true, place }
}

/** The finding's own place, or that of the nearest block around it. */
function offsetOf(spots: ReadonlyMap<string, Spot>, finding: Finding): number {
  for (let length = finding.path.length; length >= 0; length--) {
    const spot = spots.get(JSON.stringify(finding.path.slice(0, length)))
    if (spot === undefined) continue
    const exact = length === finding.path.length
    return exact && finding.at === 'key' ? (spot.keyOffset ?? spot.valueOffset) : spot.valueOffset
  }
  return 0
}

interface Walk {
  readonly spots: Map<string, Spot>
  readonly mistakes: Mistake[]
  /** Each alias is told once, however often it is used. */
  readonly aliases: Set<string>
  at(offset: number): { line: number; column: number }
}

function plain(node: unknown, path: Path, walk: Walk, keyOffset: number | null = null): unknown {
  const start = rangeStart(node) ?? keyOffset ?? 0
  walk.spots.set(JSON.stringify(path), { keyOffset, valueOffset: start })
  const refuse = (what: string, right: string, offset = start) => {
    walk.mistakes.push({ ...walk.at(offset), path: pathText(path), what, right })
  }
  if (path.length > DEPTH_MAX) {
    refuse('nested too deeply', `at most ${DEPTH_MAX} levels`)
    return null
  }
  if (isAlias(node)) {
    const first = !walk.aliases.has(node.source)
    walk.aliases.add(node.source)
    if (first)
      refuse(
        `the alias *${shown(node.source)} is not supported`,
        'write the value out; agentDefaults saves repeating it',
      )
    return null
  }
  const tag = isScalar(node) || isMap(node) || isSeq(node) ? node.tag : undefined
  if (tag !== undefined) {
    refuse(`the tag ${shown(tag)} is not supported`, 'the plain value, without a tag')
    return null
  }
  if (isSeq(node)) return node.items.map((item, index) => plain(item, [...path, index], walk))
  if (!isMap(node)) return isScalar(node) ? scalar(node.value) : null
  return block(node.items, path, walk)
}

function block(pairs: readonly { key: unknown; value: unknown }[], path: Path, walk: Walk): object {
  const result: Record<string, unknown> = {}
  const lines = new Map<string, number>()
  for (const pair of pairs) {
    const offset = rangeStart(pair.key) ?? 0
    const position = walk.at(offset)
    const key = isScalar(pair.key) ? String(pair.key.value) : null
    const wrong = keyMistake(key, lines)
    if (key === null || wrong !== null) {
      const [what, right] = wrong ?? ['a key must be a plain word', 'a word, then ":"']
      walk.mistakes.push({ ...position, path: pathText(path), what, right })
      continue
    }
    lines.set(key, position.line)
    result[key] = plain(pair.value, [...path, key], walk, offset)
  }
  return result
}

function keyMistake(key: string | null, lines: ReadonlyMap<string, number>): [string, string] | null {
  if (key === null) return null
  if (key === '__proto__') return ['`__proto__` is not a key', 'remove it']
  if (key === '<<')
    return ['merging with << is not supported', 'write the keys out; agentDefaults saves repeating them']
  const first = lines.get(key)
  if (first === undefined) return null
  return [`\`${shown(key)}\` stands here again; it was first given in line ${first}`, 'one of the two']
}

function scalar(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

function rangeStart(node: unknown): number | null {
  if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return null
  return node.range?.[0] ?? null
}

/** Unwinding from too deep a place, the parser complains at every level. */
function repeated(error: YAMLError, before: YAMLError | undefined): boolean {
  return error.code === 'RESOURCE_EXHAUSTION' && before?.code === error.code
}

/** The parser's words for those who write YAML rarely. */
function syntaxWords(error: YAMLError): { what: string; right: string } {
  const what = shown(error.message.split('\n')[0])
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return { what: 'a tab is used to indent', right: 'spaces, two for each level' }
    case 'BAD_INDENT':
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return {
        what: `the indentation does not fit: ${what}`,
        right: 'two spaces for each level, the same within a block',
      }
    case 'MISSING_CHAR':
      return { what: `something is missing: ${what}`, right: 'close every quote, [ and {, and write ": " after a key' }
    case 'RESOURCE_EXHAUSTION':
      return { what: 'nested too deeply to be read', right: `at most ${DEPTH_MAX} levels` }
    case 'MULTIPLE_DOCS':
      return { what: 'a second document starts here ("---")', right: 'one document in a file' }
    case 'BAD_ALIAS':
    case 'ALIAS_PROPS':
      return { what: `aliases are not supported: ${what}`, right: 'write the value out, or put text with * in quotes' }
    case 'BAD_SCALAR_START':
      return { what: `a value cannot start like this: ${what}`, right: 'put the text in quotes' }
    case 'BAD_DQ_ESCAPE':
      return {
        what: `an unknown escape in a quoted text: ${what}`,
        right: "single quotes ('...'), where \\ means itself",
      }
    default:
      return {
        what: `this is not YAML: ${what}`,
        right: '"key: value" lines, lists with "- ", texts with : or # in quotes',
      }
  }
}
