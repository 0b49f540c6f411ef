/** What building needs besides the description. */
import type { SecretReader } from './secrets.ts'

export interface BuildContext {
  readonly file: string
  readonly folder: string
  readonly sha256: string
  readonly secrets: SecretReader
  /** `alerts`: those of the channels, which no agent needs. */
  readonly need: 'all' | 'agents' | 'alerts' | 'none'
}
