/**
 * The guard's program as plain JavaScript in memory. Node's type stripper costs a process 18 MB for as long as it
 * lives, so neither guard nor agent does it (the agent's own files come from Node's compile cache): a process that ends
 * at once strips the guard's few files, and the agent hands them over as one module. Relative imports become `data:`
 * addresses; nothing is written to disk, and the guard reads none at its start.
 */
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'

const RELATIVE_IMPORT = /(from\s+')(\.{1,2}\/[^']+\.ts)(')/g
/** Runs the module that arrives on file descriptor `PROGRAM_FD`. */
const START = "import('data:text/javascript;base64,' + require('node:fs').readFileSync(3, 'base64'))"
export const PROGRAM_FD = 3

/**
 * Arguments for `node` that run the guard's program. Without the compilers (`--jitless`) it is 8 MB smaller and never
 * pauses for one; its work is a few lines a second.
 */
export const GUARD_ARGUMENTS: readonly string[] = [
  '--max-old-space-size=32',
  '--max-semi-space-size=1',
  '--no-warnings',
  '--jitless',
  '--no-experimental-strip-types',
  '--input-type=commonjs',
  '--eval',
  START,
]

/** Reading and stripping half a dozen files takes a tenth of a second. */
const STRIP_MAX_MS = 10_000
let guard: string | null = null
let deadman: Promise<string> | null = null

/** What to write to file descriptor `PROGRAM_FD` of the new process. Made once, at the start of the agent. */
export function guardProgram(): string {
  guard ??= execFileSync(process.execPath, stripper('./main.ts', 'runGuard'), STRIP)
  return guard
}

/** The same for the dead-man of a freeze; beside the work of an agent that may hold a lease just then. */
export function deadmanProgram(): Promise<string> {
  deadman ??= new Promise((resolve, reject) => {
    execFile(process.execPath, [...stripper('./deadman.ts', 'runDeadman')], STRIP, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
  deadman.catch(() => {
    deadman = null
  })
  return deadman
}

const STRIP = { encoding: 'utf8', env: {}, timeout: STRIP_MAX_MS, maxBuffer: 4 * 1024 * 1024 } as const

function stripper(file: string, entry: string): readonly string[] {
  const words = `${JSON.stringify(file)}, ${JSON.stringify(entry)}`
  const here = JSON.stringify(import.meta.url)
  const script = `process.stdout.write((await import(${here})).strippedProgram(${words}))`
  return ['--no-warnings', '--input-type=module', '--eval', script]
}

export function strippedProgram(file = './main.ts', entry = 'runGuard'): string {
  const main = new URL(file, import.meta.url)
  return `import { ${entry} } from '${moduleAddress(main)}'\nprocess.exit(await ${entry}())\n`
}

/** The module at `file` and all it imports, as one `data:` address. Type-only imports vanish with the types. */
function moduleAddress(file: URL): string {
  const plain = quietly(() => stripTypeScriptTypes(readFileSync(file, 'utf8')))
  const linked = plain.replace(
    RELATIVE_IMPORT,
    (_all, before: string, path: string, after: string) => before + moduleAddress(new URL(path, file)) + after,
  )
  return `data:text/javascript;base64,${Buffer.from(withoutComments(linked)).toString('base64')}`
}

/** Whole-line comments only: they are half of our bytes and nothing depends on them. */
function withoutComments(source: string): string {
  return source.replace(/^\s*(\/\*\*[\s\S]*?\*\/|\/\/.*)$/gm, '').replace(/\n\s*\n+/g, '\n')
}

/** The stripper's interface warns that it is young; what it does here is what Node did to this very file. */
function quietly<T>(work: () => T): T {
  const emitWarning = process.emitWarning
  process.emitWarning = () => {}
  try {
    return work()
  } finally {
    process.emitWarning = emitWarning
  }
}
