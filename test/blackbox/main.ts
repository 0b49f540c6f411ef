/** `npm run blackbox`: reads the words, runs once, reports, ends with 0, 1 or 2. See SPEC.md. */
import { randomBytes } from 'node:crypto'
import { reportText } from './report.ts'
import { run } from './run.ts'
import { type CommandLine, HELP, readCommandLine, UsageError } from './settings.ts'
import { record, stampNow } from './totals.ts'

const EXIT = { content: 0, found: 1, unable: 2 }

/** Short enough to be typed again. */
function freshSeed(): number {
  return randomBytes(4).readUInt32BE() % 1_000_000
}

async function main(): Promise<number> {
  let line: CommandLine | 'help'
  try {
    line = readCommandLine(process.argv.slice(2), freshSeed)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\n"npm run blackbox -- --help" tells what there is.`)
    return EXIT.unable
  }
  if (line === 'help') {
    console.log(HELP)
    return EXIT.content
  }
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      console.error(`${signal}: heals and takes everything down`)
      stop.abort(new Error(`ended by ${signal}`))
    })
  }
  const say = line.json ? (text: string) => console.error(text) : (text: string) => console.log(text)
  try {
    const stamp = stampNow()
    const report = await run({ settings: line.settings, say, signal: stop.signal })
    if (line.record && line.settings.program === null) record(report, { ...stamp, load: stampNow().load })
    console.log(line.json ? JSON.stringify(report) : reportText(report))
    return report.ok ? EXIT.content : EXIT.found
  } catch (error) {
    console.error(error instanceof Error ? (error.stack ?? error.message) : String(error))
    console.error(`the run could not be made (seed ${line.settings.seed})`)
    return EXIT.unable
  }
}

process.exit(await main())
