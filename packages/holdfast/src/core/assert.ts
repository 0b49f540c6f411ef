/** Broken invariants end the process: dying is safe, because the guard fences and the lease lapses. */
export class BrokenInvariant extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BrokenInvariant'
  }
}

export function assert(holds: boolean, what: string, detail?: string | number | boolean | null): asserts holds {
  if (!holds) throw new BrokenInvariant(detail === undefined ? what : `${what} (${detail})`)
}
