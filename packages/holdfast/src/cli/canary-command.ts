/**
 * `holdfast canary`: measures what a client on this machine sees, for a while. Needs neither the server nor a browser:
 * it writes the same records by the same doors, under a run of its own, and removes them at the end.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { GroupCanary } from '../canary/group-canary.ts'
import { canaryKey } from '../canary/record.ts'
import type { CanaryView, Finding } from '../canary/settings.ts'
import type { GroupSpec, Platform } from '../config/platform.ts'
import { bytesText, durationText } from '../config/quantities.ts'
import { systemClock } from '../io/clock.ts'
import { freshId } from '../io/random.ts'
import { visibleText } from '../io/visible-text.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import {
  type Common,
  clientFor,
  commonOf,
  durationArgument,
  fail,
  groupFor,
  platformFor,
  type Shell,
  withFile,
  withOutput,
} from './shell.ts'
import { type PlatformView, platformView } from './status-view.ts'
import { tableLines } from './table.ts'
import { pause } from './terminal.ts'

const EXAMPLES = `
Writes a few small records a second through the door applications use, reads
them back there and at each replica, and looks at the end whether everything
that was acknowledged is there. STALE is measured; LAG is what the engine's
counters predict. Exit code 1: an outage, a loss, or nothing could be measured.

Examples:
  holdfast canary                        every group, ten seconds
  holdfast canary orders --for 2m        while you switch over elsewhere
  holdfast canary orders --watch         until Ctrl-C
  holdfast canary --output json | jq '.groups[] | {group, outages, lost}'`

const FOR_MS = 10_000
const TICK_MS = 100
const LOOK_MS = 1_000
/** All canaries of a group together write at most so often. */
const PER_SECOND_MAX = 4
/** For the last look at the primary. */
const END_MS = 10_000

export function registerCanary(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('canary')))
    .summary('measure from here what clients see')
    .description('Measures from this machine whether clients are served, and what would be lost.')
    .argument('[group]', 'only this one (default: every group with an application)')
    .option('--for <time>', 'how long (default: 10s)', durationArgument)
    .option('-w, --watch', 'until Ctrl-C')
    .option('--per-second <n>', 'records a second and group, 1 to 4 (default: what the server leaves of 4)', perSecond)
    .addHelpText('after', EXAMPLES)
    .action(async (name: string | undefined, options: Record<string, unknown>) => {
      const common = commonOf(shell, options)
      const forMs = options.watch === true ? Number.POSITIVE_INFINITY : Number(options.for ?? FOR_MS)
      shell.finish(await measure(common, { name, forMs, perSecond: (options.perSecond as number | undefined) ?? null }))
    })
}

function perSecond(text: string): number {
  const n = Number(text)
  if (Number.isInteger(n) && n >= 1 && n <= PER_SECOND_MAX) return n
  throw new InvalidArgumentError(`Write a whole number from 1 to ${PER_SECOND_MAX}.`)
}

interface Wish {
  readonly name: string | undefined
  readonly forMs: number
  readonly perSecond: number | null
}

interface Outage {
  readonly ms: number
  readonly failed: number
  readonly unknown: number
  readonly unmeasuredMs: number
}

interface One {
  readonly group: GroupSpec
  readonly canary: GroupCanary
  readonly outages: Outage[]
  readonly said: string[]
  readonly lags: Map<string, number | null>
  primary: string | null
  checked: boolean
}

async function measure(common: Common, wish: Wish): Promise<ExitCode> {
  const platform = platformFor(common, 'all')
  if (platform === null) return EXIT.usage
  const asked = wish.name === undefined ? platform.groups : [groupFor(common, platform, wish.name)]
  const groups = asked.filter((group) => group !== null)
  if (groups.length < asked.length) return EXIT.usage
  const key = canaryKey(platform)
  const able = groups.filter(({ application }) => application?.password.known === true)
  if (key === null || able.length === 0) {
    const what = wish.name === undefined ? 'no group has an' : `group ${wish.name} has no`
    const message = `${what} application to write as`
    fail(common, 'HF_CANARY_IMPOSSIBLE', message, 'describe `application:` with its user and password')
    return EXIT.failed
  }
  const all = able.map((group) => oneOf(platform, group, key, wish))
  const begunMs = systemClock.nowMs()
  const timer = setInterval(() => {
    for (const { canary } of all) canary.tick()
  }, TICK_MS)
  try {
    await follow(common, platform, all, begunMs + wish.forMs)
    return told(common, all, systemClock.nowMs() - begunMs)
  } finally {
    clearInterval(timer)
    await Promise.all(all.map(({ canary }) => canary.close(true)))
  }
}

function oneOf(platform: Platform, group: GroupSpec, key: string, wish: Wish): One {
  const left = Math.max(1, PER_SECOND_MAX - (platform.server === null ? 0 : group.canaryPerSecond))
  const one: Omit<One, 'canary'> & { canary?: GroupCanary } = {
    ...{ group, outages: [], said: [], lags: new Map<string, number | null>(), primary: null, checked: false },
  }
  one.canary = new GroupCanary(
    {
      ...{ platform, group, key, run: `command-${freshId()}`, perSecond: wish.perSecond ?? left, clock: systemClock },
      primary: () => one.primary,
      founded: () => true,
      onFinding: (finding) => hear(one, finding),
      onSpan: () => undefined,
      onAttempt: () => undefined,
    },
    0,
  )
  return one as One
}

function hear(one: Omit<One, 'canary'>, finding: Finding): void {
  if (finding.kind === 'outage-ended') {
    const { fromMs, toMs, failed, unknown, unmeasuredMs } = finding
    one.outages.push({
      ms: Math.round(toMs - fromMs - unmeasuredMs),
      failed,
      unknown,
      unmeasuredMs: Math.round(unmeasuredMs),
    })
  }
  if (finding.kind === 'bad-record') one.said.push(`read back from ${finding.where}: ${finding.because}`)
  if (finding.kind === 'lost') one.said.push(`${finding.loss.records} acknowledged records are not at the primary`)
  if (finding.kind === 'checked') one.checked = true
}

/** Until the time is over, and for a moment longer so that each group is looked through at its end. */
async function follow(common: Common, platform: Platform, all: readonly One[], untilMs: number): Promise<void> {
  const { interrupted, isTty } = common.terminal
  const client = clientFor(platform.agents)
  const look = async (): Promise<void> => {
    const view = platformView(platform, await client.statusOfEach())
    for (const one of all)
      heed(
        one,
        view.groups.find(({ group }) => group === one.group.name),
      )
  }
  await look()
  for (let nowMs = systemClock.nowMs(); nowMs < untilMs; nowMs = systemClock.nowMs()) {
    if (!(await pause(Math.min(LOOK_MS, untilMs - nowMs), interrupted))) break
    await look()
    if (isTty && common.output === 'table') {
      common.terminal.draw(`\u001b[2J\u001b[H${visibleText(lines(all).join('\n'), true)}\n\nCtrl-C ends this.\n`)
    }
  }
  for (const one of all) {
    one.checked = false
    one.canary.lookNow()
  }
  const lastMs = systemClock.nowMs() + END_MS
  // Where nobody is served there is nothing to look through.
  const done = ({ checked, canary }: One): boolean => checked || canary.view().writes.condition !== 'up'
  while (systemClock.nowMs() < lastMs && !all.every(done)) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
}

/** Who is primary, and what the counters say of the others. */
function heed(one: One, view: PlatformView['groups'][number] | undefined): void {
  if (view === undefined) return
  const observed = one.group.failover === 'observe'
  const writer = view.members.find((seen) => (observed ? seen.role === 'primary' : seen.writableForMs > 0))
  one.primary = writer?.member ?? null
  for (const { member, lagBytes } of view.members) one.lags.set(member, lagBytes)
}

function lines(all: readonly One[]): readonly string[] {
  const columns = [
    ...[{ title: 'GROUP' }, { title: 'WRITES' }, { title: 'READS' }, { title: 'ACKED', align: 'right' as const }],
    ...[
      { title: 'FAILED', align: 'right' as const },
      { title: 'UNKNOWN', align: 'right' as const },
    ],
    ...[{ title: 'MEDIAN', align: 'right' as const }, { title: 'OUTAGE' }, { title: 'LOST' }, { title: 'BY' }],
  ]
  const rows = all.map(({ group, canary, outages }) => {
    const view = canary.view()
    const longest = Math.max(0, ...outages.map(({ ms }) => ms))
    return [
      ...[
        group.name,
        sideText(view.writes),
        sideText(view.reads),
        `${view.acked}`,
        `${view.failed}`,
        `${view.unknown}`,
      ],
      view.latency === null ? '-' : `${view.latency.p50Ms.toFixed(1)} ms`,
      longest === 0 ? 'none' : `${outages.length}, longest ${durationText(longest)}`,
      view.checkedMsAgo === null ? 'not known' : `${view.lost}`,
      view.writes.via,
    ]
  })
  const copies = all.flatMap(({ group, canary, lags }) =>
    canary
      .view()
      .replicas.map(({ member, site, stale, because }) => [
        ...[group.name, member, site],
        stale === null ? because : staleText(stale),
        lagText(lags.get(member) ?? null),
      ]),
  )
  const replicas = [
    { title: 'GROUP' },
    { title: 'REPLICA' },
    { title: 'SITE' },
    { title: 'STALE' },
    { title: 'LAG, PREDICTED' },
  ]
  const said = all.flatMap(({ group, said: words }) => words.map((text) => `${group.name}: ${text}`))
  return [...tableLines(columns, rows), '', ...(copies.length === 0 ? [] : tableLines(replicas, copies)), ...said]
}

function sideText({ condition, because, lastTrouble }: CanaryView['writes']): string {
  if (condition === 'up') return 'served'
  if (condition === 'down') return `NOT served: ${lastTrouble || 'no answer'}`
  return because === '' ? 'no answer yet' : `not measured: ${because}`
}

function staleText(stale: NonNullable<CanaryView['replicas'][number]['stale']>): string {
  const most = stale.ageMs === null ? 'shows none' : `at most ${durationText(Math.round(stale.ageMs))}`
  return stale.lacks === 0
    ? `lacks nothing, ${most}`
    : `lacks ${stale.lacks}, ${durationText(Math.round(stale.lacksMs))} to ${most}`
}

const lagText = (bytes: number | null): string => (bytes === null ? 'not known' : bytesText(bytes))

function told(common: Common, all: readonly One[], tookMs: number): ExitCode {
  const { terminal } = common
  const groups = all.map(({ group, canary, outages, said, lags }) => {
    const view = canary.view()
    return {
      ...{ group: group.name, via: view.writes.via, because: view.acked === 0 ? view.writes.because : '' },
      ...{ acked: view.acked, failed: view.failed, unknown: view.unknown, latency: view.latency, said },
      outages: [...outages, ...openOutage(view)],
      lost: view.checkedMsAgo === null ? null : view.lost,
      replicas: view.replicas.map((one) => ({ ...one, lagBytesPredicted: lags.get(one.member) ?? null })),
    }
  })
  const ok = groups.every((one) => one.acked > 0 && one.outages.length === 0 && one.lost === 0 && one.said.length === 0)
  if (common.output === 'json') terminal.out(`${JSON.stringify({ ok, ms: Math.round(tookMs), groups })}\n`)
  else terminal.out(`${lines(all).join('\n')}\n`)
  return ok ? EXIT.ok : EXIT.failed
}

/** One that goes on is as long as it is by now. */
function openOutage({ writes: { outage } }: CanaryView): readonly Outage[] {
  if (outage === null) return []
  const { fromMs, failed, unknown, unmeasuredMs } = outage
  return [{ ms: Math.round(systemClock.nowMs() - fromMs - unmeasuredMs), failed, unknown, unmeasuredMs }]
}
