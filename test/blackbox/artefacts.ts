/** The folder of a run: one temporary folder, removed when all went well, kept with a word where it is otherwise. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface ArtefactFolder {
  readonly path: string
  file(name: string): string
  write(name: string, text: string): void
  close(how: { readonly keep: boolean; readonly say: (line: string) => void }): void
}

/** Passable for the account the database runs as when we are root; not readable. */
const PASSABLE = 0o711

export function makeArtefacts(): ArtefactFolder {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-blackbox-'))
  chmodSync(path, PASSABLE)
  const file = (name: string): string => join(path, name)
  return {
    path,
    file,
    write: (name, text) => writeFileSync(file(name), text),
    close: ({ keep, say }) => {
      if (keep) say(`kept: ${path}`)
      else rmSync(path, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
