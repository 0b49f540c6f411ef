/**
 * From many views to one. The manager decides who leads; this only says what its voices and the engines say, where
 * they disagree, and whether one more loss would be survived. Invariants: SPEC.md.
 */
import type { Concern, EngineWord, MemberWord, Picture, PictureMember, ShardView, Sighting, Voice } from './model.ts'

export function pictureOf(sighting: Sighting): Picture {
  const { voices } = sighting
  const heard = voices.filter((voice) => voice.heard)
  const names = byNumber(sorted(heard.flatMap((voice) => voice.members.map(({ shard }) => shard))))
  const shards = names.map((shard): ShardView => ({ shard, primary: namedPrimary(heard, shard) }))
  const members = membersOf(heard, sighting, shards)
  const concerns = [
    ...voiceConcerns(sighting, heard.length),
    ...shards.flatMap(({ shard }) => disagreement(heard, shard)),
    ...shards.flatMap((shard) => shardConcerns(shard, members, sighting)),
    ...once(heard.flatMap((voice) => voice.concerns)),
  ]
  const base = {
    members,
    shards,
    epoch: newest(heard),
    paused: heard.some((voice) => voice.paused),
    moving: heard.find((voice) => voice.moving !== null)?.moving ?? null,
    heard: heard.length,
    asked: voices.length,
    concerns,
  }
  return { ...base, ...verdict(base, sighting) }
}

function newest(voices: readonly Voice[]): number | null {
  const epochs = voices.flatMap(({ epoch }) => epoch ?? [])
  return epochs.length === 0 ? null : Math.max(...epochs)
}

/** Votes for the primary of a shard, by member. */
function votesOf(voices: readonly Voice[], shard: string): ReadonlyMap<string, readonly Voice[]> {
  const votes = new Map<string, Voice[]>()
  for (const voice of voices) {
    for (const word of voice.members) {
      if (word.shard === shard && word.role === 'primary') {
        votes.set(word.member, [...(votes.get(word.member) ?? []), voice])
      }
    }
  }
  return votes
}

/** A voice with a newer configuration knows better; among equals the many do. Names settle a tie, so it is stable. */
function namedPrimary(voices: readonly Voice[], shard: string): string | null {
  const rank = (all: readonly Voice[]): readonly [number, number] => [newest(all) ?? -1, all.length]
  const found = [...votesOf(voices, shard)].sort(([a, left], [b, right]) => {
    const [epochA, countA] = rank(left)
    const [epochB, countB] = rank(right)
    return epochB - epochA || countB - countA || (a < b ? -1 : 1)
  })
  return found[0]?.[0] ?? null
}

function disagreement(voices: readonly Voice[], shard: string): readonly Concern[] {
  const votes = [...votesOf(voices, shard)]
  if (votes.length < 2) return []
  const says = votes.map(([member, by]) => `${by.map(({ voice }) => voice).join(' and ')}: ${member}`).sort()
  return [grave('views-disagree', { ...shardDetail(shard), primaries: votes.length, says: says.join('; ') })]
}

function membersOf(
  voices: readonly Voice[],
  { engines, lagBytesMax }: Sighting,
  shards: readonly ShardView[],
): readonly PictureMember[] {
  const newestFirst = [...voices].sort((a, b) => (b.epoch ?? -1) - (a.epoch ?? -1))
  const names = sorted(voices.flatMap((voice) => voice.members.map(({ member }) => member)))
  return names.map((member) => {
    const words = newestFirst.flatMap((voice) => voice.members.filter((word) => word.member === member))
    const engine = engines.find((word) => word.member === member) ?? null
    return combined(words, { engine, engines, shards, lagBytesMax })
  })
}

interface Around {
  readonly engine: EngineWord | null
  readonly engines: readonly EngineWord[]
  readonly shards: readonly ShardView[]
  readonly lagBytesMax: number | null
}

/** The newest voice's word; one voice that calls it unfit is enough to doubt it. Lag is the larger of the two told. */
function combined(words: readonly MemberWord[], around: Around): PictureMember {
  const [first] = words
  if (first === undefined) throw new Error('a member without a word')
  const { engine, engines, shards, lagBytesMax } = around
  const primary = shards.find(({ shard }) => shard === first.shard)?.primary ?? null
  const leads = primary === first.member
  const end = engines.find((word) => word.member === primary)?.position ?? null
  const behind = leads || engine === null || engine.position === null || end === null ? null : end - engine.position
  const told = leads ? null : first.lagBytes
  const lagBytes = behind === null ? told : Math.max(0, behind, told ?? 0)
  const tooFar = lagBytes !== null && lagBytesMax !== null && lagBytes > lagBytesMax
  const answers = engine === null || engine.answering
  const streams = leads || engine === null || !engine.answering || engine.streaming
  return {
    ...first,
    role: leads ? 'primary' : first.role === 'primary' ? 'replica' : first.role,
    fit: words.every((word) => word.fit) && answers && streams && !tooFar,
    barred: words.find((word) => word.barred !== null)?.barred ?? null,
    lagBytes,
    engine,
  }
}

function voiceConcerns({ voices, quorum }: Sighting, heard: number): readonly Concern[] {
  const silent = voices.filter((voice) => !voice.heard)
  if (silent.length === 0) return []
  const detail = { heard, asked: voices.length, needed: quorum }
  const each = silent.map(
    ({ voice, because }): Concern => ({ code: 'voice-silent', grave: false, detail: { voice, because } }),
  )
  return heard < quorum ? [grave('too-few-voices', detail), ...each] : each
}

function shardConcerns(
  { shard, primary }: ShardView,
  all: readonly PictureMember[],
  sighting: Sighting,
): readonly Concern[] {
  const at = shardDetail(shard)
  const members = all.filter((member) => member.shard === shard)
  const others = members.filter(({ member, engine }) => member !== primary && engine?.role === 'primary')
  const concerns = others.map(({ member }) => grave('second-primary', { ...at, member, named: primary }))
  const leader = members.find(({ member }) => member === primary)
  if (leader === undefined) return [...concerns, grave('no-primary', { ...at, members: members.length })]
  const { engine } = leader
  if (engine !== null && !engine.answering) {
    concerns.push(grave('primary-silent', { ...at, member: leader.member, because: engine.because }))
  } else if (engine?.role === 'replica') concerns.push(grave('primary-is-replica', { ...at, member: leader.member }))
  else if (!leader.fit) concerns.push(grave('primary-unfit', { ...at, member: leader.member, state: leader.state }))
  return [...concerns, ...laggards(members, sighting)]
}

function laggards(members: readonly PictureMember[], { lagBytesMax }: Sighting): readonly Concern[] {
  if (lagBytesMax === null) return []
  return members
    .filter(({ lagBytes }) => lagBytes !== null && lagBytes > lagBytesMax)
    .map(({ member, lagBytes }) => ({ code: 'lags', grave: false, detail: { member, lagBytes, lagBytesMax } }))
}

/** Who could take over in the manager's eyes and in ours. */
export function successors(members: readonly PictureMember[], shard: ShardView): readonly PictureMember[] {
  return members.filter(
    (member) => member.shard === shard.shard && member.member !== shard.primary && member.fit && member.barred === null,
  )
}

function verdict(picture: Omit<Picture, 'safe' | 'because'>, sighting: Sighting): Pick<Picture, 'safe' | 'because'> {
  const no = (because: string) => ({ safe: false, because })
  if (picture.heard === 0) return no('nobody of the manager answers')
  const worst = picture.concerns.find((concern) => concern.grave)
  if (worst !== undefined) return no(concernText(worst))
  if (picture.shards.length === 0) return no('the manager names no member')
  if (picture.paused) return no('the manager is paused: nobody takes over by itself meanwhile')
  for (const shard of picture.shards) {
    if (successors(picture.members, shard).length > 0) continue
    return no(`if ${shard.primary} were lost now, the manager would find nobody fit to take over`)
  }
  return { safe: true, because: safeWords(picture, sighting) }
}

function safeWords({ shards, members }: Omit<Picture, 'safe' | 'because'>, { durability }: Sighting): string {
  const heirs = shards.map((shard) => successors(members, shard))
  const lags = heirs.flatMap((some) => some.map(({ lagBytes }) => lagBytes))
  const loss =
    durability === 'sync'
      ? 'without loss'
      : lags.every((lag) => lag !== null)
        ? `losing at most ${Math.max(...lags)} bytes seen so far`
        : 'with a loss nobody can tell: the lag is not known'
  if (shards.length > 1) return `each of ${shards.length} shards has a replica that could take over, ${loss}`
  const names = (heirs[0] ?? []).map(({ member }) => member).join(' or ')
  return `${names} could take over from ${shards[0]?.primary}, ${loss}`
}

/** `lags: member pg-2, lagBytes 12, lagBytesMax 4`. */
export function concernText({ code, detail }: Concern): string {
  const numbers = Object.entries(detail).map(([name, value]) => `${name} ${value ?? 'unknown'}`)
  return numbers.length === 0 ? code : `${code}: ${numbers.join(', ')}`
}

function grave(code: string, detail: Concern['detail']): Concern {
  return { code, grave: true, detail }
}

/** A group that is not divided need not hear of shards. */
function shardDetail(shard: string): Concern['detail'] {
  return shard === '' ? {} : { shard }
}

function once(concerns: readonly Concern[]): readonly Concern[] {
  const seen = new Map(concerns.map((concern) => [JSON.stringify(concern), concern]))
  return [...seen.values()]
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort()
}

/** Slots are numbers. */
function byNumber(names: readonly string[]): readonly string[] {
  const first = (name: string): number => Number(/^\d+/.exec(name)?.[0] ?? Number.MAX_VALUE)
  return [...names].sort((a, b) => first(a) - first(b))
}
