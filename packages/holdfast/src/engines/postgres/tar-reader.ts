/**
 * Reads a ustar stream as PostgreSQL writes it, in chunks of any size, and hands entries to a sink. PostgreSQL refuses
 * names beyond 100 bytes itself and writes no pax or GNU name headers, so every other kind of entry is refused here.
 * The source is not trusted: no entry may lead out of the directory, no link is ever made, sizes are bounded.
 * Leaves to the sink where entries go.
 */
const BLOCK_BYTES = 512
/** PostgreSQL's relation files end at 1 GiB, log segments too; 1 TiB leaves room for odd builds. */
const FILE_BYTES_MAX = 2 ** 40
const PATH_BYTES_MAX = 1024
const ZERO_BLOCKS_AT_END = 2

export interface TarSink {
  directory(path: string): Promise<void>
  fileStart(path: string, sizeBytes: number): Promise<void>
  fileData(chunk: Buffer): Promise<void>
  fileEnd(): Promise<void>
}

/** What came is not an archive that is accepted. The message names the entry. */
export class TarError extends Error {
  override readonly name = 'TarError'
}

type Stage = 'header' | 'data' | 'padding' | 'ended'

export class TarReader {
  readonly #sink: TarSink
  readonly #header = Buffer.alloc(BLOCK_BYTES)
  #headerBytes = 0
  #stage: Stage = 'header'
  #leftBytes = 0
  #paddingBytes = 0
  #zeroBlocks = 0

  constructor(sink: TarSink) {
    this.#sink = sink
  }

  /** Settles when the sink has taken everything; call again only then. The chunk is not kept. */
  async push(chunk: Buffer): Promise<void> {
    let at = 0
    while (at < chunk.length) {
      if (this.#stage === 'header') at += await this.#takeHeader(chunk.subarray(at))
      else if (this.#stage === 'data') at += await this.#takeData(chunk.subarray(at))
      else if (this.#stage === 'padding') at += this.#takePadding(chunk.length - at)
      else return
    }
  }

  /** Throws when the archive stopped in the middle. */
  end(): void {
    if (this.#stage !== 'ended') throw new TarError('the archive ended in the middle')
  }

  async #takeHeader(chunk: Buffer): Promise<number> {
    const taken = chunk.copy(this.#header, this.#headerBytes, 0, BLOCK_BYTES - this.#headerBytes)
    this.#headerBytes += taken
    if (this.#headerBytes < BLOCK_BYTES) return taken
    this.#headerBytes = 0
    if (this.#header.every((byte) => byte === 0)) {
      this.#zeroBlocks += 1
      if (this.#zeroBlocks === ZERO_BLOCKS_AT_END) this.#stage = 'ended'
      return taken
    }
    if (this.#zeroBlocks > 0) throw new TarError('the archive goes on after its end')
    await this.#begin(parseHeader(this.#header))
    return taken
  }

  async #begin(entry: TarEntry): Promise<void> {
    if (entry.kind === 'directory') {
      await this.#sink.directory(entry.path)
      return
    }
    await this.#sink.fileStart(entry.path, entry.sizeBytes)
    this.#leftBytes = entry.sizeBytes
    this.#paddingBytes = (BLOCK_BYTES - (entry.sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES
    this.#stage = 'data'
    if (this.#leftBytes === 0) await this.#finish()
  }

  async #takeData(chunk: Buffer): Promise<number> {
    const part = chunk.subarray(0, this.#leftBytes)
    await this.#sink.fileData(part)
    this.#leftBytes -= part.length
    if (this.#leftBytes === 0) await this.#finish()
    return part.length
  }

  async #finish(): Promise<void> {
    await this.#sink.fileEnd()
    this.#stage = this.#paddingBytes > 0 ? 'padding' : 'header'
  }

  #takePadding(availableBytes: number): number {
    const taken = Math.min(availableBytes, this.#paddingBytes)
    this.#paddingBytes -= taken
    if (this.#paddingBytes === 0) this.#stage = 'header'
    return taken
  }
}

interface TarEntry {
  readonly kind: 'file' | 'directory'
  readonly path: string
  readonly sizeBytes: number
}

function parseHeader(header: Buffer): TarEntry {
  const name = textField(header, 0, 100)
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textField(header, 345, 155) : ''
  const raw = prefix === '' ? name : `${prefix}/${name}`
  let sum = 0
  for (let i = 0; i < BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] ?? 0)
  if (sum !== numberField(header, 148, 8)) throw new TarError(`a header does not match its checksum (${shown(raw)})`)
  const path = safePath(raw)
  const flag = header[156] ?? 0
  if (flag === 0x35) return { kind: 'directory', path, sizeBytes: 0 }
  if (flag === 0x31 || flag === 0x32) {
    throw new TarError(`${shown(raw)} is a link to ${shown(textField(header, 157, 100))}; links are not accepted`)
  }
  if (flag !== 0x30 && flag !== 0) throw new TarError(`${shown(raw)} is an entry of unknown kind ${flag}`)
  const sizeBytes = numberField(header, 124, 12)
  if (sizeBytes > FILE_BYTES_MAX) throw new TarError(`${shown(raw)} claims ${sizeBytes} bytes`)
  return { kind: 'file', path, sizeBytes }
}

/** The path without `./` and a final slash; refuses whatever could lead out of the directory. */
export function safePath(raw: string): string {
  if (raw === '' || raw.includes('\0') || Buffer.byteLength(raw) > PATH_BYTES_MAX) {
    throw new TarError(`${shown(raw)} is not a usable name`)
  }
  if (raw.startsWith('/')) throw new TarError(`${shown(raw)} is an absolute name; the source is not to be trusted`)
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..'))
    throw new TarError(`${shown(raw)} leads out of the directory; the source is not to be trusted`)
  return parts.join('/')
}

function textField(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? length : end)
}

/** Octal digits, or a big-endian number when the first bit is set (sizes of 8 GiB and more). */
function numberField(header: Buffer, start: number, length: number): number {
  const first = header[start] ?? 0
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f
    for (let i = start + 1; i < start + length; i++) value = value * 256 + (header[i] ?? 0)
    if (!Number.isSafeInteger(value)) throw new TarError('a number in a header is too large')
    return value
  }
  const digits = header
    .toString('latin1', start, start + length)
    .replace(/[\0 ]+$/, '')
    .trim()
  if (!/^[0-7]+$/.test(digits)) throw new TarError('a number in a header is not octal')
  return Number.parseInt(digits, 8)
}

function shown(raw: string): string {
  return JSON.stringify(raw.length > 200 ? `${raw.slice(0, 200)}...` : raw)
}
