/**
 * A planned move by Sentinel. `SENTINEL FAILOVER` promotes a replica at once and lets the old primary acknowledge
 * writes for seconds (R30); so writers are held first (`hold.ts`) until every replica that could be chosen has all.
 * Every way out before Sentinel was asked, or when it said no, lets the writers go on. Once it may have accepted, an
 * answer that was lost included, they are let go on the old primary only when it is certain that nobody leads instead.
 */

import { askOf, errorOf, nameOf, readFrom } from '../redis-door.ts'
import { askRedis } from '../redis-word.ts'
import type { MoveRequest } from '../supervisor.ts'
import { type Asked, refusedBy, type SupervisorOptions } from '../supervisor.ts'
import { Hold } from './hold.ts'
import { farOf, lookAtSentinels, type SentinelLook, sentinelAt } from './look.ts'

const LOOK_MS = 2_000
const ASK_MS = 2_000
const AGAIN_MS = 30
/** A replica that has not caught up by then never streams as fast as writers wrote. */
const CATCH_UP_MS = 3_000
/** Sentinel gives up by its own `failover-timeout`; a promotion that is not seen by then is its failure. */
const PROMOTION_MS = 15_000
/** It makes the old primary a replica some ten seconds after the move: two of its INFO periods. */
const DEMOTION_MS = 40_000
/** Held, Sentinel hears nothing from the primary; it must not take that for a death before it has moved. */
const DOWN_AFTER_MIN_MS = 3_000
/** A server tells its replicas that it lives, 14 bytes every ten seconds, also while nobody writes. */
const IDLE_BYTES = 64

export async function moveBySentinel(o: SupervisorOptions, request: MoveRequest): Promise<Asked> {
  const look = await lookAtSentinels(o, LOOK_MS)
  const speaker = speakerOf(look)
  if (speaker === null) return refusedBy('no Sentinel answers', 'start the Sentinels, or check `endpoints`')
  if (request.allowLoss) {
    const said = await askSentinel(o, look, speaker)
    return said.ok ? { ok: true, said: said.said, lostBytes: null, heldMs: null } : said
  }
  const { downAfterMs } = look
  if (downAfterMs < DOWN_AFTER_MIN_MS) {
    const dead = 'Sentinel would take a primary whose writers are held for dead'
    const because = `down-after-milliseconds is ${downAfterMs}: ${dead}`
    return refusedBy(because, `SENTINEL SET ${look.group} down-after-milliseconds ${DOWN_AFTER_MIN_MS} or more`)
  }
  const mute = unheard(look, request.from)
  if (mute.length > 0) {
    const because = `Sentinel may choose ${mute.join(', ')}, and nobody here can see what it holds`
    return refusedBy(because, 'let this host and the observer in there, or accept the loss with --allow-data-loss')
  }
  const before = look.servers.get(request.from)?.minReplicas ?? null
  if (before === null) return refusedBy(`${request.from} does not tell min-replicas-to-write`, RIGHTS)
  const hold = new Hold(request.from, farOf(o, request.from), before)
  const allowed = await hold.allowed()
  if (!allowed.ok) return refusedBy(`writers cannot be held on ${request.from}: ${allowed.because}`, RIGHTS)
  return held({ o, request, look, hold, speaker })
}

const RIGHTS =
  'give the observer CLIENT PAUSE, CLIENT KILL and CONFIG on the servers, or accept the loss with --allow-data-loss'

interface Scene {
  readonly o: SupervisorOptions
  readonly request: MoveRequest
  readonly look: SentinelLook
  readonly hold: Hold
  readonly speaker: string
}

async function held(scene: Scene): Promise<Asked> {
  const { o, request, look, hold, speaker } = scene
  const heldFromMs = o.clock.nowMs()
  try {
    const paused = await hold.begin()
    if (!paused.ok) {
      await hold.letGo()
      return refusedBy(`writers cannot be held: ${paused.because}`, RIGHTS)
    }
    request.say(`writers of ${request.from} wait`)
    const caught = await caughtUp(scene)
    if (!caught.ok) {
      await hold.letGo()
      return refusedBy(`${caught.because}; writers go on`, 'ask again when the replicas keep up')
    }
    request.say(`every replica has all ${caught.end} bytes of its log`)
    const asked = await askSentinel(o, look, speaker)
    if (!asked.ok && asked.kind === 'refused') {
      // Another operator's move holds the same writers; then the pause ends by itself.
      if (!/INPROG/.test(asked.because)) await hold.letGo()
      return asked
    }
    // An answer that was lost is one that may have been a yes.
    request.say(asked.ok ? `Sentinel ${speaker} moves` : `${asked.because}; it may move`)
    const promoted = await promotion(scene)
    if (promoted === null) return await notPromoted(scene)
    request.say(`${promoted} leads`)
    return await released(scene, { ...caught, heldFromMs, promoted, said: asked.ok ? asked.said : asked.because })
  } finally {
    await hold.lapse()
  }
}

type CaughtUp =
  | { readonly ok: true; readonly end: number; readonly whole: readonly string[] }
  | { readonly ok: false; readonly because: string }

/** Replicas that Sentinels hold as fit and that do not answer us: no word of theirs would tell what a move loses. */
function unheard({ sighting, servers }: SentinelLook, from: string): readonly string[] {
  const words = sighting.voices.flatMap(({ members }) => members)
  const fit = words.filter(({ member, role, fit, barred }) => member !== from && role === 'replica' && fit && !barred)
  const names = [...new Set(fit.map(({ member }) => member))].filter((name) => !servers.get(name)?.word.answering)
  return names.map((name) => `${name} (${servers.get(name)?.word.because ?? 'not asked'})`)
}

/** All that Sentinel could choose must have all: it takes no name. */
async function caughtUp({ o, request, look, hold }: Scene): Promise<CaughtUp> {
  const untilMs = Math.min(o.clock.nowMs() + CATCH_UP_MS, request.deadlineMs)
  const others = [...look.servers].filter(([name, { word }]) => name !== request.from && word.answering)
  for (;;) {
    const [own, ...rest] = await Promise.all([
      hold.look(),
      ...others.map(([name]) => askRedis(name, farOf(o, name), ASK_MS)),
    ])
    const end = own.word.position
    if (own.word.role !== 'primary' || end === null) return { ok: false, because: `${request.from} leads no longer` }
    const behind = rest.filter(({ word }) => (word.position ?? -1) < end)
    if (behind.length === 0) return { ok: true, end, whole: others.map(([name]) => name) }
    if (o.clock.nowMs() > untilMs) {
      const names = behind.map(({ word }) => `${word.member} at ${word.position ?? 'an unknown position'}`).join(', ')
      return { ok: false, because: `not caught up with ${end} within ${CATCH_UP_MS} ms: ${names}` }
    }
    await pause(AGAIN_MS)
  }
}

type Said = { readonly ok: true; readonly said: string } | Extract<Asked, { readonly ok: false }>

async function askSentinel(o: SupervisorOptions, look: SentinelLook, speaker: string): Promise<Said> {
  const talk = await askOf(sentinelAt(o, speaker), ['SENTINEL', 'FAILOVER', look.group], ASK_MS)
  if (!talk.ok) {
    if (talk.sent) return { ok: false, kind: 'uncertain', because: `${speaker}: ${talk.because}` }
    return { ok: false, kind: 'refused', because: `${speaker}: ${talk.because}`, next: 'check the Sentinels' }
  }
  const refusal = errorOf(talk.replies[0])
  if (refusal === null) return { ok: true, said: String(talk.replies[0]).slice(0, 200) }
  const next = /INPROG/.test(refusal) ? 'wait for the failover that is under way' : 'holdfast explain shows who is fit'
  return { ok: false, kind: 'refused', because: `Sentinel says: ${refusal}`, next }
}

/** Who leads instead, by its own word or by Sentinel's, or null. */
async function promotion(scene: Scene): Promise<string | null> {
  const { o, request, look } = scene
  const untilMs = Math.max(request.deadlineMs, o.clock.nowMs() + PROMOTION_MS)
  const others = [...look.servers.keys()].filter((name) => name !== request.from)
  while (o.clock.nowMs() < untilMs) {
    const asked = others.map((name) => askRedis(name, farOf(o, name), ASK_MS))
    const [named, ...words] = await Promise.all([namedBy(scene), ...asked])
    const leader = words.find(({ word }) => word.role === 'primary')
    if (leader !== undefined) return leader.word.member
    // It may be one that answers Sentinels and not us.
    if (named !== null && named !== request.from) return named
    await pause(AGAIN_MS)
  }
  return null
}

/**
 * Nobody was seen to lead instead. Writers go on only when it is certain that Sentinel gave up; else the old primary is
 * closed as after a move, because a pause that ran out would let it acknowledge what the next primary does not have.
 */
async function notPromoted(scene: Scene): Promise<Asked> {
  const { o, request, look, hold } = scene
  if (gaveUp(await lookAtSentinels(o, LOOK_MS), scene)) {
    await hold.letGo()
    return refusedBy('Sentinel began and gave up; writers go on', 'see the log of that Sentinel for -failover-abort')
  }
  const nobody = 'Sentinel may have accepted, and nobody leads instead yet'
  // One that comes back must not open it.
  const refused = await hold.refuse(look.servers.size, look.servers.size)
  if (!refused.ok) {
    const because = `${nobody}; ${request.from} could not be closed (${refused.because}): what it takes may be lost`
    return { ok: false, kind: 'uncertain', because }
  }
  const setting = `min-replicas-to-write ${look.servers.get(request.from)?.minReplicas ?? 0}`
  const then = `if the Sentinels go on naming it, CONFIG SET ${setting} there lets writers go on`
  return { ok: false, kind: 'uncertain', because: `${nobody}; ${request.from} refuses writes meanwhile: ${then}` }
}

/** Only the Sentinel that was asked knows of its own move; the others may have begun one, or know who leads by now. */
function gaveUp({ sighting }: SentinelLook, { request, speaker }: Scene): boolean {
  const heard = sighting.voices.filter((voice) => voice.heard)
  const still = heard.every(({ moving, members }) => {
    return moving === null && members.find(({ role }) => role === 'primary')?.member === request.from
  })
  return still && heard.some(({ voice }) => voice === speaker)
}

interface Promoted {
  readonly end: number
  /** Members that were seen to have all of the log. */
  readonly whole: readonly string[]
  readonly heldFromMs: number
  readonly promoted: string
  readonly said: string
}

async function released(scene: Scene, { end, whole, heldFromMs, promoted, said }: Promoted): Promise<Asked> {
  const { o, request, hold } = scene
  const refused = await hold.refuse(whole.length)
  if (!refused.ok) {
    const open = `the move is done, but the old primary could not be closed (${refused.because})`
    const because = `${open}: until Sentinel makes it a replica, writes it takes are lost`
    return { ok: false, kind: 'uncertain', because }
  }
  request.say(`${request.from} refuses writes until Sentinel makes it a replica`)
  const untilMs = Math.max(request.deadlineMs, o.clock.nowMs() + DEMOTION_MS)
  // Applications learn from a Sentinel where to write; before that the move is no help to them.
  while (o.clock.nowMs() < untilMs && (await namedBy(scene)) !== promoted) await pause(AGAIN_MS)
  const heldMs = o.clock.nowMs() - heldFromMs
  request.say(`Sentinel ${scene.speaker} names ${promoted}`)
  while (o.clock.nowMs() < untilMs) {
    const { word } = await hold.look()
    if (word.role === 'replica') {
      const restored = await hold.restore()
      if (!restored.ok) request.say(`min-replicas-to-write of ${request.from} is not put back: ${restored.because}`)
      // One that came back meanwhile was not waited for: what it lacks, nobody counted.
      const lost = refused.position === null || !whole.includes(promoted) ? null : refused.position - end
      return { ok: true, said, lostBytes: lost !== null && lost <= IDLE_BYTES ? 0 : lost, heldMs }
    }
    await pause(AGAIN_MS)
  }
  const late = `${request.from} is no replica yet; it refuses writes meanwhile (min-replicas-to-write)`
  return { ok: false, kind: 'uncertain', because: `the move is done, but ${late}` }
}

async function namedBy({ o, look, speaker }: Scene): Promise<string | null> {
  const question = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', look.group]
  const talk = await readFrom(sentinelAt(o, speaker), [question], ASK_MS)
  const reply = talk.ok ? talk.replies[0] : null
  return Array.isArray(reply) ? nameOf(String(reply[0]), String(reply[1])) : null
}

/** The voice with the newest configuration, so that what is asked rests on it. */
function speakerOf(look: SentinelLook): string | null {
  const heard = look.sighting.voices.filter((voice) => voice.heard)
  return [...heard].sort((a, b) => (b.epoch ?? -1) - (a.epoch ?? -1))[0]?.voice ?? null
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
