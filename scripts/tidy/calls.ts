/** Rules about calls that belong behind a door: clocks, randomness, timers, the console. */
import type { Finding } from './finding.ts'
import { isTest } from './source-files.ts'
import type { CallFact, FileFacts } from './syntax.ts'

interface BannedCall {
  readonly callee: RegExp
  /** Paths where the call is at home. */
  readonly allowedIn: RegExp
  /** Only in these paths is it banned. */
  readonly bannedIn: RegExp
  readonly wanted: string
  /** Banned only without arguments, as `new Date()`. */
  readonly onlyBare?: true
}

const SOURCES = /^packages\/[^/]+\/(src|bin)\//
/** Each program's door to its clocks and its chance; the browser's is one file. */
const IO = /^packages\/(holdfast\/src\/io\/|dashboard\/src\/clock\.ts$)/
const CORE = /^packages\/holdfast\/src\/core\//
const NOWHERE = /^$/

const BANNED_CALLS: readonly BannedCall[] = [
  {
    callee:
      /^(globalThis\.)?(Date\.now|performance\.now|process\.hrtime(\.bigint)?|hrtime(\.bigint)?|process\.uptime)$/,
    allowedIn: IO,
    bannedIn: SOURCES,
    wanted: 'take a Clock from io/clock.ts: nowMs() for durations and deadlines, wallMs() for people',
  },
  {
    callee: /^new Date$/,
    allowedIn: IO,
    bannedIn: SOURCES,
    onlyBare: true,
    wanted: 'new Date(clock.wallMs()) with a Clock from io/clock.ts',
  },
  {
    callee: /^(Math\.random|(crypto\.)?(randomBytes|randomUUID|randomInt|getRandomValues|webcrypto\.getRandomValues))$/,
    allowedIn: IO,
    bannedIn: SOURCES,
    wanted: 'take freshId() or jitterMs() from io/random.ts, in the simulator its own seeded generator',
  },
  {
    callee: /^(setTimeout|setInterval|setImmediate|queueMicrotask|process\.nextTick|fetch)$/,
    allowedIn: NOWHERE,
    bannedIn: CORE,
    wanted: 'return an action, or a wakeAtMs, and let the shell wait',
  },
  {
    callee: /^console\.(log|info|warn|error|debug)$/,
    allowedIn: /^packages\/holdfast\/(src\/cli|bin)\//,
    bannedIn: SOURCES,
    wanted: 'write to the Log that was passed in (io/log.ts); only the command line prints',
  },
]

export function checkCalls(facts: readonly FileFacts[]): readonly Finding[] {
  return facts
    .filter((file) => !isTest(file.path))
    .flatMap((file) => file.calls.flatMap((call) => check(file.path, call)))
}

function check(path: string, call: CallFact): readonly Finding[] {
  for (const ban of BANNED_CALLS) {
    if (!ban.bannedIn.test(path) || ban.allowedIn.test(path) || !ban.callee.test(call.callee)) continue
    if (ban.onlyBare === true && call.argumentCount > 0) continue
    const message = `'${call.callee}' is not for this place; ${ban.wanted}`
    return [{ path, line: call.line, rule: 'calls', message, subject: call.callee }]
  }
  return []
}
