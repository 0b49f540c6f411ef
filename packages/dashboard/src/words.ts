/** Numbers as people read them. Pure; times are the server's wall clock, shown in the reader's time zone. */
const BYTE_STEPS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function bytesText(bytes: number): string {
  let value = bytes
  let step = 0
  while (Math.abs(value) >= 1_024 && step < BYTE_STEPS.length - 1) {
    value /= 1_024
    step += 1
  }
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTE_STEPS[step]}`
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `0 ms`, `840 ms`, `2.4 s`, `3 min 20 s`, `5 h 3 min`, `4 d 2 h` */
export function durationText(ms: number): string {
  const whole = Math.max(0, ms)
  if (whole < SECOND) return `${Math.round(whole)} ms`
  if (whole < MINUTE) return `${whole < 10 * SECOND ? (whole / SECOND).toFixed(1) : Math.floor(whole / SECOND)} s`
  const pair = (unit: number, name: string, small: number, smallName: string): string => {
    const rest = Math.floor((whole % unit) / small)
    return `${Math.floor(whole / unit)} ${name}${rest === 0 ? '' : ` ${rest} ${smallName}`}`
  }
  if (whole < HOUR) return pair(MINUTE, 'min', SECOND, 's')
  if (whole < DAY) return pair(HOUR, 'h', MINUTE, 'min')
  return pair(DAY, 'd', HOUR, 'h')
}

/** Coarse, for things that are over: `just now`, `40 s ago`, `3 min ago`. */
export function agoText(ms: number): string {
  if (ms < 2 * SECOND) return 'just now'
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ago`
  return `${Math.floor(ms / DAY)} d ago`
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
const DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })

export const clockText = (wallMs: number): string => CLOCK.format(wallMs)
export const dateText = (wallMs: number): string => DATE.format(wallMs)
export const momentText = (wallMs: number): string => `${DATE.format(wallMs)}, ${CLOCK.format(wallMs)}`

/** `99.98 %`, with as many nines as there are. */
export function shareText(share: number): string {
  if (share >= 1) return '100 %'
  const percent = share * 100
  const places = share > 0.9999 ? 4 : share > 0.99 ? 3 : 1
  return `${(Math.floor(percent * 10 ** places) / 10 ** places).toFixed(places)} %`
}

export function countText(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Values of a decision, as `name value` pairs. */
export function detailText(detail: Readonly<Record<string, string | number | boolean | null>>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => {
      if (typeof value === 'number' && name.endsWith('Ms')) return `${name.slice(0, -2)} ${durationText(value)}`
      if (typeof value === 'number' && name.endsWith('Bytes')) return `${name.slice(0, -5)} ${bytesText(value)}`
      return `${name} ${String(value)}`
    })
    .join(' · ')
}
