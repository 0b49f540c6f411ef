/** The harness's end of one host process: starts it, gives it orders, hears its answers and its lines of history. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Answer, FromHost, Order, UnnumberedLine } from './host-words.ts'

const PROGRAM = fileURLToPath(new URL('./host-process.ts', import.meta.url))
const START_MS = 20_000
const ANSWER_MS = 10_000

export class HostLink {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #gone: Promise<void>
  /** By member: a host may have several, each with its own probe. */
  readonly #hearers = new Map<string, (line: UnnumberedLine) => void>()
  #next = 1
  #ready: () => void = () => {}

  private constructor(prefix: readonly string[], cwd: string) {
    const [command = process.execPath, ...words] = [...prefix, process.execPath, PROGRAM]
    this.#child = spawn(command, words, { cwd, stdio: ['pipe', 'pipe', 'inherit'], detached: true })
    this.#child.stdin?.on('error', () => {})
    this.#gone = new Promise((resolve) => {
      const over = (): void => {
        for (const [id, answer] of this.#waiting) answer({ id, ok: false, because: 'the host process has ended' })
        this.#waiting.clear()
        resolve()
      }
      this.#child.once('exit', over)
      this.#child.once('error', over)
    })
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (text) => this.#hear(JSON.parse(text) as FromHost))
    }
  }

  /** `prefix`: words that bring a program onto the host. */
  static async start(prefix: readonly string[], cwd: string): Promise<HostLink> {
    const link = new HostLink(prefix, cwd)
    const ready = new Promise<true>((resolve) => {
      link.#ready = () => resolve(true)
    })
    const timer = new AbortController()
    const late = new Promise<false>((resolve) => {
      const timeout = setTimeout(() => resolve(false), START_MS)
      timer.signal.addEventListener('abort', () => clearTimeout(timeout))
    })
    const isReady = await Promise.race([ready, late, link.#gone.then(() => false as const)])
    timer.abort()
    if (isReady) return link
    await link.close()
    throw new Error('the process of a host did not start')
  }

  get pid(): number | null {
    return this.#child.pid ?? null
  }

  /** From now on lines of this member's probe go to `hear`. */
  listen(member: string, hear: (line: UnnumberedLine) => void): void {
    this.#hearers.set(member, hear)
  }

  /** Throws when the host refuses or does not answer. */
  async tell(order: Order): Promise<{ readonly port?: number }> {
    const id = this.#next++
    const answer = await new Promise<Answer>((resolve) => {
      const timer = setTimeout(() => resolve({ id, ok: false, because: `no answer within ${ANSWER_MS} ms` }), ANSWER_MS)
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer)
        resolve(answer)
      })
      this.#child.stdin?.write(`${JSON.stringify({ id, order })}\n`)
      if (this.#child.exitCode !== null) this.#waiting.get(id)?.({ id, ok: false, because: 'the host process is gone' })
    })
    this.#waiting.delete(id)
    if (!answer.ok) throw new Error(`${order.do}: ${answer.because}`)
    return answer
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await this.#gone
  }

  #hear(words: FromHost): void {
    if ('line' in words) this.#hearers.get(memberOf(words.line))?.(words.line)
    else if ('ready' in words) this.#ready()
    else this.#waiting.get(words.id)?.(words)
  }
}

function memberOf({ value }: UnnumberedLine): string {
  return (value as { readonly member: string }).member
}
