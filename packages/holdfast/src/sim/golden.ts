/** Golden scenarios: past failures, small, one file each. They run before any fresh seed. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Scenario } from './scenario.ts'

export interface Golden {
  readonly v: 1
  /** What once went wrong here. */
  readonly about: string
  readonly invariant: string
  readonly scenario: Scenario
}

export const REGRESSIONS_DIR = fileURLToPath(new URL('./regressions', import.meta.url))

export function readGoldens(dir = REGRESSIONS_DIR): { readonly name: string; readonly golden: Golden }[] {
  const names = readdirSync(dir).filter((name) => name.endsWith('.json'))
  return names.sort().map((name) => ({ name, golden: JSON.parse(readFileSync(join(dir, name), 'utf8')) as Golden }))
}

export function writeGolden(path: string, golden: Golden): void {
  writeFileSync(path, `${JSON.stringify(golden, null, 1)}\n`)
}
