/** Builds the alerts of one platform by hand. Whoever runs them: a process of its own, or a server that leads. */
import type { ChannelSpec, Platform } from '../config/platform.ts'
import { seriesNames } from '../core/alerts/look.ts'
import type { AlertsReason } from '../core/alerts/state.ts'
import { HoldfastError } from '../errors.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import type { Channel } from './channel.ts'
import { pagerduty, slack, webhook } from './http-channels.ts'
import { mail } from './mail.ts'
import { memoryPath, openMemory, runnerName } from './memory.ts'
import { runbookOf } from './runbook.ts'
import { Runner } from './runner.ts'
import { alertsConfig } from './settings.ts'
import { openLookout, targetsOf } from './targets.ts'

export interface AlertsOptions {
  readonly platform: Platform
  readonly clock: Clock
  readonly log: Log
  readonly onReplaced: () => void
  readonly onReason?: (reason: AlertsReason) => void
}

/** An agent answers from state, within milliseconds; one that takes longer is as good as silent. */
const LOOK_MS = 2_000

/** Starts looking and telling. Throws `HF_ALERTS_RUNNING` while another process does. */
export function startAlerts({ platform, clock, log, onReplaced, onReason }: AlertsOptions): Runner {
  const config = alertsConfig(platform)
  const { dir, everyMs, channels } = platform.alerts
  const memory = openMemory(dir, true)
  if (memory === null) throw new HoldfastError('HF_ALERTS_FILE_UNUSABLE', `${memoryPath(dir)} is not there`, 'make it')
  try {
    const lookout = openLookout(targetsOf(platform), seriesNames(config), Math.min(LOOK_MS, everyMs))
    const runner = new Runner({
      config,
      memory,
      name: runnerName(),
      lookout,
      channels: new Map(channels.map((spec) => [spec.name, channelOf(spec, clock)])),
      runbookOf: runbookOf(platform),
      everyMs,
      clock,
      log,
      onReplaced,
      ...(onReason === undefined ? {} : { onReason }),
    })
    runner.start()
    return runner
  } catch (error) {
    memory.close()
    throw error
  }
}

export function channelOf(spec: ChannelSpec, clock: Clock): Channel {
  if (spec.kind === 'slack') return slack(spec)
  if (spec.kind === 'webhook') return webhook(spec, clock)
  return spec.kind === 'pagerduty' ? pagerduty(spec) : mail(spec)
}
