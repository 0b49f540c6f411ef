/**
 * Exceptions from the rules: scripts/tidy-allow.txt, one a line: `rule path[:subject] -- reason`. An exception that no
 * longer excuses anything is itself a finding, so that the list only holds what is needed.
 */
import type { Finding } from './finding.ts'

export interface Allowance {
  readonly line: number
  readonly rule: string
  readonly path: string
  readonly subject: string | null
}

export const ALLOWANCES_PATH = 'scripts/tidy-allow.txt'
const LINE = /^(?<rule>[a-z-]+) (?<path>[^\s:]+)(:(?<subject>.+?))? -- (?<reason>\S.*)$/

export interface AllowanceList {
  readonly allowances: readonly Allowance[]
  readonly findings: readonly Finding[]
}

export function readAllowances(text: string): AllowanceList {
  const allowances: Allowance[] = []
  const findings: Finding[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const groups = LINE.exec(line)?.groups
    if (groups?.rule === undefined || groups.path === undefined) {
      const message = "not understood; write 'rule path[:subject] -- reason', for example 'file-size src/a.ts -- why'"
      findings.push({ path: ALLOWANCES_PATH, line: index + 1, rule: 'allowances', message })
      continue
    }
    allowances.push({ line: index + 1, rule: groups.rule, path: groups.path, subject: groups.subject ?? null })
  }
  return { allowances, findings }
}

/** Findings that no allowance excuses, and a finding for each allowance that excused nothing. */
export function applyAllowances(findings: readonly Finding[], allowances: readonly Allowance[]): readonly Finding[] {
  const used = new Set<Allowance>()
  const left = findings.filter((finding) => {
    const excuse = allowances.find((one) => excuses(one, finding))
    if (excuse !== undefined) used.add(excuse)
    return excuse === undefined
  })
  const idle = allowances.filter((one) => !used.has(one))
  return [...left, ...idle.map(idleFinding)]
}

function excuses(one: Allowance, finding: Finding): boolean {
  if (one.rule !== finding.rule || one.path !== finding.path) return false
  return one.subject === null || one.subject === finding.subject
}

function idleFinding(one: Allowance): Finding {
  const what = one.subject === null ? one.path : `${one.path}:${one.subject}`
  const message = `the exception '${one.rule} ${what}' excuses nothing any more; remove the line`
  return { path: ALLOWANCES_PATH, line: one.line, rule: 'allowances', message }
}
