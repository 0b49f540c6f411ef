/** Durations, sizes and addresses as people write them: `500ms`, `1.5s`, `30m`, `16MiB`, `127.0.0.1:5432`. */
import type { Address } from './platform.ts'

export const DURATION_PATTERN = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/
export const BYTES_PATTERN = /^(\d{1,12}(?:\.\d{1,3})?)(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)$/
export const ADDRESS_PATTERN = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):\d{1,5}$/

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KiB: 2 ** 10,
  MB: 1e6,
  MiB: 2 ** 20,
  GB: 1e9,
  GiB: 2 ** 30,
  TB: 1e12,
  TiB: 2 ** 40,
}

/** Milliseconds, or null when the text is not a duration with a unit. */
export function parseDurationMs(text: string): number | null {
  return scaled(DURATION_PATTERN.exec(text), MS)
}

/** Bytes, or null when the text is not a size with a unit. */
export function parseBytes(text: string): number | null {
  return scaled(BYTES_PATTERN.exec(text), BYTES)
}

function scaled(match: RegExpExecArray | null, scale: Readonly<Record<string, number>>): number | null {
  const factor = scale[match?.[2] ?? '']
  return match === null || factor === undefined ? null : Math.round(Number(match[1]) * factor)
}

/** `host:port` or `[ipv6]:port` with a port from 1 to 65535; null otherwise. */
export function parseAddress(text: string): Address | null {
  if (!ADDRESS_PATTERN.test(text)) return null
  const cut = text.lastIndexOf(':')
  const port = Number(text.slice(cut + 1))
  const host = text.slice(0, cut).replace(/^\[|\]$/g, '')
  return port >= 1 && port <= 65_535 ? { host, port } : null
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

export function isLoopbackUrl(url: string): boolean {
  return URL.canParse(url) && isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'))
}

/** Every address of the machine: fine to listen on for clients, useless as the place where peers reach somebody. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || /^(0{0,4}:)+0{0,4}$/.test(host)
}

/** `340 ms`, `2.4 s`, `12 min`, `3.1 h`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${trimmed(ms / 1_000)} s`
  if (ms < 3_600_000) return `${trimmed(ms / 60_000)} min`
  return `${trimmed(ms / 3_600_000)} h`
}

/** `0 B`, `512 B`, `1.5 KiB`, `16 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const rank = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${trimmed(bytes / 2 ** (10 * rank))} ${units[rank]}`
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}
