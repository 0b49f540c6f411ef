/**
 * The process of the workloads: `main.ts JSON` or `main.ts @FILE`, the settings of `settings.ts`. Runs until SIGTERM or
 * SIGINT, or until the process that started it is gone; then ends every operation, writes the history out and exits 0.
 */
import { readFileSync } from 'node:fs'
import { HistoryWriter } from '../history.ts'
import { startRedisWorkloads } from './redis-workloads.ts'
import type { WorkloadSettings } from './settings.ts'
import { startWorkloads } from './workloads.ts'

const PARENT_LOOK_MS = 1_000

const [given = ''] = process.argv.slice(2)
const settings = JSON.parse(given.startsWith('@') ? readFileSync(given.slice(1), 'utf8') : given) as WorkloadSettings
const history = new HistoryWriter(settings.history)
const workloads =
  settings.engine === 'redis' ? startRedisWorkloads(settings, history) : startWorkloads(settings, history)
const parent = process.ppid
let ending = false

async function end(): Promise<void> {
  if (ending) return
  ending = true
  await workloads.stop()
  history.close()
  process.exit(0)
}

process.on('SIGTERM', () => void end())
process.on('SIGINT', () => void end())
setInterval(() => {
  if (process.ppid !== parent) void end()
}, PARENT_LOOK_MS)
