/** Rules about sizes. What is larger needs a line with a reason in scripts/tidy-allow.txt. */
import type { Finding } from './finding.ts'
import { isScript, type SourceFile } from './source-files.ts'
import type { FileFacts, FunctionFact } from './syntax.ts'

const FILE_LINES_MAX = 500
const FUNCTION_LINES_MAX = 70
const PARAMETERS_MAX = 4
const LINE_LENGTH_MAX = 120

/** These only group tests: the limit counts for each test inside. */
const GROUPING_CALLS: ReadonlySet<string> = new Set(['describe', 'suite', 'describe.only', 'suite.only'])

export function checkSizes(files: readonly SourceFile[], facts: readonly FileFacts[]): readonly Finding[] {
  return [
    ...files.filter((file) => isScript(file.path)).flatMap(checkFile),
    ...facts.flatMap((file) => file.functions.flatMap((one) => checkFunction(file.path, one))),
  ]
}

function checkFile(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = []
  const lineCount = file.text.endsWith('\n') ? file.lines.length - 1 : file.lines.length
  if (lineCount > FILE_LINES_MAX) {
    const message = `${lineCount} lines, ${FILE_LINES_MAX} are allowed; split by subject (a core room by event family)`
    findings.push({ path: file.path, line: FILE_LINES_MAX + 1, rule: 'file-size', message })
  }
  for (const [index, text] of file.lines.entries()) {
    if (text.length <= LINE_LENGTH_MAX) continue
    const message = `${text.length} characters, ${LINE_LENGTH_MAX} are allowed; break the line`
    findings.push({ path: file.path, line: index + 1, rule: 'line-length', message })
  }
  return findings
}

function checkFunction(path: string, one: FunctionFact): readonly Finding[] {
  const findings: Finding[] = []
  const at = { path, line: one.line, subject: one.name }
  const grouping = one.passedTo !== null && GROUPING_CALLS.has(one.passedTo)
  if (one.lineCount > FUNCTION_LINES_MAX && !grouping) {
    const message =
      `${one.name} has ${one.lineCount} lines, ${FUNCTION_LINES_MAX} are allowed; ` +
      'keep the control flow here and move pure parts into functions of their own'
    findings.push({ ...at, rule: 'function-size', message })
  }
  if (one.parameterCount > PARAMETERS_MAX) {
    const message =
      `${one.name} has ${one.parameterCount} parameters, ${PARAMETERS_MAX} are allowed; ` +
      'take an options object with named fields'
    findings.push({ ...at, rule: 'parameters', message })
  }
  return findings
}
