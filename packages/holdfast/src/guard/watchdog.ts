/**
 * The hardware or kernel watchdog (R4): resets the host when the guard itself is gone or cannot kill. Opening the
 * device arms it, each byte feeds it, the byte `V` before closing stops it. Its time-out is the operator's to set
 * (module parameter or firmware); Node cannot change it, so it is read and judged here.
 *
 * The device is opened once, at the first arm, and is never touched on the way of a fence.
 */
import { accessSync, closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { basename } from 'node:path'

export interface Watchdog {
  readonly required: boolean
  /** Whether it could be opened and would bite in time. Touches nothing: an open device wants food at once. */
  check(): { readonly ok: boolean; readonly because: string }
  /** Opens the device if it is not open yet. */
  open(): { readonly ok: boolean; readonly because: string }
  feed(): void
  /** Stops it. Without this call the host is reset after the device's time-out, which is what a dead guard means. */
  stop(): void
}

export interface WatchdogSettings {
  readonly device: string
  readonly required: boolean
  readonly timeoutMaxMs: number
}

export function watchdog(settings: WatchdogSettings, sysDir = '/sys/class/watchdog'): Watchdog {
  let handle: number | null = null

  function check(): { ok: boolean; because: string } {
    const timeoutMs = timeoutOf(settings.device, sysDir)
    if (timeoutMs !== null && timeoutMs > settings.timeoutMaxMs) {
      const because = `${settings.device} bites after ${timeoutMs} ms, more than ${settings.timeoutMaxMs} ms`
      return { ok: false, because }
    }
    try {
      accessSync(settings.device, constants.W_OK)
      const bites = timeoutMs === null ? 'time-out unknown' : `bites after ${timeoutMs} ms`
      return { ok: true, because: `${settings.device}: ${bites}` }
    } catch (error) {
      return unusable(error)
    }
  }

  function open(): { ok: boolean; because: string } {
    if (handle !== null) return { ok: true, because: `${settings.device} is open` }
    const checked = check()
    if (!checked.ok) return checked
    try {
      handle = openSync(settings.device, constants.O_WRONLY)
      return { ok: true, because: `${settings.device} is open` }
    } catch (error) {
      return unusable(error)
    }
  }

  function unusable(error: unknown): { ok: false; because: string } {
    return { ok: false, because: `${settings.device}: ${error instanceof Error ? error.message : String(error)}` }
  }

  function write(byte: string): void {
    if (handle === null) return
    try {
      writeSync(handle, byte)
    } catch {
      // A device that takes no food bites; that is its duty, and nothing here could do better.
    }
  }

  return {
    required: settings.required,
    check,
    open,
    feed: () => write('.'),
    stop() {
      if (handle === null) return
      write('V')
      closeSync(handle)
      handle = null
    },
  }
}

/** `/dev/watchdog` is the same device as `watchdog0`. Null when the kernel does not tell. */
function timeoutOf(device: string, sysDir: string): number | null {
  const name = basename(device) === 'watchdog' ? 'watchdog0' : basename(device)
  try {
    const seconds = Number(readFileSync(`${sysDir}/${name}/timeout`, 'utf8'))
    return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : null
  } catch {
    return null
  }
}
