/** Hashes of passwords: scrypt, its cost beside the hash so that it can grow. A few at a time: each takes 32 MB. */
import { scrypt, timingSafeEqual } from 'node:crypto'
import { HoldfastError } from '../../errors.ts'
import { secretBytes } from '../../io/random.ts'

/** 2^15 blocks of 8: some 60 ms and 32 MiB on a server of today. */
const LOG_N = 15
const BLOCK = 8
const HASH_BYTES = 32
const SALT_BYTES = 16
const MEMORY_MAX = 64 * 1024 * 1024
const AT_ONCE_MAX = 2
/** Who comes later than these would wait for a second; he is told to come again. */
const WAITING_MAX = 16

export class Passwords {
  #running = 0
  readonly #waiting: (() => void)[] = []

  async hash(password: string): Promise<string> {
    const salt = secretBytes(SALT_BYTES)
    const key = await this.#derive(password, salt, LOG_N)
    return `scrypt$${LOG_N}$${salt.toString('base64url')}$${key.toString('base64url')}`
  }

  /** Takes as long when there is no hash: whether an account exists does not show in the time. */
  async matches(password: string, hash: string | null): Promise<boolean> {
    const [kind, logN, salt, key] = (hash ?? '').split('$')
    if (kind !== 'scrypt' || logN === undefined || salt === undefined || key === undefined) {
      await this.#derive(password, Buffer.alloc(SALT_BYTES), LOG_N)
      return false
    }
    const wanted = Buffer.from(key, 'base64url')
    const found = await this.#derive(password, Buffer.from(salt, 'base64url'), Number(logN))
    return wanted.length === found.length && timingSafeEqual(wanted, found)
  }

  async #derive(password: string, salt: Buffer, logN: number): Promise<Buffer> {
    await this.#turn()
    try {
      return await new Promise((resolve, reject) => {
        const cost = { N: 2 ** logN, r: BLOCK, p: 1, maxmem: MEMORY_MAX }
        scrypt(password.normalize('NFKC'), salt, HASH_BYTES, cost, (error, key) =>
          error === null ? resolve(key) : reject(error),
        )
      })
    } finally {
      this.#running -= 1
      this.#waiting.shift()?.()
    }
  }

  async #turn(): Promise<void> {
    while (this.#running >= AT_ONCE_MAX) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new HoldfastError('HF_BUSY', 'too many log in at the same moment', 'try again in a few seconds')
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#running += 1
  }
}
