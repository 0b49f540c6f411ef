/** Rules about names of files and declarations, and about doors: index.ts for packages only, no default exports. */
import type { Finding } from './finding.ts'
import { isScript, type SourceFile } from './source-files.ts'
import type { FileFacts } from './syntax.ts'

const EMPTY_WORDS = /^(utils?|common|managers?|helpers?|misc|services?|shared|stuff)$/
const EMPTY_SUFFIX = /(Utils?|Manager|Helpers?|Service|Common)$/
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/
/** Names that other programs prescribe. */
const PRESCRIBED = /^(README|LICENSE|CONTRIBUTING|CHANGELOG|SPEC|AGENTS|SECURITY)(\.md)?$|^\./
/** Doors of packages. */
const DOORS: ReadonlySet<string> = new Set(['packages/client/src/index.ts'])

export function checkNames(files: readonly SourceFile[], facts: readonly FileFacts[]): readonly Finding[] {
  return [...files.flatMap((file) => checkPath(file.path)), ...facts.flatMap(checkDeclarations)]
}

function checkPath(path: string): readonly Finding[] {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const at = { path, line: 1 }
  const findings: Finding[] = []
  if (!PRESCRIBED.test(name) && !KEBAB_CASE.test(name)) {
    const message = `'${name}' is not kebab-case; name it like 'sync-set.ts', by a noun`
    findings.push({ ...at, rule: 'file-name', message })
  }
  const words = path.split(/[/.]/).flatMap((part) => [part, ...part.split('-')])
  const empty = isScript(path) ? words.find((word) => EMPTY_WORDS.test(word)) : undefined
  if (empty !== undefined) {
    const message = `'${empty}' in a path says nothing; name the file by what it holds`
    findings.push({ ...at, rule: 'empty-name', message })
  }
  if (/(^|\/)index\.[a-z]+$/.test(path) && isScript(path) && !DOORS.has(path)) {
    const message = "only a package's door may be index.ts; import the file that has what you need"
    findings.push({ ...at, rule: 'index', message })
  }
  return findings
}

function checkDeclarations(file: FileFacts): readonly Finding[] {
  const findings: Finding[] = []
  if (file.defaultExportLine !== null) {
    const message = 'no default exports; export it by its name'
    findings.push({ path: file.path, line: file.defaultExportLine, rule: 'default-export', message })
  }
  for (const { line, name } of file.declared) {
    if (!EMPTY_SUFFIX.test(name)) continue
    const message = `the end of '${name}' says nothing; name it by what it does or holds`
    findings.push({ path: file.path, line, rule: 'empty-name', message, subject: name })
  }
  return findings
}
