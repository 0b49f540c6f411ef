/**
 * A password or token that was named in the description by environment variable or file, never written in it.
 * Printing, logging or serialising one shows only where it came from.
 */
import { inspect } from 'node:util'
import { HoldfastError } from '../errors.ts'

export class Secret {
  readonly #text: string | null
  /** Where it comes from, for people: `environment variable HF_TOKEN`, `file /etc/holdfast/token`. */
  readonly origin: string

  /** `text` null: the description was loaded without this secret (a tool that does not need it). */
  constructor(origin: string, text: string | null) {
    this.origin = origin
    this.#text = text
  }

  /** The file it comes from, for programs of others that read it themselves; null: it comes from the environment. */
  get file(): string | null {
    return this.origin.startsWith('file ') ? this.origin.slice('file '.length) : null
  }

  get known(): boolean {
    return this.#text !== null
  }

  /** The text itself. Throws `HF_SECRET_MISSING` when it was not loaded. */
  reveal(): string {
    if (this.#text === null) {
      throw new HoldfastError(
        'HF_SECRET_MISSING',
        `the secret from ${this.origin} was not read`,
        `provide ${this.origin}`,
      )
    }
    return this.#text
  }

  toString(): string {
    return `[secret from ${this.origin}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}
