/** `holdfast alerts run`: the alerts as a process of their own. */
import { startAlerts } from '../alerts/wire.ts'
import type { Platform } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { createLog, type LogLevel } from '../io/log.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { privateFolder } from './private-folder.ts'
import { type Common, countText, fail } from './shell.ts'
import { interruption } from './terminal.ts'

export async function runAlerts(common: Common, platform: Platform, level: LogLevel): Promise<ExitCode> {
  const { terminal } = common
  const log = createLog({ level, name: 'alerts' })
  if (platform.alerts.runBy === 'server') {
    const next = 'start holdfast server; or write `alerts: { runBy: process }`, so that nobody is told twice'
    fail(common, 'HF_ALERTS_RUNNING', 'by its description the server runs the alerts of this platform', next)
    return EXIT.failed
  }
  const replaced = new AbortController()
  try {
    privateFolder(platform.alerts.dir)
    const runner = startAlerts({ platform, clock: systemClock, log, onReplaced: () => replaced.abort() })
    const { channels, everyMs } = platform.alerts
    const told =
      channels.length === 0 ? 'nobody is told: no channels are described' : countText(channels.length, 'channel')
    terminal.out(`alerts of ${platform.name} run, a look every ${everyMs} ms, ${told}\n`)
    await Promise.race([interruption(terminal.interrupted), interruption(replaced.signal)])
    await runner.close()
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    fail(common, error.code, error.message, error.next)
    return EXIT.failed
  }
  if (!replaced.signal.aborted) return EXIT.ok
  fail(common, 'HF_ALERTS_RUNNING', 'another process took over the alerts', 'run one at a time')
  return EXIT.failed
}
