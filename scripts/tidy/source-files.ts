/**
 * Finds and reads the files tidy looks at. Walks the tree itself, so that it also works where there is no git.
 * Leaves to the rules what each file means.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface SourceFile {
  /** Path from the root, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

/** Directories that hold nothing written by hand. */
const SKIPPED_DIRECTORIES: ReadonlySet<string> = new Set([
  'node_modules',
  '.git',
  '.holdfast',
  'coverage',
  'out',
  'dist',
])
const READ_ENDINGS = ['.ts', '.tsx', '.js', '.mjs', '.md', '.json', '.yaml', '.yml', '.sh', '.css', '.html']
/** Files without an ending that are nevertheless text. */
const READ_NAMES: ReadonlySet<string> = new Set(['run', '.npmrc', '.gitignore'])
/** Written by others. */
const SKIPPED_NAMES: ReadonlySet<string> = new Set(['LICENSE'])
/** Made by npm; its words are not ours. */
export const LOCK_PATH = 'package-lock.json'
/** A file beyond this is data, not source. */
const FILE_BYTES_MAX = 1_000_000

export function isScript(path: string): boolean {
  return /\.(ts|tsx|js|mjs)$/.test(path)
}

export function isTest(path: string): boolean {
  if (/\.(test|fixture)\.tsx?$/.test(path) || /^(test|bench)\//.test(path)) return true
  return /(^|\/)(conformance|testkit)(\.ts$|\/)/.test(path)
}

export function sourceFile(path: string, text: string): SourceFile {
  return { path, text, lines: text.split('\n') }
}

export function readSourceFiles(root: string): readonly SourceFile[] {
  const files: SourceFile[] = []
  const pending = ['']
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`
      if (entry.isDirectory()) {
        if (!SKIPPED_DIRECTORIES.has(entry.name)) pending.push(path)
      } else if (entry.isFile() && isRead(entry.name) && statSync(join(root, path)).size <= FILE_BYTES_MAX) {
        files.push(sourceFile(path, readFileSync(join(root, path), 'utf8')))
      }
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function isRead(name: string): boolean {
  if (SKIPPED_NAMES.has(name)) return false
  return READ_NAMES.has(name) || READ_ENDINGS.some((ending) => name.endsWith(ending))
}
