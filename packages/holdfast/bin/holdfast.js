#!/usr/bin/env node
/**
 * The door of the command line. The product needs Node 24; this file runs on any Node that knows modules. With an
 * older one it looks for the `node` package that was installed beside the product and starts itself again with it.
 * Everything else is in src/cli/main.ts.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const WANTED_MAJOR = 24
/** Set for the second start, so that a wrong binary cannot lead to a third. */
const RESTARTED = 'HOLDFAST_RESTARTED'
const EXIT_UNUSABLE = 70

const majorOf = (version) => Number.parseInt(version, 10)

/** The nearest Node that is new enough, searched upwards from this file. */
function findNode() {
  const places = ['node_modules/.bin/node', 'node_modules/node/bin/node', 'node_modules/node/bin/node.exe']
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    for (const place of places) {
      const path = join(directory, place)
      if (!existsSync(path)) continue
      const answer = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8', timeout: 10_000 })
      if (answer.status === 0 && majorOf(answer.stdout) >= WANTED_MAJOR) return path
    }
    if (dirname(directory) === directory) return null
  }
}

function startAgain(path) {
  const child = spawn(path, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, [RESTARTED]: '1' },
  })
  // A terminal sends Ctrl-C to both; a supervisor sends its signal only to us. A second one is harmless to the child.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => unusable(`cannot start ${path}: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

function unusable(because) {
  console.error(`holdfast: ${because}`)
  console.error(`Run 'npm ci' in the folder of the project, or install Node ${WANTED_MAJOR} or newer.`)
  process.exit(EXIT_UNUSABLE)
}

if (majorOf(process.versions.node) >= WANTED_MAJOR) {
  // What the product uses of Node under that heading (type stripping, SQLite) is fixed by the version it asks for.
  const warn = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' ? rest[0]?.type : rest[0]
    if (type !== 'ExperimentalWarning') warn.call(process, warning, ...rest)
  }
  const { isLongLived, loadSmall } = await import('./long-lived.js')
  const command = process.argv[2]
  const main = isLongLived(command) ? await loadSmall(command) : (await import('../src/cli/main.ts')).main
  process.exitCode = await main(process.argv.slice(2))
} else {
  const path = process.env[RESTARTED] === undefined ? findNode() : null
  if (path === null) unusable(`needs Node ${WANTED_MAJOR} or newer, this is ${process.versions.node}`)
  else startAgain(path)
}
