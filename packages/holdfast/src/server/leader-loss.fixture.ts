/** One server as a process of its own, for tests that kill it. Arguments: description, name, database URL or `-`. */
import { loadPlatform } from '../config/load.ts'
import { systemClock } from '../io/clock.ts'
import { createLog } from '../io/log.ts'
import { startServer } from './wire.ts'

const [file = '', name = '', url = '-'] = process.argv.slice(2)
const loaded = loadPlatform(file, { env: process.env })
if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
const server = await startServer({
  platform: loaded.platform,
  name,
  listen: { host: '127.0.0.1', port: 0 },
  databaseUrl: url === '-' ? null : url,
  adminCode: false,
  dashboardDir: '/nowhere',
  version: '0.1.0',
  clock: systemClock,
  log: createLog({ level: 'warn', name }),
})
process.stdout.write(`${JSON.stringify({ url: server.url, code: server.code })}\n`)
