/** Makes a copy of the program with a bug in it. The copy shares the installed packages and nothing else. */
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Edit } from './planted.ts'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** Linked by the workspace to their sources; in a copy they must lead into the copy. */
const OWN_SCOPE = '@holdfast'
const OWN_NAME = 'holdfast'

/** The text with the bug; throws when the place is not there, or not the only one. */
export function planted(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find)
  if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times, not once: ${find}`)
  return parts.join(replace)
}

/** The path of the copy's program. */
export function copyProgram(folder: string, edits: readonly Edit[]): string {
  mkdirSync(folder, { recursive: true })
  cpSync(join(ROOT, 'packages'), join(folder, 'packages'), {
    recursive: true,
    filter: (path) => !path.includes('node_modules') && !path.endsWith('.test.ts'),
  })
  linkPackages(folder)
  for (const edit of edits) {
    const path = join(folder, edit.file)
    writeFileSync(path, planted(readFileSync(path, 'utf8'), edit))
  }
  return join(folder, 'packages/holdfast/bin/holdfast.js')
}

function linkPackages(folder: string): void {
  const from = join(ROOT, 'node_modules')
  const to = join(folder, 'node_modules')
  mkdirSync(join(to, OWN_SCOPE), { recursive: true })
  for (const name of readdirSync(from)) {
    if (name !== OWN_SCOPE && name !== OWN_NAME) symlinkSync(join(from, name), join(to, name))
  }
  symlinkSync(join(folder, 'packages/client'), join(to, OWN_SCOPE, 'client'))
  symlinkSync(join(folder, 'packages/holdfast'), join(to, OWN_NAME))
}
