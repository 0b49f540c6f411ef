/** What building needs besides the description. */
import type { SecretReader } from './secrets.ts'

export interface BuildContext {
  readonly file: string
  readonly folder: string
  readonly secrets: SecretReader
  readonly need: 'all' | 'agents' | 'none'
}
