/**
 * When the certificates in TLS files end. The files are read again now and then, because they are renewed under a
 * running process; whoever asks gets the last reading and waits for nothing.
 */
import { X509Certificate } from 'node:crypto'
import { readFileLimited } from '../io/files.ts'

export interface CertificateFile {
  readonly use: 'agent' | 'engine' | 'store'
  readonly part: 'certificate' | 'authority'
  /** The group whose engine uses it; empty for the others. */
  readonly group: string
  readonly file: string
}

const EVERY_MS = 600_000
/** A chain with its authorities is a few kilobytes; a bundle of a whole system is below this. */
const FILE_BYTES_MAX = 1_048_576
const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

export class CertificateWatch {
  readonly #files: readonly CertificateFile[]
  readonly #ends = new Map<CertificateFile, number>()
  #timer: NodeJS.Timeout | null = null

  constructor(files: readonly CertificateFile[]) {
    this.#files = files
  }

  start(): void {
    if (this.#files.length === 0) return
    void this.look()
    this.#timer = setInterval(() => void this.look(), EVERY_MS)
    this.#timer.unref()
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  async look(): Promise<void> {
    for (const file of this.#files) {
      const bytes = await readFileLimited(file.file, FILE_BYTES_MAX).catch(() => null)
      const endsAt = bytes === null ? null : firstEnd(bytes.toString('latin1'))
      if (endsAt === null) this.#ends.delete(file)
      else this.#ends.set(file, endsAt)
    }
  }

  /** What is known, in unix seconds. */
  ends(): ReadonlyMap<CertificateFile, number> {
    return this.#ends
  }
}

/** Unix seconds at which the first certificate of a PEM text ends; null when it holds none that can be read. */
export function firstEnd(pem: string): number | null {
  const ends = [...pem.matchAll(PEM_BLOCK)].flatMap(([block]) => {
    try {
      const at = new X509Certificate(block).validToDate.getTime()
      return Number.isFinite(at) ? [at / 1_000] : []
    } catch {
      return []
    }
  })
  return ends.length === 0 ? null : Math.min(...ends)
}
