/** Cookies in and out. Only values of ours are looked at; the rest is not even decoded. */
const COOKIES_MAX = 50

export function cookiesOf(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>()
  for (const part of (header ?? '').split(';', COOKIES_MAX)) {
    const at = part.indexOf('=')
    const name = part.slice(0, at).trim()
    // The first of a name is the most specific one.
    if (at > 0 && !cookies.has(name)) cookies.set(name, part.slice(at + 1).trim())
  }
  return cookies
}

/** `__Host-`: set by this very host, over TLS, for the whole of it. */
export function cookieName(base: string, secure: boolean): string {
  return secure ? `__Host-${base}` : base
}

export interface CookieOptions {
  readonly secure: boolean
  readonly sameSite: 'Strict' | 'Lax'
  /** 0 removes it. */
  readonly maxAgeMs: number
}

export function cookieText(base: string, value: string, { secure, sameSite, maxAgeMs }: CookieOptions): string {
  const age = Math.floor(maxAgeMs / 1_000)
  const flags = `Path=/; Max-Age=${age}; HttpOnly; SameSite=${sameSite}${secure ? '; Secure' : ''}`
  return `${cookieName(base, secure)}=${value}; ${flags}`
}
