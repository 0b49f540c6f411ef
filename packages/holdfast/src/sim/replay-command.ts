/**
 * `holdfast replay FILE`: runs an agent's journal through the decisions of this version and compares. A journal is a
 * row
 * of segments; each begins with its start (and the state, when it did not begin with the process) and goes on with one
 * line per event. Prints what was decided and why; a difference means another version, or a defect.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import type { Reason } from '../core/model.ts'
import { type NodeEvent, type NodeSettings, type NodeState, startNode, stepNode } from '../core/node.ts'
import type { Action } from '../core/protocol.ts'
import { described } from './trace.ts'

type Print = (line: string) => void

interface StartLine {
  readonly v: 1
  readonly start: { readonly settings: NodeSettings; readonly bootId: string; readonly nowMs: number }
  readonly state?: NodeState
  readonly dropped?: number
}

interface EventLine {
  readonly e: NodeEvent
  readonly a: readonly Action[]
  readonly r: readonly Reason[]
}

const EXIT = { ok: 0, failed: 1, usage: 2 } as const
const DIFFERENCES_SHOWN_MAX = 20

const HELP = `holdfast replay: run an agent's journal through the decisions of this version

  holdfast replay FILE            prints each decision with its reason; says where the outcome differs
  holdfast replay FILE --quiet    only the result
  --output json                   one JSON line`

export function run(words: readonly string[], print: Print): Promise<number> {
  return replayCommand(words, print)
}

export async function replayCommand(argv: readonly string[], print: Print = printLine): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    print(HELP)
    return EXIT.ok
  }
  const wanted = parsed(argv)
  if (typeof wanted === 'string') {
    print(`holdfast replay: ${wanted}\n    next: see \`holdfast replay --help\``)
    return EXIT.usage
  }
  const replay = new Replay(wanted.quiet || wanted.json ? () => undefined : print)
  try {
    const lines = createInterface({ input: createReadStream(wanted.file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })
    for await (const line of lines) replay.line(line)
  } catch (error) {
    print(`holdfast replay: ${wanted.file}: ${error instanceof Error ? error.message : String(error)}`)
    print('    next: give the path of a journal.ndjson of an agent')
    return EXIT.usage
  }
  const { events, segments, differences, torn } = replay
  if (wanted.json) print(JSON.stringify({ ok: differences === 0, segments, events, differences, torn }))
  else print(`${events} events in ${segments} segments, ${differences} decided differently, ${torn} torn lines`)
  return differences === 0 && segments > 0 ? EXIT.ok : EXIT.failed
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`)
}

function parsed(argv: readonly string[]): { file: string; quiet: boolean; json: boolean } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { quiet: { type: 'boolean', default: false }, output: { type: 'string', default: 'text' } },
    })
    const [file] = positionals
    if (file === undefined || positionals.length > 1) return 'exactly one journal is expected'
    return { file, quiet: values.quiet, json: values.output === 'json' }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export class Replay {
  events = 0
  segments = 0
  differences = 0
  torn = 0
  private state: NodeState | null = null
  private settings: NodeSettings | null = null
  private readonly print: Print

  constructor(print: Print) {
    this.print = print
  }

  line(text: string): void {
    if (text.trim() === '') return
    let value: StartLine | EventLine
    try {
      value = JSON.parse(text) as StartLine | EventLine
    } catch {
      // A killed agent leaves a torn last line; what follows it is a new segment.
      this.torn += 1
      return
    }
    if ('start' in value) this.begin(value)
    else if ('e' in value) this.step(value)
    else this.torn += 1
  }

  private begin({ start, state, dropped }: StartLine): void {
    this.segments += 1
    this.settings = start.settings
    this.state = state ?? startNode(start.settings, start.bootId, start.nowMs)
    if (dropped !== undefined) this.print(`-- ${dropped} events were not kept here`)
  }

  private step({ e, a, r }: EventLine): void {
    if (this.state === null || this.settings === null) return
    this.events += 1
    const result = stepNode(this.state, e, this.settings)
    this.state = result.state
    for (const reason of result.reasons) this.print(`${e.event.nowMs.toFixed(1)} ${reasonText(reason)}`)
    for (const action of result.actions) {
      const text = described(action)
      if (text !== null) this.print(`${e.event.nowMs.toFixed(1)}   > ${text}`)
    }
    if (same(result.actions, a) && same(result.reasons, r)) return
    this.differences += 1
    if (this.differences > DIFFERENCES_SHOWN_MAX) return
    this.print(`!! differs at ${e.event.nowMs} on ${e.event.kind}`)
    this.print(`   recorded ${JSON.stringify(a)}`)
    this.print(`   now      ${JSON.stringify(result.actions)}`)
  }
}

function reasonText(reason: Reason): string {
  const detail = Object.entries(reason.detail).map(([key, value]) => `${key}=${value}`)
  return [reason.member, reason.code, ...detail, reason.rule ?? ''].join(' ').trim()
}

/** As it would look in the journal: JSON knows no undefined and no infinity. */
function same(now: unknown, recorded: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(now)), recorded)
}
