/**
 * The alerts, run by the server that leads: the same runner as `holdfast alerts run`, with the same memory, so that the
 * command line sees and changes what this server tells. Another process that runs them on this host is left alone.
 */
import { alertsClock, type Memory, openMemory, RUNNER_SILENT_MS, type Saved } from '../../alerts/memory.ts'
import type { Runner } from '../../alerts/runner.ts'
import { alertsConfig } from '../../alerts/settings.ts'
import { startAlerts } from '../../alerts/wire.ts'
import { loadPlatform } from '../../config/load.ts'
import type { Platform } from '../../config/platform.ts'
import type { AlertsConfig, AlertsReason } from '../../core/alerts/state.ts'
import { HoldfastError } from '../../errors.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { Leader } from '../database/leader.ts'
import { writeEvents } from '../events.ts'
import { alertDraft } from './tell.ts'

export interface WatchmanOptions {
  readonly platform: Platform
  readonly leader: Leader
  readonly clock: Clock
  readonly log: Log
  readonly env: Readonly<Record<string, string | undefined>>
  readonly onWritten: () => void
}

/** Somebody else runs them, or a secret is missing: looked at again after this. */
const AGAIN_MS = 10_000
/** Decisions that could not be written down yet; beyond it the oldest are in the log only. */
const UNTOLD_MAX = 500

export interface Looked {
  readonly saved: Saved
  readonly nowMs: number
  readonly running: boolean
}

export class Watchman {
  readonly config: AlertsConfig
  readonly #options: WatchmanOptions
  #runner: Runner | null = null
  #againAtMs = 0
  #because = ''
  #untold: { readonly reason: AlertsReason; readonly wallMs: number }[] = []

  constructor(options: WatchmanOptions) {
    this.config = alertsConfig(options.platform)
    this.#options = options
  }

  /** Why this server does not run them; empty when it does, or does not lead. */
  get because(): string {
    return this.#because
  }

  async turn(): Promise<void> {
    const { platform, leader, clock } = this.#options
    const wanted = leader.state.leading && platform.alerts.runBy === 'server'
    if (!wanted) await this.close()
    else if (this.#runner === null && clock.nowMs() >= this.#againAtMs) this.#start()
    await this.#tell()
  }

  async close(): Promise<void> {
    const runner = this.#runner
    this.#runner = null
    await runner?.close()
  }

  #start(): void {
    const { platform, clock, log, env } = this.#options
    this.#againAtMs = clock.nowMs() + AGAIN_MS
    try {
      // What channels are told with; nothing else of the server needs it.
      const loaded = loadPlatform(platform.file, { env, secrets: 'alerts' })
      if (!loaded.ok) throw new HoldfastError('HF_CONFIG_INVALID', loaded.mistakes[0]?.what ?? 'mistakes', 'mend it')
      this.#runner = startAlerts({
        platform: loaded.platform,
        clock,
        log,
        onReplaced: () => void this.close(),
        onReason: (reason) => {
          this.#untold = [...this.#untold, { reason, wallMs: clock.wallMs() }].slice(-UNTOLD_MAX)
        },
      })
      this.#because = ''
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      this.#because = error.message
      log.warn({ because: error.message }, 'alerts-not-run')
    }
  }

  async #tell(): Promise<void> {
    if (this.#untold.length === 0) return
    const { leader, clock, onWritten } = this.#options
    const told = this.#untold
    const drafts = told.flatMap(({ reason, wallMs }) => alertDraft(reason, this.config, wallMs))
    const written = await leader.write((writing) => writeEvents(writing, drafts, clock.wallMs()))
    if (written === null) return
    this.#untold = this.#untold.filter((one) => !told.includes(one))
    if (drafts.length > 0) onWritten()
  }

  /** Null: nobody has looked yet on this host. */
  look(): Looked | null {
    return this.#with((memory) => {
      const saved = memory.read()
      if (saved === null) return null
      const { clock } = this.#options
      const running = saved.runner !== null && Math.abs(clock.wallMs() - saved.wallMs) < RUNNER_SILENT_MS
      return { saved, nowMs: alertsClock(saved, clock)(), running }
    })
  }

  /** Taken up by who runs them, within a second. False: nobody runs them here. */
  ask(request: Parameters<Memory['add']>[0]): boolean {
    const looked = this.look()
    if (looked === null || !looked.running) return false
    this.#with((memory) => memory.add(request, this.#options.clock.wallMs()))
    return true
  }

  #with<T>(work: (memory: Memory) => T): T | null {
    const memory = openMemory(this.#options.platform.alerts.dir, false)
    if (memory === null) return null
    try {
      return work(memory)
    } finally {
      memory.close()
    }
  }
}
