/** Folders of Holdfast's own processes, closed to others; those above them stay open to walk through. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { HoldfastError } from '../errors.ts'

/**
 * Makes the folder where it is missing. The ones above keep the user's usual rights: beside this folder may lie data of
 * an engine that runs as another user. Throws `HF_FILE_UNWRITABLE`.
 */
export function privateFolder(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error)
    throw new HoldfastError(
      'HF_FILE_UNWRITABLE',
      `cannot make ${path}: ${because}`,
      'give this user the right to',
      error,
    )
  }
}
