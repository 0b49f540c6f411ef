/** The work of `holdfast audit`: proof that nothing in the audit log was changed; asks no server. */
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Platform } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { createLog } from '../io/log.ts'
import { keyIdOf, openSigningKey } from '../io/signing.ts'
import { exportLines, verifyDatabase } from '../server/audit/audit-log.ts'
import { type Verdict, verifyExport } from '../server/audit/chain.ts'
import { type Database, openDatabase } from '../server/database/database.ts'
import { keptCheckpoints } from '../server/handlers/audit.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, fail, platformFor } from './shell.ts'

type Options = Readonly<Record<string, unknown>>

export async function verify(common: Common, file: string | null, options: Options): Promise<ExitCode> {
  if ((file === null) === (options.database !== true)) {
    fail(common, 'HF_CONFIG_INVALID', 'name a file that was exported, or --database', 'one of the two')
    return EXIT.usage
  }
  const paths = Array.isArray(options.key) ? options.key.map(String) : []
  const trusted = paths.length === 0 ? null : paths.map((path) => readText(path))
  if (file !== null) return tell(common, await verifyExport(linesOf(file), trusted), trusted !== null)
  const verdict = await withDatabase(common, options, (database, platform, dir) => {
    const kept = typeof options.checkpoints === 'string' ? options.checkpoints : join(dir, 'audit-checkpoints.jsonl')
    return verifyDatabase(database.read, platform.name, { trusted, kept: keptCheckpoints(kept) })
  })
  return verdict === null ? EXIT.usage : tell(common, verdict, trusted !== null)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new HoldfastError('HF_FILE_UNREADABLE', `${path} cannot be read: ${String(cause)}`, 'check the path', cause)
  }
}

/** The last line must end, too: a cut-off file is not whole. */
async function* linesOf(path: string): AsyncGenerator<string> {
  const input = createReadStream(path, 'utf8')
  const failed = new Promise<never>((_resolve, reject) => {
    input.once('error', (cause) => {
      reject(
        new HoldfastError('HF_FILE_UNREADABLE', `${path} cannot be read: ${cause.message}`, 'check the path', cause),
      )
    })
  })
  let rest = ''
  const chunks = input[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await Promise.race([chunks.next(), failed])
    if (done === true) break
    const parts = (rest + String(value)).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
  if (rest !== '') yield `${rest}, without an end of line`
}

function tell(common: Common, verdict: Verdict, pinned: boolean): ExitCode {
  const { ok, entries, checkpoints, lastSigned, because, at, keys } = verdict
  const names = keys.map((key) => keyIdOf(key) ?? 'no key')
  if (common.output === 'json') {
    const answer = { ok, entries, checkpoints, lastSigned, because, at, keys: names, pinned }
    common.terminal.out(`${JSON.stringify(answer)}\n`)
    return ok ? EXIT.ok : EXIT.failed
  }
  if (!ok) {
    fail(
      common,
      'HF_AUDIT_BROKEN',
      `the audit log does not hold at entry ${at}: ${because}`,
      'compare with an older export',
    )
    return EXIT.failed
  }
  const signed = lastSigned === null ? 'nothing signed' : `signed up to entry ${lastSigned}`
  const whose = pinned ? 'by trusted keys' : `by ${names.join(', ') || 'nobody'} (name the keys you trust with --key)`
  const count = entries === 1 ? '1 entry' : `${entries} entries`
  common.terminal.out(`${common.paint.good('whole')}  ${count}, ${signed}, ${whose}\n`)
  return EXIT.ok
}

export async function exportAll(common: Common, options: Options): Promise<ExitCode> {
  const done = await withDatabase(common, options, async (database, platform, dir) => {
    const key = await openSigningKey(join(dir, 'signing.pem'))
    if (options.publicKey === true) common.terminal.out(key.publicPem)
    else {
      for await (const line of exportLines(database, { key, platform: platform.name }, systemClock.wallMs())) {
        common.terminal.out(`${line}\n`)
      }
    }
    return true
  })
  return done === null ? EXIT.usage : EXIT.ok
}

async function withDatabase<T>(
  common: Common,
  options: Options,
  use: (database: Database, platform: Platform, dir: string) => Promise<T>,
): Promise<T | null> {
  const platform = platformFor(common, 'none')
  if (platform === null) return null
  if (platform.server === null) {
    fail(common, 'HF_CONFIG_INVALID', `${common.file} describes no server`, 'name the description with --file')
    return null
  }
  const { dir } = platform.server
  const url = options.databaseUrl ?? common.terminal.env.HOLDFAST_DATABASE_URL
  const file = join(dir, 'server.sqlite')
  // An empty one would be made, and found whole.
  if (typeof url !== 'string' && !existsSync(file)) {
    throw new HoldfastError('HF_FILE_UNREADABLE', `there is no database ${file}`, 'run this where the server runs')
  }
  const log = createLog({ level: 'error', name: 'audit' })
  const database = await openDatabase({ dir, url: typeof url === 'string' ? url : null, clock: systemClock, log })
  try {
    return await use(database, platform, dir)
  } finally {
    await database.close()
  }
}
