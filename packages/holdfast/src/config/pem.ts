/** Reads certificates and keys that the description names, when a process is about to use them. */
import { readFileSync } from 'node:fs'
import { HoldfastError } from '../errors.ts'
import type { TlsFiles } from './platform.ts'
import { keyFileMistake, reasonOf } from './secrets.ts'

/** PEM texts. */
export interface TlsTexts {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

/** Throws `HF_FILE_UNREADABLE`, or `HF_SECRET_FILE_OPEN` for a key that others may read. */
export function tlsTexts(files: TlsFiles): TlsTexts {
  return { cert: pemText(files.certFile), key: keyText(files.keyFile), ca: pemText(files.caFile) }
}

export function pemText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.includes('-----BEGIN ')) return text
  } catch (error) {
    throw new HoldfastError('HF_FILE_UNREADABLE', `${file} cannot be read: ${reasonOf(error)}`, 'check `tls`', error)
  }
  throw new HoldfastError('HF_FILE_UNREADABLE', `${file} holds no PEM block`, 'name a PEM file in `tls`')
}

export function keyText(file: string): string {
  const wrong = keyFileMistake(file)
  if (wrong !== null) throw new HoldfastError('HF_SECRET_FILE_OPEN', wrong.what, wrong.right)
  return pemText(file)
}
