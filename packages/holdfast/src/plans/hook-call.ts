/**
 * Runs one hook to its end or its deadline: a command in a process group of its own, killed with everything it started,
 * or an HTTP call. Its output is kept up to a bound. Never throws: an outcome is a value.
 */
import { spawn } from 'node:child_process'
import type { HookAction } from '../config/platform.ts'
import { visibleText } from '../io/visible-text.ts'

export interface HookEnd {
  readonly ok: boolean
  /** How it ended, and the last of what it said. */
  readonly because: string
}

export interface HookOptions {
  readonly folder: string
  readonly deadlineMs: number
  /** Told to the command as environment and to an HTTP call as JSON. */
  readonly facts: Readonly<Record<string, string>>
  readonly halted: AbortSignal
}

/** Enough for the last words of a command; more would not fit into the plan's record. */
const OUTPUT_MAX = 400
/** A child that was killed is gone within this, or it hangs in the kernel and is not waited for. */
const GONE_MS = 1_000
const LAST_WORDS_MS = 200

/** What a program needs to run at all. The rest of our environment may hold passwords of databases and stores. */
const PASSED_ON: readonly string[] = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'USER']

export function callHook(action: HookAction, options: HookOptions): Promise<HookEnd> {
  return action.kind === 'run' ? command(action, options) : request(action, options)
}

function command(action: Extract<HookAction, { kind: 'run' }>, options: HookOptions): Promise<HookEnd> {
  const [program = '', ...rest] = action.words
  const facts = Object.entries(options.facts).map(([key, value]) => [`HOLDFAST_${key.toUpperCase()}`, value])
  return new Promise((resolve) => {
    let said = ''
    let ending = ''
    let over = false
    const finish = (ok: boolean, because: string): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      options.halted.removeEventListener('abort', onHalt)
      const words_ = visibleText(said, false).trim().replace(/\s+/g, ' ')
      resolve({ ok, because: words_ === '' ? because : `${because}: ${words_}` })
    }
    const child = spawn(program, rest, {
      cwd: options.folder,
      env: { ...passedOn(action.env), ...Object.fromEntries(facts) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const killGroup = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // Nobody of the group is left.
      }
    }
    const kill = (why: string): void => {
      ending = why
      killGroup()
      setTimeout(() => finish(false, why), GONE_MS).unref()
    }
    const onHalt = (): void => kill('halted')
    const timer = setTimeout(() => kill(`killed after ${options.deadlineMs} ms`), options.deadlineMs)
    options.halted.addEventListener('abort', onHalt, { once: true })
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString('utf8')).slice(-OUTPUT_MAX)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', (error) => finish(false, `cannot be started: ${error.message}`))
    child.on('exit', (code, signal) => {
      // What it left running must not outlive it: the next step counts on its end. One that left the group may keep
      // our pipe open, so its close is not waited for long.
      killGroup()
      const how = signal === null ? `exit ${code}` : `signal ${signal}`
      const told = (): void => finish(code === 0 && ending === '', ending === '' ? how : ending)
      child.once('close', told)
      setTimeout(told, LAST_WORDS_MS).unref()
    })
  })
}

function passedOn(named: readonly string[]): NodeJS.ProcessEnv {
  const isPassedOn = (name: string): boolean =>
    PASSED_ON.includes(name) || name.startsWith('LC_') || named.includes(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => isPassedOn(name)))
}

async function request(action: Extract<HookAction, { kind: 'http' }>, options: HookOptions): Promise<HookEnd> {
  const { method, url, token } = action
  const body = action.body ?? JSON.stringify(options.facts)
  try {
    const answer = await fetch(url, {
      method,
      redirect: 'error',
      signal: AbortSignal.any([AbortSignal.timeout(options.deadlineMs), options.halted]),
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }),
      },
      ...(method === 'GET' ? {} : { body }),
    })
    await answer.body?.cancel()
    return { ok: answer.ok, because: `HTTP ${answer.status}` }
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError'
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const why = late ? `no answer within ${options.deadlineMs} ms` : cause instanceof Error ? cause.message : 'failed'
    return { ok: false, because: why.slice(0, OUTPUT_MAX) }
  }
}
