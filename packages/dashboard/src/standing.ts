/**
 * The answers a card gives: is it safe now, what would be lost this second, when was it last proved. The server judges;
 * here its words are put into the order in which they are read at night. Pure.
 */
import type { ApiGroup, ApiIncident, ApiLoss, ApiService, ApiSupervisedGroup } from '@holdfast/client'
import type { Level, Standing } from './level.ts'
import { levelOf as supervisedLevel } from './supervised.ts'
import { agoText, bytesText, durationText } from './words.ts'

const WORDS: Readonly<Record<Level, string>> = {
  safe: 'Safe',
  exposed: 'Not safe',
  paused: 'Paused',
  watched: 'Only observed',
  down: 'No writer',
  unknown: 'Unknown',
}

export function standingOf(group: ApiGroup): Standing {
  const level = levelOf(group)
  return { level, word: WORDS[level] }
}

function levelOf(group: ApiGroup): Level {
  if (group.members.every(({ role }) => role === 'unknown')) return 'unknown'
  if (group.failover === 'observe') return 'watched'
  // A writer that does not answer us may write all the same; the server says so in its verdict.
  const holderSilent = group.members.some(({ member, role }) => member === group.holder && role === 'unknown')
  if (group.writer === null) return holderSilent ? 'unknown' : 'down'
  if (group.paused !== null) return 'paused'
  return group.verdict.safe ? 'safe' : 'exposed'
}

/** The worst of them speaks for a service. */
const WORST_FIRST: readonly Level[] = ['down', 'unknown', 'exposed', 'paused', 'watched', 'safe']

export function serviceStanding(service: ApiService, groups: readonly ApiGroup[]): Standing {
  const levels = groups.filter(({ group }) => service.groups.includes(group)).map(levelOf)
  const level = WORST_FIRST.find((one) => levels.includes(one)) ?? 'unknown'
  return { level, word: WORDS[level] }
}

/** `at north, its home` */
export function placeText({ at, home, places }: ApiService): string {
  if (at !== null) return at === home ? `at ${at}, its home` : `at ${at}; home is ${home}`
  const each = places.map(({ group, site }) => `${group} ${site === null ? 'has no primary' : `at ${site}`}`)
  return `not at one site: ${each.join(', ')}`
}

export function objectiveText({ rtoMs, rpoMs }: ApiService): string | null {
  const parts = [
    rtoMs === null ? null : `back within ${durationText(rtoMs)}`,
    rpoMs === null ? null : rpoMs === 0 ? 'losing nothing' : `losing at most ${durationText(rpoMs)}`,
  ].filter((text) => text !== null)
  return parts.length === 0 ? null : parts.join(', ')
}

export function lossText(loss: ApiLoss): string {
  if (loss.kind === 'nothing') return 'Nothing'
  if (loss.kind === 'everything') return 'Everything'
  if (loss.kind === 'unknown' || loss.bytes === null) return 'Not known'
  return loss.bytes === 0 ? 'Nothing, by the counters' : `${bytesText(loss.bytes)} of log`
}

/** A change of primary that was seen to end well proves that it works; of several groups the oldest proof counts. */
export function proofText(incidents: readonly ApiIncident[], groups: readonly string[], wallMs: number): string | null {
  const proofs = groups.map((group) => lastProof(incidents, group))
  const proof = proofs.reduce((oldest, one) => {
    return oldest === null || one === null ? null : momentOf(one) < momentOf(oldest) ? one : oldest
  }, proofs[0] ?? null)
  if (proof === null) return null
  const gap = proof.writeGapMs === null ? '' : `, writes back after ${durationText(proof.writeGapMs)}`
  return `${agoText(wallMs - momentOf(proof))} by a ${proof.kind} to ${proof.to}${gap}`
}

const momentOf = (proof: ApiIncident): number => proof.closedMs ?? proof.openedMs

function lastProof(incidents: readonly ApiIncident[], name: string): ApiIncident | null {
  const proofs = incidents.filter(
    ({ group, state, kind, to }) => group === name && state === 'closed' && kind !== 'outage' && to !== null,
  )
  return proofs.reduce<ApiIncident | null>(
    (best, one) => (best === null || momentOf(one) > momentOf(best) ? one : best),
    null,
  )
}

export interface Headline {
  readonly level: Level
  readonly text: string
}

/** One sentence for the whole platform. */
export function headlineOf(led: readonly ApiGroup[], supervised: readonly ApiSupervisedGroup[] = []): Headline {
  const groups = [...led, ...supervised]
  if (groups.length === 0) return { level: 'unknown', text: 'No group is visible to you.' }
  const levels = [...led.map(levelOf), ...supervised.map(supervisedLevel)]
  const worst = WORST_FIRST.find((one) => levels.includes(one)) ?? 'unknown'
  if (worst === 'safe') {
    const text = groups.length === 1 ? 'The group is safe.' : `All ${groups.length} groups are safe.`
    return { level: worst, text }
  }
  const named = groups.filter((_, index) => levels[index] === worst).map(({ group }) => group)
  const who = named.length <= 3 ? named.join(', ') : `${named.slice(0, 3).join(', ')} and ${named.length - 3} more`
  return { level: worst, text: `${who} ${named.length === 1 ? 'has' : 'have'} ${SAYS[worst]}` }
}

const SAYS: Readonly<Record<Level, string>> = {
  down: 'no writer: clients cannot write.',
  unknown: 'not been heard of: nobody knows whether clients can write.',
  exposed: 'a writer, and would not survive its loss.',
  paused: 'automation paused: nobody takes over by itself.',
  watched: 'an observer only: Holdfast would not act.',
  safe: 'all it needs.',
}

export interface Availability {
  readonly share: number
  readonly gaps: number
  readonly downMs: number
  readonly windowMs: number
}

/** Of writes, by the gaps that incidents measured; an open incident without a writer counts until now. */
export function availabilityOf(
  group: ApiGroup,
  incidents: readonly ApiIncident[],
  wallMs: number,
  windowMs: number,
): Availability {
  const from = wallMs - windowMs
  let downMs = 0
  let gaps = 0
  for (const incident of incidents) {
    if (incident.group !== group.group) continue
    const open = incident.state === 'open' && group.writer === null
    const endMs = incident.writeGapMs !== null ? incident.openedMs + incident.writeGapMs : open ? wallMs : null
    if (endMs === null || endMs <= from) continue
    downMs += endMs - Math.max(from, incident.openedMs)
    gaps += 1
  }
  return { share: Math.max(0, 1 - downMs / windowMs), gaps, downMs, windowMs }
}
