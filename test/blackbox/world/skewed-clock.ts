/**
 * A wall clock that can be set, for processes started with its environment (libfaketime). As when the kernel's clock is
 * set: the monotonic one goes on undisturbed. Not for the engine and not for the store.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { faketimePath } from '../../../scripts/engines/wanted.ts'

export class SkewedClock {
  readonly #file: string
  readonly #library: string

  private constructor(file: string, library: string) {
    this.#file = file
    this.#library = library
    this.step('+0')
  }

  /** Null where libfaketime is missing. */
  static at(file: string): SkewedClock | null {
    const library = faketimePath()
    return library === null ? null : new SkewedClock(file, library)
  }

  /** Give it to the process. */
  env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** From the true time, as libfaketime writes it: `+1d`, `-90`, `+0`. In one piece, for it is read at any moment. */
  step(offset: string): void {
    writeFileSync(`${this.#file}.new`, `${offset}\n`, { mode: 0o644 })
    renameSync(`${this.#file}.new`, this.#file)
  }

  back(): void {
    this.step('+0')
  }
}
