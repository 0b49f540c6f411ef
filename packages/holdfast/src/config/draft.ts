/**
 * A description that may still be wrong anywhere, read with care: what is not there or of another kind is null. Lets
 * the checks of `checks/` run on what is right while other parts are still mistaken, so that all is told at once.
 */
import type { Finding, Path } from './mistake.ts'
import type { Address } from './platform.ts'
import { parseAddress, parseDurationMs } from './quantities.ts'

export class Draft {
  readonly value: unknown
  readonly path: Path

  constructor(value: unknown, path: Path = []) {
    this.value = value
    this.path = path
  }

  get present(): boolean {
    return this.value !== undefined && this.value !== null
  }

  get(key: string): Draft {
    const block = typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value)
    const value = block && Object.hasOwn(this.value, key) ? (this.value as Record<string, unknown>)[key] : undefined
    return new Draft(value, [...this.path, key])
  }

  list(key: string): readonly Draft[] {
    const { value, path } = this.get(key)
    return Array.isArray(value) ? value.map((item, index) => new Draft(item, [...path, index])) : []
  }

  keys(): readonly string[] {
    return typeof this.value === 'object' && this.value !== null ? Object.keys(this.value) : []
  }

  text(key: string): string | null {
    const { value } = this.get(key)
    return typeof value === 'string' ? value : null
  }

  number(key: string): number | null {
    const { value } = this.get(key)
    return typeof value === 'number' ? value : null
  }

  durationMs(key: string): number | null {
    return parseDurationMs(this.text(key) ?? '')
  }

  address(key: string): Address | null {
    return parseAddress(this.text(key) ?? '')
  }

  /** A finding about a value of this block. */
  wrong(key: string, what: string, right: string): Finding {
    return { path: [...this.path, key], at: 'value', what, right }
  }
}

/** The groups that Holdfast leads itself. */
export function managedGroups(root: Draft): readonly Draft[] {
  return root.list('groups').filter((group) => !group.get('supervised').present)
}

export function supervisedGroups(root: Draft): readonly Draft[] {
  return root.list('groups').filter((group) => group.get('supervised').present)
}

/** What a check found: mistakes stop the description, warnings do not. */
export interface Findings {
  readonly mistakes: Finding[]
  readonly warnings: Finding[]
}

export type Check = (root: Draft, findings: Findings, folder: string) => void
