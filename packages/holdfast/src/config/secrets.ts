/** Fetches secrets from the environment and from files, and refuses files that others may read. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Finding, Path } from './mistake.ts'
import type { SecretSource } from './schema.ts'
import { Secret } from './secret.ts'

/** Longer than any password or token; a file beyond it is another file. */
const SECRET_BYTES_MAX = 4_096
/** A token below this length can be guessed by trying. */
const TOKEN_LENGTH_MIN = 12

export interface SecretReader {
  /** `use` is what it is for; `needed` false leaves it unread. */
  read(source: SecretSource, path: Path, use: 'token' | 'password', needed: boolean): Secret
  readonly mistakes: Finding[]
  readonly warnings: Finding[]
}

export function secretReader(folder: string, env: Readonly<Record<string, string | undefined>>): SecretReader {
  const mistakes: Finding[] = []
  const warnings: Finding[] = []
  const read: SecretReader['read'] = (source, path, use, needed) => {
    const file = source.file === undefined ? null : resolve(folder, source.file)
    const origin = file === null ? `environment variable ${source.env ?? ''}` : `file ${file}`
    if (!needed) return new Secret(origin, null)
    const found = file === null ? fromEnv(source.env ?? '', env) : fromFile(file)
    if (!found.ok) {
      mistakes.push({ path, at: 'value', what: found.what, right: found.right })
      return new Secret(origin, null)
    }
    const wrong = unusable(found.text, origin)
    if (wrong !== null) mistakes.push({ path, at: 'value', ...wrong })
    else if (use === 'token' && found.text.length < TOKEN_LENGTH_MIN) {
      const what = `the token from ${origin} has ${found.text.length} letters and can be guessed`
      warnings.push({ path, at: 'value', what, right: `at least ${TOKEN_LENGTH_MIN}, e.g. from: openssl rand -hex 24` })
    }
    return new Secret(origin, found.text)
  }
  return { read, mistakes, warnings }
}

type Found =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly what: string; readonly right: string }

function fromEnv(name: string, env: Readonly<Record<string, string | undefined>>): Found {
  const text = env[name]
  if (text !== undefined) return { ok: true, text }
  return {
    ok: false,
    what: `the environment variable ${name} is not set`,
    right: `export ${name}=..., or { file: path }`,
  }
}

function fromFile(file: string): Found {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    return { ok: false, what: `${file} cannot be read: ${reasonOf(error)}`, right: 'a file this user can read' }
  }
  try {
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) return { ok: false, what: `${file} is not a file`, right: 'a file with the secret' }
    const open = tooOpen(file, stat.mode)
    if (open !== null) return open
    if (stat.size > SECRET_BYTES_MAX) {
      return {
        ok: false,
        what: `${file} has ${stat.size} bytes`,
        right: `a secret of at most ${SECRET_BYTES_MAX} bytes`,
      }
    }
    const buffer = Buffer.alloc(SECRET_BYTES_MAX)
    const length = readSync(descriptor, buffer, 0, SECRET_BYTES_MAX, 0)
    return { ok: true, text: buffer.toString('utf8', 0, length).replace(/\r?\n$/, '') }
  } catch (error) {
    return { ok: false, what: `${file} cannot be read: ${reasonOf(error)}`, right: 'a file this user can read' }
  } finally {
    closeSync(descriptor)
  }
}

function unusable(text: string, origin: string): { what: string; right: string } | null {
  if (text === '') return { what: `the secret from ${origin} is empty`, right: 'some text' }
  if (/^[\x20-\x7e]+$/.test(text)) return null
  return {
    what: `the secret from ${origin} has control characters, several lines or letters beyond ASCII`,
    right: 'one line of ASCII letters, digits and signs',
  }
}

/** Any right for "others" is too much; the group's right to read is what orchestrators use, and stays allowed. */
function tooOpen(file: string, mode: number): { ok: false; what: string; right: string } | null {
  if ((mode & 0o007) === 0) return null
  const shownMode = (mode & 0o777).toString(8).padStart(3, '0')
  return { ok: false, what: `${file} may be read by others (mode ${shownMode})`, right: `chmod 600 ${file}` }
}

/** A private key: null when it is fine, or not on this host. */
export function keyFileMistake(file: string): { readonly what: string; readonly right: string } | null {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? null : tooOpen(file, stat.mode)
}

export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    EACCES: 'permission denied',
    EISDIR: 'it is a folder',
    ENOTDIR: 'part of the path is not a folder',
    ELOOP: 'its links lead in a circle',
    ENAMETOOLONG: 'the path is too long',
  }
  return words[code] ?? (code === '' ? String(error) : code)
}
