/**
 * Random numbers of the simulator. Each purpose and each link draws from its own stream, so that taking one fault out
 * of a scenario does not reshuffle what the rest draws; shrinking depends on that. Not for anything but simulation.
 */
const UINT32 = 0x1_0000_0000

/** Small fast counting generator (sfc32): 128 bits of state, no BigInt, about 3 ns a number. */
export class Stream {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(high: number, low: number, salt: number) {
    this.a = high | 0
    this.b = low | 0
    this.c = salt | 0
    this.d = 1
    for (let round = 0; round < 12; round += 1) this.bits()
  }

  /** 32 bits, unsigned. */
  bits(): number {
    const t = (((this.a + this.b) | 0) + this.d) | 0
    this.d = (this.d + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + t) | 0
    return t >>> 0
  }

  /** In [0, 1). */
  next(): number {
    return this.bits() / UINT32
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  /** Whole number in [0, below). */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  range(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  /** Spread evenly over the decades between `low` and `high`; `low` above 0. */
  decades(low: number, high: number): number {
    return low * (high / low) ** this.next()
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }

  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items]
    for (let i = result.length - 1; i > 0; i -= 1) {
      const j = this.int(i + 1)
      const a = result[i] as T
      result[i] = result[j] as T
      result[j] = a
    }
    return result
  }
}

/** FNV-1a over UTF-16 code units. */
export function hashText(text: string, start = 0x811c9dc5): number {
  let hash = start
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** The stream `name` of a seed: a whole number up to 2^53 - 1. */
export function streamOf(seed: number, name: string): Stream {
  return new Stream(hashText(name, Math.floor(seed / UINT32) ^ 0x9e3779b9), seed >>> 0, hashText(name))
}
