/** What every command shares: options, output, the description, the way to the agents, and how failures are told. */
import type { AgentClient, Result } from '@holdfast/client'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type LoadOptions, loadPlatform } from '../config/load.ts'
import { nearest } from '../config/nearest.ts'
import { type AgentSpec, type GroupSpec, groupByName, type Platform } from '../config/platform.ts'
import { parseDurationMs } from '../config/quantities.ts'
import { mistakesText, wrapped } from '../config/report.ts'
import { clientFor as clientOver } from '../plans/agent-clients.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Paint, paintFor } from './paint.ts'
import type { Terminal } from './terminal.ts'

export interface Shell {
  readonly terminal: Terminal
  /** The code the process ends with. */
  finish(code: ExitCode): void
}

export interface Common {
  readonly file: string
  readonly output: 'table' | 'json'
  readonly timeoutMs: number
  readonly paint: Paint
  readonly terminal: Terminal
}

/** One attempt at one agent; a busy one answers in a few milliseconds. */
const ATTEMPT_MS = 2_000

export function withFile(command: Command): Command {
  const file = new Option('-f, --file <path>', 'the description').default('holdfast.yaml').env('HOLDFAST_FILE')
  return command.addOption(file)
}

export function withOutput(command: Command): Command {
  return command
    .addOption(
      new Option('-o, --output <form>', 'table for people, json for machines')
        .choices(['table', 'json'])
        .default('table'),
    )
    .option('--no-color', 'no colours (also: NO_COLOR)')
}

export function withTimeout(command: Command, ms: string): Command {
  return command.addOption(
    new Option('--timeout <time>', 'how long to wait for the end')
      .argParser(durationArgument)
      .default(parseDurationMs(ms), ms),
  )
}

export function durationArgument(text: string): number {
  const ms = parseDurationMs(text)
  if (ms === null || ms === 0) throw new InvalidArgumentError('Write a number and a unit: 500ms, 30s, 5m, 2h.')
  return ms
}

export function commonOf(shell: Shell, options: Readonly<Record<string, unknown>>): Common {
  return {
    file: String(options.file ?? 'holdfast.yaml'),
    output: options.output === 'json' ? 'json' : 'table',
    timeoutMs: typeof options.timeout === 'number' ? options.timeout : 0,
    paint: paintFor(shell.terminal, options.color !== false),
    terminal: shell.terminal,
  }
}

/** The platform, or null after its mistakes were told; the caller then ends with `EXIT.usage`. */
export function platformFor(common: Common, secrets: NonNullable<LoadOptions['secrets']>): Platform | null {
  const loaded = loadPlatform(common.file, { env: common.terminal.env, secrets })
  if (loaded.ok) return loaded.platform
  const { mistakes } = loaded
  if (common.output === 'json') {
    common.terminal.out(`${JSON.stringify({ ok: false, file: common.file, mistakes })}\n`)
  } else {
    common.terminal.err(`${mistakesText(common.file, mistakes)}\n${countText(mistakes.length, 'mistake')}\n`)
    if (mistakes.some((mistake) => mistake.line === 0 && /does not exist/.test(mistake.what))) {
      common.terminal.err('Name the description with --file, or set HOLDFAST_FILE.\n')
    }
  }
  return null
}

export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** A client that knows these agents, in this order. */
export function clientFor(agents: readonly AgentSpec[]): AgentClient {
  return clientOver(agents, ATTEMPT_MS)
}

export function agentsOfGroup(platform: Platform, group: GroupSpec): readonly AgentSpec[] {
  return platform.agents.filter((agent) => group.members.some((member) => member.agent === agent.name))
}

/** The group, or null after saying which there are. */
export function groupFor(common: Common, platform: Platform, name: string): GroupSpec | null {
  const group = groupByName(platform, name)
  if (group !== null) return group
  const names = [...platform.groups, ...platform.supervised].map((item) => item.name)
  const meant = nearest(name, names)
  fail(common, 'HF_GROUP_UNKNOWN', `there is no group ${name}`, meant === null ? names.join(', ') : `${meant}?`)
  return null
}

/** Tells a failure in the form that was asked for. */
export function fail(common: Common, code: string, message: string, next: string): void {
  if (common.output === 'json') {
    common.terminal.out(`${JSON.stringify({ ok: false, error: { code, message, next } })}\n`)
    return
  }
  const lines = wrapped(message, 'holdfast: ')
  common.terminal.err(`${lines.join('\n')}\n`)
  if (next !== '') common.terminal.err(`${wrapped(next, '    next: ').join('\n')}\n`)
  common.terminal.err(`    code: ${code}\n`)
}

/** Tells why an agent's answer is not what was hoped for, and gives the exit code for it. */
export function failResult(common: Common, result: Exclude<Result<unknown>, { ok: true }>): ExitCode {
  if (result.kind === 'unreachable') {
    const tried = result.tried.map(({ url, because }) => `${url}: ${because}`).join('; ')
    const next = 'start the agents, or check their addresses in the description'
    fail(common, 'HF_AGENT_UNREACHABLE', `no agent answers (${tried}); nothing was changed`, next)
    return EXIT.unreachable
  }
  if (result.kind === 'uncertain') {
    const message = `${result.url} took the request and did not answer (${result.because}); it may still happen`
    fail(common, 'HF_AGENT_SILENT', message, 'holdfast status')
    return EXIT.uncertain
  }
  fail(common, result.code, result.message, result.next)
  return result.code === 'HF_STORE_UNREACHABLE' ? EXIT.unreachable : EXIT.failed
}
