/**
 * CRC-32C (Castagnoli), the checksum of PostgreSQL's log records and backup manifests, eight bytes at a time.
 * `zlib.crc32` computes another polynomial. Leaves to its callers what a mismatch means.
 */
const POLYNOMIAL = 0x82f63b78
const SLICES = 8
const TABLE = makeTable()

function makeTable(): Uint32Array {
  const table = new Uint32Array(SLICES * 256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1
    table[n] = c >>> 0
  }
  for (let n = 256; n < SLICES * 256; n++) {
    const c = table[n - 256] ?? 0
    table[n] = ((c >>> 8) ^ (table[c & 0xff] ?? 0)) >>> 0
  }
  return table
}

/** Checksum of `bytes`; pass the result of the part before as `before` to continue. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let c = ~before
  let i = 0
  const wholeEnd = bytes.length - (bytes.length % SLICES)
  const t = TABLE as { readonly [index: number]: number }
  const b = bytes as { readonly [index: number]: number }
  for (; i < wholeEnd; i += SLICES) {
    c ^= at(b, i) | (at(b, i + 1) << 8) | (at(b, i + 2) << 16) | (at(b, i + 3) << 24)
    c =
      at(t, 1792 + (c & 0xff)) ^
      at(t, 1536 + ((c >>> 8) & 0xff)) ^
      at(t, 1280 + ((c >>> 16) & 0xff)) ^
      at(t, 1024 + (c >>> 24)) ^
      at(t, 768 + at(b, i + 4)) ^
      at(t, 512 + at(b, i + 5)) ^
      at(t, 256 + at(b, i + 6)) ^
      at(t, at(b, i + 7))
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ at(t, (c ^ at(b, i)) & 0xff)
  return ~c >>> 0
}

/** Every index above is in range; the compiler cannot see it. Engines inline this. */
function at(from: { readonly [index: number]: number }, index: number): number {
  return from[index] as number
}
