/** The words of the command line: read strictly, refused with what would be right. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { faketimePath } from '../../scripts/engines/wanted.ts'
import type { EngineName, ReplicationMode } from './contract.ts'
import { FAULTS } from './nemesis/faults.ts'
import type { FaultKind, Need } from './nemesis/kinds.ts'
import { type Abilities, type Profile, possibleFaults, usualFaults } from './nemesis/plan.ts'
import { SlowDisk } from './world/slow-disk.ts'

export type StoreKind = 'embedded' | 'etcd'
export type SubjectName = 'holdfast' | 'patroni'
/** `group`: one group at one site. `shop`: a service of two engines over two sites and a witness. */
export type Scenario = 'group' | 'shop'

export interface RunSettings {
  readonly seed: number
  readonly faults: readonly string[]
  /** Faults left out, by their number in the plan. */
  readonly without: readonly number[]
  /** How long faults go on; start, healing and checks come on top. */
  readonly minutes: number
  /** No more faults than this; null for as many as there is time for. */
  readonly count: number | null
  readonly scenario: Scenario
  /** Of a group. */
  readonly engine: EngineName
  readonly mode: ReplicationMode
  readonly profile: Profile
  readonly subject: SubjectName
  readonly store: StoreKind
  /** `auto` takes namespaces where it may. */
  readonly world: 'auto' | 'namespaces' | 'loopback'
  /** The product's program; null for the one of this repository. */
  readonly program: string | null
  readonly keep: boolean
  /** Every fault at the primary, where there is a choice, and long enough to have consequences. */
  readonly striking: boolean
  /** Every fault lasts so many times longer. */
  readonly stretch: number
}

export interface CommandLine {
  readonly settings: RunSettings
  readonly json: boolean
  readonly record: boolean
}

export const MINUTES_MAX = 240
const FULL_DISK = 'disk-full'
const SLOW_DISK = 'slow-disk'
/** Patroni's defaults are ten times those of the profile `normal`. */
const STRETCH_MAX = 50
const SCENARIOS = ['group', 'shop'] as const
const ENGINES = ['postgres', 'redis'] as const
const MODES = ['sync', 'quorum', 'async'] as const
const PROFILES = ['fast', 'normal'] as const
const SUBJECTS = ['holdfast', 'patroni'] as const
const STORES = ['embedded', 'etcd'] as const
const WORLDS = ['auto', 'namespaces', 'loopback'] as const
/** Three that every part has a share in: the right ends, a host dies, and a planned move. */
export const SMOKE = { faults: ['freeze-agent', 'kill-host', 'switchover'], count: 3, minutes: 1.5 } as const

export const HELP = `Starts a group, or a service over two sites, as real processes, writes to it, does faults to it,
heals it, checks what is there.

  npm run blackbox -- [options]

  --seed N          the plan of faults is made from it; a fresh one is drawn and told when it is not given
  --minutes M       how long faults go on (default 3, at most ${MINUTES_MAX})
  --count N         no more than N faults
  --faults A,B      only these (default all that are possible)
  --without 2,5     leaves out faults by their number; the others stay as they were
  --stretch N       every fault lasts N times longer, for a subject with slower timings
  --scenario NAME   ${SCENARIOS.join(' | ')} (default group); a shop is two groups over two sites and a witness
  --engine NAME     ${ENGINES.join(' | ')} (default postgres)
  --mode MODE       ${MODES.join(' | ')} (default sync)
  --profile NAME    ${PROFILES.join(' | ')} (default fast)
  --subject NAME    ${SUBJECTS.join(' | ')} (default holdfast)
  --store KIND      ${STORES.join(' | ')} (default embedded)
  --world KIND      ${WORLDS.join(' | ')} (default auto)
  --program PATH    another copy of bin/holdfast.js
  --smoke           ${SMOKE.count} faults, within three minutes
  --keep            keeps the folder of the run also when all is well
  --record          adds the run to bench/results
  --output json     one line with everything instead of the table
  --help            this

Faults: ${Object.keys(FAULTS).join(', ')}

Examples:
  npm run blackbox -- --seed 7 --minutes 10
  npm run blackbox -- --faults freeze-agent,cut-store --mode quorum --profile normal
  npm run blackbox -- --seed 7 --without 1,2,4 --keep
  npm run blackbox -- --engine redis --minutes 10
  npm run blackbox -- --scenario shop --faults kill-site,move --minutes 5
  npm run blackbox -- --faults busy-cpu --profile normal --minutes 30

Exit codes: 0 every checker is content, 1 one is not, 2 the run could not be made.`

/** What was run, in few words. */
export function subjectText({ scenario, subject, engine, mode, profile }: RunSettings): string {
  return [subject, scenario === 'shop' ? scenario : engine, mode, profile].join(' ')
}

/** Something is wrong with the words; the message says what and what would be right. */
export class UsageError extends Error {}

/** `help` when that was asked for. */
export function readCommandLine(words: readonly string[], freshSeed: () => number): CommandLine | 'help' {
  const values = parsed(words)
  if (values.help === true) return 'help'
  const smoke = values.smoke === true
  if (smoke && (values.faults ?? values.count ?? values.minutes) !== undefined) {
    throw new UsageError('--smoke has its own faults and time: leave out --faults, --count and --minutes')
  }
  const store = oneOf('store', values.store ?? 'embedded', STORES)
  const subject = oneOf('subject', values.subject ?? 'holdfast', SUBJECTS)
  const engine = oneOf('engine', values.engine ?? 'postgres', ENGINES)
  if (engine === 'redis' && subject !== 'holdfast') throw new UsageError('--engine redis goes with --subject holdfast')
  const scenario = oneOf('scenario', values.scenario ?? 'group', SCENARIOS)
  if (scenario === 'shop' && (subject !== 'holdfast' || values.engine !== undefined)) {
    throw new UsageError('--scenario shop has both engines and goes with --subject holdfast: leave out --engine')
  }
  const seed = values.seed === undefined ? freshSeed() : whole('seed', values.seed, Number.MAX_SAFE_INTEGER)
  const settings: RunSettings = {
    seed,
    faults: smoke ? SMOKE.faults : faultsOf(values.faults, abilitiesOf(store, subject, scenario), seed),
    without: list(values.without).map((text) => whole('without', text, 10_000)),
    minutes: smoke ? SMOKE.minutes : minutesOf(values.minutes ?? '3'),
    count: smoke ? SMOKE.count : values.count === undefined ? null : whole('count', values.count, 10_000),
    scenario,
    engine,
    mode: oneOf('mode', values.mode ?? 'sync', MODES),
    profile: oneOf('profile', values.profile ?? 'fast', PROFILES),
    subject,
    store,
    world: oneOf('world', values.world ?? 'auto', WORLDS),
    program: values.program ?? null,
    keep: values.keep === true,
    striking: smoke,
    stretch: whole('stretch', values.stretch ?? '1', STRETCH_MAX),
  }
  const output = oneOf('output', values.output ?? 'text', ['text', 'json'] as const)
  return { settings, json: output === 'json', record: values.record === true }
}

function parsed(words: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      allowPositionals: false,
      options: {
        ...{ seed: text, minutes: text, count: text, faults: text, without: text, mode: text, profile: text },
        ...{
          scenario: text,
          engine: text,
          subject: text,
          store: text,
          world: text,
          program: text,
          output: text,
          stretch: text,
        },
        ...{ smoke: flag, keep: flag, record: flag, help: flag },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function oneOf<T extends string>(name: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value)
  if (found === undefined) throw new UsageError(`--${name} is ${known.join(' or ')}, not "${value}"`)
  return found
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > max) {
    throw new UsageError(`--${name} is a whole number up to ${max}, not "${text}"`)
  }
  return value
}

function minutesOf(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= MINUTES_MAX)) {
    throw new UsageError(`--minutes is a number above 0 and up to ${MINUTES_MAX}, not "${text}"`)
  }
  return value
}

function list(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(',').map((part) => part.trim())
}

/** Hosts of members. */
export const MEMBER_HOSTS: Readonly<Record<Scenario, readonly string[]>> = {
  group: ['h1', 'h2', 'h3'],
  shop: ['h1', 'h2'],
}

export const STORE_HOSTS: Readonly<Record<StoreKind, readonly string[]>> = {
  embedded: ['s1'],
  etcd: ['s1', 's2', 's3'],
}

/** Disks need mounts of our own, clocks need libfaketime, sites a service; only the product is prepared for any. */
export function abilitiesOf(store: StoreKind, subject: SubjectName, scenario: Scenario = 'group'): Abilities {
  const needs = new Set<Need>()
  if (process.platform === 'linux' && process.getuid?.() === 0) needs.add('disks')
  if (SlowDisk.missing(tmpdir()) === null) needs.add('throttle')
  if (faketimePath() !== null) needs.add('clocks')
  if (scenario === 'shop') needs.add('sites')
  return { storeHosts: STORE_HOSTS[store].length, needs: subject === 'holdfast' ? needs : new Set() }
}

function faultsOf(text: string | undefined, abilities: Abilities, seed: number): readonly string[] {
  const possible = possibleFaults(abilities)
  if (text === undefined) return withoutOneDisk(usualFaults(abilities), seed)
  const names = list(text)
  const unknown = names.find((name) => FAULTS[name] === undefined)
  if (unknown !== undefined) throw new UsageError(`no fault is called "${unknown}"; there are ${possible.join(', ')}`)
  const beyond = names.find((name) => !possible.includes(name))
  if (beyond !== undefined) throw new UsageError(`${beyond} cannot be done here: ${lackOf(FAULTS[beyond])}`)
  if (names.includes(FULL_DISK) && names.includes(SLOW_DISK)) {
    throw new UsageError(`${FULL_DISK} and ${SLOW_DISK} need different disks: name one of them`)
  }
  return names
}

/** A disk that can be filled is in memory, and so cannot be slow: one run has the one, another the other. */
function withoutOneDisk(faults: readonly string[], seed: number): readonly string[] {
  if (!faults.includes(FULL_DISK) || !faults.includes(SLOW_DISK)) return faults
  const left = seed % 2 === 0 ? FULL_DISK : SLOW_DISK
  return faults.filter((name) => name !== left)
}

function lackOf(kind: FaultKind | undefined): string {
  if ((kind?.storeHosts ?? 1) > 1) return 'it needs a store of three, --store etcd'
  if (kind?.needs === 'sites') return 'it needs several sites, --scenario shop'
  return kind?.needs === 'disks'
    ? 'it needs root on Linux and --subject holdfast'
    : 'it needs libfaketime and --subject holdfast'
}
