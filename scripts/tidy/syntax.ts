/**
 * Reads what the rules need out of TypeScript and JavaScript files: imports, functions, calls, declared names.
 * Uses the compiler's own parser, without its libraries and without following imports, so it stays fast. The parser's
 * interface is marked unstable by its makers; this file is the only place that touches it.
 */
import { type Node, SyntaxKind, type SourceFile as Tree } from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import { API, type APIOptions } from 'typescript/unstable/sync'
import type { SourceFile } from './source-files.ts'

export interface ImportFact {
  readonly line: number
  readonly specifier: string
  /** `import()` on first use; does not make a cycle at load time. */
  readonly dynamic: boolean
}

export interface FunctionFact {
  readonly line: number
  readonly name: string
  readonly lineCount: number
  readonly parameterCount: number
  /** Callee when the function is handed straight to a call, as in `describe('...', () => {})`. */
  readonly passedTo: string | null
}

export interface CallFact {
  readonly line: number
  /** Text of what is called, such as `Date.now` or `setTimeout`. `new Date` for a construction. */
  readonly callee: string
  readonly argumentCount: number
}

export interface NameFact {
  readonly line: number
  readonly name: string
}

export interface FileFacts {
  readonly path: string
  readonly imports: readonly ImportFact[]
  readonly functions: readonly FunctionFact[]
  readonly calls: readonly CallFact[]
  /** Classes and top-level functions, where a suffix says nothing. */
  readonly declared: readonly NameFact[]
  readonly defaultExportLine: number | null
}

interface Gathered {
  readonly imports: ImportFact[]
  readonly functions: FunctionFact[]
  readonly calls: CallFact[]
  readonly declared: NameFact[]
  defaultExportLine: number | null
}

/** Where the parser believes the files stand; nothing is read from the disk. */
const VIRTUAL_ROOT = '/holdfast-tidy'

export function readFacts(files: readonly SourceFile[]): readonly FileFacts[] {
  if (files.length === 0) return []
  const virtual = new Map(files.map((file) => [`${VIRTUAL_ROOT}/${file.path}`, file.text]))
  const project = `${VIRTUAL_ROOT}/tsconfig.json`
  virtual.set(project, projectText(files))
  const api = new API({ cwd: VIRTUAL_ROOT, fs: fileSystemOf(virtual) })
  try {
    const program = api.updateSnapshot({ openProject: project }).getProjects()[0]?.program
    if (program === undefined) throw new Error('The TypeScript parser did not open the files; run npm ci again.')
    return files.map((file) => {
      const tree = program.getSourceFile(`${VIRTUAL_ROOT}/${file.path}`)
      if (tree === undefined) throw new Error(`The TypeScript parser did not read ${file.path}.`)
      return factsOf(file.path, tree)
    })
  } finally {
    api.close()
  }
}

function projectText(files: readonly SourceFile[]): string {
  const compilerOptions = { noLib: true, noResolve: true, allowJs: true, types: [], jsx: 'preserve' }
  return JSON.stringify({ compilerOptions, files: files.map((file) => file.path) })
}

function fileSystemOf(virtual: ReadonlyMap<string, string>): NonNullable<APIOptions['fs']> {
  return {
    readFile: (path) => virtual.get(path) ?? null,
    fileExists: (path) => virtual.has(path),
    directoryExists: (path) => path === VIRTUAL_ROOT,
    getAccessibleEntries: () => ({ files: [], directories: [] }),
    realpath: (path) => path,
  }
}

function factsOf(path: string, tree: Tree): FileFacts {
  const into: Gathered = { imports: [], functions: [], calls: [], declared: [], defaultExportLine: null }
  const lineStarts = tree.getLineStarts()
  const lineAt = (position: number): number => lineOf(lineStarts, position)
  const visit = (node: Node, parent: Node): void => {
    const line = lineAt(node.getStart(tree))
    gatherModule(node, line, into)
    gatherCall(node, line, into, tree)
    if (is.isFunctionLikeDeclaration(node)) {
      into.functions.push({
        line,
        name: nameOf(node, tree) ?? nameOf(parent, tree) ?? '(anonymous)',
        lineCount: lineAt(node.getEnd()) - line + 1,
        parameterCount: node.parameters.length,
        passedTo: is.isCallExpression(parent) ? parent.expression.getText(tree) : null,
      })
    }
    const named = is.isClassDeclaration(node) || is.isFunctionDeclaration(node)
    const name = named ? nameOf(node, tree) : null
    if (name !== null) into.declared.push({ line, name })
    node.forEachChild((child) => visit(child, node))
  }
  tree.forEachChild((child) => visit(child, tree))
  return { path, ...into }
}

function gatherModule(node: Node, line: number, into: Gathered): void {
  if (is.isImportDeclaration(node) || is.isExportDeclaration(node)) {
    const from = node.moduleSpecifier
    if (from !== undefined && is.isStringLiteral(from))
      into.imports.push({ line, specifier: from.text, dynamic: false })
  }
  if (is.isExportAssignment(node)) into.defaultExportLine = line
  const marksDefault = node.kind === SyntaxKind.DefaultKeyword
  const declares = is.isFunctionDeclaration(node.parent) || is.isClassDeclaration(node.parent)
  if (marksDefault && declares) into.defaultExportLine = line
  if (is.isExportSpecifier(node) && node.name.text === 'default') into.defaultExportLine = line
}

function gatherCall(node: Node, line: number, into: Gathered, tree: Tree): void {
  if (is.isCallExpression(node)) {
    const first = node.arguments[0]
    if (node.expression.kind === SyntaxKind.ImportKeyword && first !== undefined && is.isStringLiteral(first)) {
      into.imports.push({ line, specifier: first.text, dynamic: true })
    }
    into.calls.push({ line, callee: node.expression.getText(tree), argumentCount: node.arguments.length })
  } else if (is.isNewExpression(node)) {
    const callee = `new ${node.expression.getText(tree)}`
    into.calls.push({ line, callee, argumentCount: node.arguments?.length ?? 0 })
  } else if (is.isPropertyAccessExpression(node) && !is.isCallExpression(node.parent)) {
    // A function passed on by name (`const now = Date.now`) is the same as a call to it.
    into.calls.push({ line, callee: node.getText(tree), argumentCount: 0 })
  }
}

function nameOf(node: Node, tree: Tree): string | null {
  const name = 'name' in node ? (node.name as Node | undefined) : undefined
  return name === undefined || typeof name.getText !== 'function' ? null : name.getText(tree)
}

/** Index of the last line start that is not after `position`, counted from 1. */
function lineOf(lineStarts: readonly number[], position: number): number {
  let low = 0
  let high = lineStarts.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((lineStarts[middle] ?? 0) <= position) low = middle + 1
    else high = middle
  }
  return low
}
