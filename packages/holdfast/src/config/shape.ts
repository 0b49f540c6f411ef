/** Holds the values against the schema and says, for each thing that does not fit, what is wrong and what is right. */
import type { z } from 'zod'
import { type Finding, type Path, pathText, shown } from './mistake.ts'
import { nearest } from './nearest.ts'

type Issue = z.core.$ZodIssue

export type Shaped<T> =
  | { readonly ok: true; readonly description: T }
  | { readonly ok: false; readonly findings: readonly Finding[] }

export function shapeOf<T>(schema: z.ZodType<T>, value: unknown): Shaped<T> {
  const result = schema.safeParse(value)
  if (result.success) return { ok: true, description: result.data }
  return { ok: false, findings: toldOnce(result.error.issues.flatMap((issue) => findingsOf(issue, [], value))) }
}

interface ShapeFinding extends Finding {
  /** The key that an unknown one was meant to be. */
  readonly meant?: Path
}

/** A misspelled key is not missing as well, and a block is not wrong as a whole when a part of it is. */
function toldOnce(findings: readonly ShapeFinding[]): readonly Finding[] {
  const meant = new Set(findings.flatMap((finding) => (finding.meant === undefined ? [] : pathText(finding.meant))))
  const unknown = findings.filter((finding) => finding.meant !== undefined).map((finding) => pathText(finding.path))
  return findings.filter((finding) => {
    const path = pathText(finding.path)
    return finding.meant !== undefined || !(meant.has(path) || unknown.some((other) => other.startsWith(`${path}.`)))
  })
}

function findingsOf(issue: Issue, base: Path, root: unknown): readonly ShapeFinding[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(path, key, issue.message))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const found = valueAt(root, path)
    const branch = isBlock(found) && isGroup(path) ? kindOfGroup(issue.errors, found) : likeliest(issue.errors, found)
    if (branch !== null) return branch.flatMap((inner) => findingsOf(inner, path, root))
  }
  if (issue.code === 'invalid_key') {
    const key = String(path.at(-1))
    return [{ path, at: 'key', what: `\`${shown(key)}\` is not a valid key`, right: issue.issues[0]?.message ?? '' }]
  }
  const found = valueAt(root, path)
  const at = found === null ? 'key' : 'value'
  return [{ path, at, what: whatIsWrong(issue, path, found), right: rightFor(issue, found) }]
}

function isGroup(path: Path): boolean {
  return path.length === 2 && path[0] === 'groups'
}

function isBlock(found: unknown): found is object {
  return typeof found === 'object' && found !== null && !Array.isArray(found)
}

/** Who writes `supervised` means a group that another program leads, however much else is wrong. */
function kindOfGroup(branches: readonly (readonly Issue[])[], found: object): readonly Issue[] | null {
  return branches[Object.hasOwn(found, 'supervised') ? 1 : 0] ?? null
}

/** The branch of a choice that was meant: the one whose keys are there. None when the value is of no branch's kind. */
function likeliest(branches: readonly (readonly Issue[])[], found: unknown): readonly Issue[] | null {
  const begun = (issue: Issue) => issue.path.length > 0 && valueAt(found, issue.path.slice(0, 1)) !== undefined
  return branches.find((issues) => issues.every(begun)) ?? null
}

function unknownKey(path: Path, key: string, message: string): ShapeFinding {
  const known = knownKeys(message)
  const meant = nearest(key, known)
  const literal = /\{ env: NAME \}/.test(message)
  return {
    path: [...path, key],
    meant: [...path, meant ?? key],
    at: 'key',
    what: `\`${shown(key)}\` is not a key here`,
    right: meant !== null ? `\`${meant}\`?` : literal ? message : `one of ${known.join(', ')}`,
  }
}

function knownKeys(message: string): readonly string[] {
  if (message.startsWith('{ env: NAME }')) return ['env', 'file']
  const listed = /^a block with the keys (.*)$/.exec(message)?.[1]
  return listed === undefined ? [...message.matchAll(/\{ (\w+):/g)].map((match) => match[1] ?? '') : listed.split(', ')
}

function whatIsWrong(issue: Issue, path: Path, found: unknown): string {
  const key = keyOf(path)
  if (found === undefined) return `${key} is missing`
  if (found === null) return path.length === 0 ? 'the file says nothing' : `${key} has no value`
  if (issue.code === 'custom') {
    const both = Object.keys(found).length > 1
    return `${key} names ${both ? 'both env and file' : 'neither env nor file'}`
  }
  const secret = isSecretPath(path)
  if (secret && typeof found !== 'object') return `${key} holds a secret in plain sight`
  const is = secret ? '' : quoted(found)
  if (isOtherKind(issue, found)) {
    return `${key} cannot be ${kindOf(found)}${is}`
  }
  if (issue.code === 'too_big' && Array.isArray(found)) return `${key} has ${found.length} entries`
  if (Array.isArray(found)) return `${key} is an empty list`
  return typeof found === 'object' ? `${key} is not complete` : `${key} is${is}`
}

function isOtherKind(issue: Issue, found: unknown): boolean {
  if (issue.code === 'invalid_value') return issue.values.every((value) => typeof value !== typeof found)
  return issue.code === 'invalid_type' || (issue.code === 'invalid_union' && typeof found !== 'string')
}

function rightFor(issue: Issue, found: unknown): string {
  const right = issue.message
  if (typeof found === 'string') {
    const meant = nearest(found, choicesOf(issue))
    return meant === null ? right : `\`${meant}\`? It is ${right}`
  }
  if (typeof found === 'number' && right.startsWith('a number and a unit')) return `${right}; ${found} has no unit`
  const quotable = (typeof found === 'number' || typeof found === 'boolean') && issue.code === 'invalid_type'
  return quotable && issue.expected === 'string' ? `${right}; put it in quotes if it is meant as text` : right
}

function choicesOf(issue: Issue): readonly string[] {
  if (issue.code === 'invalid_value') return issue.values.filter((value) => typeof value === 'string')
  const options = issue.code === 'invalid_union' && 'options' in issue ? issue.options : []
  return Array.isArray(options) ? options.map(String) : []
}

function keyOf(path: Path): string {
  const last = path.at(-1)
  if (last === undefined) return 'the file'
  if (typeof last === 'string') return `\`${shown(last)}\``
  return `entry ${last + 1} of \`${shown(path.at(-2) ?? 'the list')}\``
}

/** True where a person may have written a secret itself; its text must not reach a screen or a log. */
function isSecretPath(path: Path): boolean {
  return path.some((part) => /^(token|password|secrets)$/.test(String(part)))
}

function quoted(found: unknown): string {
  return typeof found === 'object' ? '' : ` \`${shown(found)}\``
}

function kindOf(found: unknown): string {
  if (Array.isArray(found)) return 'a list'
  if (typeof found === 'object') return 'a block of keys'
  if (typeof found === 'number') return 'the number'
  return typeof found === 'boolean' ? 'the word' : 'the text'
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<PropertyKey, unknown>)[part]
  }
  return value
}
