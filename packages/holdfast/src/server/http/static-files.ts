/**
 * The dashboard's files, read once and answered from memory by exact name: no path of a request ever reaches the file
 * system. An address without a file name is a place inside the dashboard and gets its page.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { sha256Hex } from '../../io/signing.ts'

export interface StaticFile {
  readonly type: string
  readonly etag: string
  /** Its name holds a hash of its content. */
  readonly forever: boolean
  readonly plain: Buffer
  readonly gzip: Buffer | null
  readonly brotli: Buffer | null
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
}
const PACKED = /^(text|application)\/|svg/
const HASHED = /[.-][A-Za-z0-9_-]{8,}\.\w+$/
const FILES_MAX = 1_000
const BYTES_MAX = 32 * 1024 * 1024

/** Null when there is no dashboard in this folder. */
export function readStatic(folder: string): ReadonlyMap<string, StaticFile> | null {
  if (!existsSync(join(folder, 'index.html'))) return null
  const files = new Map<string, StaticFile>()
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const type = TYPES[extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const path = join(entry.parentPath, entry.name)
    const plain = readFileSync(path)
    bytes += plain.length
    if (files.size >= FILES_MAX || bytes > BYTES_MAX) throw new Error(`${folder} is larger than a dashboard is`)
    const packed = PACKED.test(type)
    files.set(`/${relative(folder, path).split(sep).join('/')}`, {
      type,
      etag: `"${sha256Hex(plain).slice(0, 32)}"`,
      forever: HASHED.test(entry.name) && entry.name !== 'index.html',
      plain,
      gzip: packed ? gzipSync(plain) : null,
      brotli: packed ? brotliCompressSync(plain) : null,
    })
  }
  return files
}

/** The file for a path as the client sent it; null: there is none. */
export function staticFile(files: ReadonlyMap<string, StaticFile>, path: string): StaticFile | null {
  const found = files.get(path)
  if (found !== undefined) return found
  return extname(path) === '' ? (files.get('/index.html') ?? null) : null
}
