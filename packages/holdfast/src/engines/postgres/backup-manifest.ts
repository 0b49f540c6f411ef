/**
 * Checks a base backup against the manifest that the source sends behind it: every file named there must have come,
 * with its size and its CRC-32C, and the manifest itself must match its own SHA-256. Reads line by line, so that the
 * manifest of a cluster of a million files is never held as a whole. Only the log may come without being named.
 */
import { createHash } from 'node:crypto'

/** A path of 1024 bytes in hexadecimal and the fixed part are far below. */
const LINE_BYTES_MAX = 16 * 1024

export interface WrittenFile {
  readonly sizeBytes: number
  readonly crc: number
}

export class ManifestCheck {
  readonly #written: Map<string, WrittenFile>
  readonly #hash = createHash('sha256')
  readonly #named = new Set<string>()
  #rest = ''
  #ended = false
  #mistake: string | null = null

  /** `written` may still grow while the archive comes; it must be complete when the manifest does. */
  constructor(written: Map<string, WrittenFile>) {
    this.#written = written
  }

  push(chunk: Buffer): void {
    this.#rest += chunk.toString('latin1')
    let start = 0
    for (let end = this.#rest.indexOf('\n'); end !== -1; end = this.#rest.indexOf('\n', start)) {
      this.#line(this.#rest.slice(start, end + 1))
      start = end + 1
    }
    this.#rest = this.#rest.slice(start)
    if (this.#rest.length > LINE_BYTES_MAX) this.#fail('a line of the manifest is too long')
  }

  /** Null when all is well, otherwise the first thing that is not. */
  verdict(): string | null {
    if (this.#mistake !== null) return this.#mistake
    if (!this.#ended) return 'the manifest ended in the middle'
    for (const path of this.#written.keys()) {
      if (!this.#named.has(path) && !path.startsWith('pg_wal/')) return `${path} came but is not in the manifest`
    }
    return null
  }

  #line(line: string): void {
    if (this.#ended) {
      this.#fail('the manifest goes on after its end')
      return
    }
    const sum = /^"Manifest-Checksum": "([0-9a-f]{64})"\}\n$/.exec(line)
    if (sum !== null) {
      this.#ended = true
      if (this.#hash.digest('hex') !== sum[1]) this.#fail('the manifest does not match its own checksum')
      return
    }
    this.#hash.update(line, 'latin1')
    const entry = line.trim().replace(/,$/, '')
    if (!entry.startsWith('{ "Path"') && !entry.startsWith('{ "Encoded-Path"')) return
    try {
      this.#file(JSON.parse(Buffer.from(entry, 'latin1').toString('utf8')) as Readonly<Record<string, unknown>>)
    } catch {
      this.#fail('a line of the manifest cannot be read')
    }
  }

  #file(entry: Readonly<Record<string, unknown>>): void {
    const encoded = entry['Encoded-Path']
    const path = typeof encoded === 'string' ? Buffer.from(encoded, 'hex').toString('utf8') : String(entry['Path'])
    this.#named.add(path)
    const mistake = mistakeOf(path, entry, this.#written.get(path))
    if (mistake !== null) this.#fail(mistake)
  }

  #fail(mistake: string): void {
    this.#mistake ??= mistake
  }
}

function mistakeOf(
  path: string,
  entry: Readonly<Record<string, unknown>>,
  written: WrittenFile | undefined,
): string | null {
  if (written === undefined) return `${path} is in the manifest but did not come`
  if (written.sizeBytes !== entry['Size']) {
    return `${path} has ${written.sizeBytes} bytes, the manifest says ${entry['Size']}`
  }
  const crc = Buffer.alloc(4)
  crc.writeUInt32LE(written.crc)
  const same = entry['Checksum-Algorithm'] === 'CRC32C' && entry['Checksum'] === crc.toString('hex')
  return same ? null : `${path} was damaged on its way`
}
