import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Places beside PATH where package managers put servers. */
const SERVER_PLACES = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin']

/** Of a program of this name; null when there is none. */
export function programPath(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SERVER_PLACES]
  const paths = folders.filter((folder) => folder !== '').map((folder) => join(folder, name))
  return paths.find(isProgram) ?? null
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
