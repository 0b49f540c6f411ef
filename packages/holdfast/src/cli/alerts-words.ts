/** What a person says about alerts: silence, end of a silence, "it is in my hands", and "does this channel work?". */
import { type Memory, openMemory, type Request, RUNNER_SILENT_MS } from '../alerts/memory.ts'
import { runbookOf } from '../alerts/runbook.ts'
import { channelOf } from '../alerts/wire.ts'
import type { Platform } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import type { Delivery } from '../core/alerts/state.ts'
import { SILENCE_MAX_MS } from '../core/alerts/step.ts'
import { systemClock } from '../io/clock.ts'
import { freshId } from '../io/random.ts'
import { savedOf } from './alerts-list.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { whoAmI } from './pause-command.ts'
import { type Common, fail } from './shell.ts'
import { pause } from './terminal.ts'

const MATCHER = /^(rule|severity|group|member|site|agent|router|use|part)=(.{1,200})$/
const BECAUSE_MAX = 500
/** A runner that is there takes a request up within half a second. */
const TAKEN_UP_MS = 5_000
const LOOK_MS = 50

interface Silencing {
  readonly matchers: readonly string[]
  readonly forMs: number
  readonly because: string
}

export async function silence(common: Common, platform: Platform, asked: Silencing): Promise<ExitCode> {
  const { matchers, forMs, because } = asked
  const found = matchers.map((text) => MATCHER.exec(text))
  const odd = matchers.find((_, at) => found[at] === null)
  const wrong = whatIsWrong(asked, odd)
  if (wrong !== null) {
    fail(common, 'HF_BODY_INVALID', wrong.what, wrong.right)
    return EXIT.usage
  }
  const id = freshId().slice(0, 8)
  const words = Object.fromEntries(found.map((match) => [match?.[1] ?? '', match?.[2] ?? '']))
  const request: Request = {
    kind: 'silence',
    id,
    matchers: words,
    by: whoAmI(),
    because: because.slice(0, BECAUSE_MAX),
    validMs: forMs,
  }
  return ask(common, platform, request, `silence ${id} for ${durationText(forMs)}`)
}

function whatIsWrong(
  { matchers, forMs, because }: Silencing,
  odd: string | undefined,
): { what: string; right: string } | null {
  if (matchers.length === 0)
    return { what: 'nothing says which alerts are meant', right: 'e.g. group=orders; rule=* for all' }
  if (odd !== undefined)
    return { what: `${odd.slice(0, 60)} is no matcher`, right: 'name=text, e.g. group=orders or rule=lag-*' }
  if (forMs <= 0 || forMs > SILENCE_MAX_MS) return { what: 'a silence needs its end', right: '--for 2h; at most 30d' }
  return because.trim() === '' ? { what: 'a silence needs its reason', right: '--because "kernel update"' } : null
}

export async function unsilence(common: Common, platform: Platform, id: string): Promise<ExitCode> {
  const saved = savedOf(common, platform)
  if (saved === null) return EXIT.failed
  if (!saved.state.silences.some((one) => one.id === id)) return unknown(common, `there is no silence ${id}`)
  return ask(common, platform, { kind: 'unsilence', id }, `silence ${id} ended`)
}

export async function acknowledge(common: Common, platform: Platform, id: string): Promise<ExitCode> {
  const saved = savedOf(common, platform)
  if (saved === null) return EXIT.failed
  const alert = Object.values(saved.state.alerts).find(
    (one) => one.id === id && (one.phase === 'firing' || one.phase === 'clearing'),
  )
  if (alert === undefined) return unknown(common, `no alert ${id} fires`)
  if (alert.acknowledged !== null) {
    fail(common, 'HF_INTENT_REFUSED', `${id} is in the hands of ${alert.acknowledged.by}`, 'talk to them')
    return EXIT.failed
  }
  return ask(common, platform, { kind: 'acknowledge', id, by: whoAmI() }, `${id} (${alert.rule}) is in your hands`)
}

function unknown(common: Common, what: string): ExitCode {
  fail(common, 'HF_ALERT_UNKNOWN', what, 'holdfast alerts list')
  return EXIT.failed
}

/** Hands it to the runner and waits until it was taken up; without a runner it waits for the next one. */
async function ask(common: Common, platform: Platform, request: Request, done: string): Promise<ExitCode> {
  const memory = openMemory(platform.alerts.dir, true)
  if (memory === null) return EXIT.failed
  try {
    const saved = memory.read()
    const number = memory.add(request, systemClock.wallMs())
    const running = saved !== null && saved.runner !== null && systemClock.wallMs() - saved.wallMs < RUNNER_SILENT_MS
    const taken = running && (await takenUp(common, memory, number))
    if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: true, taken, ...request })}\n`)
    else
      common.terminal.out(taken ? `${done}\n` : `${done}, as soon as somebody runs the alerts: holdfast alerts run\n`)
    return taken ? EXIT.ok : EXIT.uncertain
  } finally {
    memory.close()
  }
}

async function takenUp(common: Common, memory: Memory, number: number): Promise<boolean> {
  const endMs = systemClock.nowMs() + TAKEN_UP_MS
  while (systemClock.nowMs() < endMs) {
    if (!memory.waiting().some(({ id }) => id === number)) return true
    if (!(await pause(LOOK_MS, common.terminal.interrupted))) return false
  }
  return false
}

/** Sent by this process itself, so that it also works before anything runs. */
export async function tryChannel(common: Common, platform: Platform, name: string): Promise<ExitCode> {
  const spec = platform.alerts.channels.find((channel) => channel.name === name)
  if (spec === undefined) {
    const names = platform.alerts.channels.map((channel) => channel.name).join(', ')
    fail(
      common,
      'HF_ALERT_UNKNOWN',
      `there is no channel ${name}`,
      names === '' ? 'describe it in alerts.channels' : names,
    )
    return EXIT.usage
  }
  const channel = channelOf(spec, systemClock)
  const context = { wallOf: () => systemClock.wallMs(), runbookOf: runbookOf(platform) }
  const first = await channel.send(testDelivery(platform, name, 'trigger'), context)
  const outcome = first.ok ? await channel.send(testDelivery(platform, name, 'resolve'), context) : first
  if (!outcome.ok) {
    const next = 'check address and secret of the channel, and the way from this machine'
    fail(common, 'HF_ALERT_UNDELIVERED', `${name} did not take the message: ${outcome.because}`, next)
    return EXIT.failed
  }
  const json = `${JSON.stringify({ ok: true, channel: name })}\n`
  common.terminal.out(common.output === 'json' ? json : `${name} took a test message and its end\n`)
  return EXIT.ok
}

function testDelivery(platform: Platform, channel: string, kind: 'trigger' | 'resolve'): Delivery {
  const told = {
    key: 'test',
    id: '00000000',
    rule: 'test',
    severity: 'info',
    labels: {},
    summary: `This is a test, asked for by ${whoAmI()}`,
    next: 'nothing',
    episode: 0,
    firedAtMs: 0,
    endedAtMs: kind === 'resolve' ? 0 : null,
    acknowledgedBy: null,
  } as const
  const lists = kind === 'trigger' ? { firing: [told], resolved: [] } : { firing: [], resolved: [told] }
  return { id: `test-${freshId()}`, desk: '', channel, platform: platform.name, scope: 'test', kind, ...lists }
}
