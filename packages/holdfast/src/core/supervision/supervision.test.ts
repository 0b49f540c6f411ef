/** One picture out of many views, and whom a planned move would be asked for: examples, and properties over any. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { EngineWord, MemberWord, Sighting, Voice } from './model.ts'
import { pictureOf, successors } from './picture.ts'
import { chooseTarget, movedFrom } from './target.ts'

function word(member: string, role: 'primary' | 'replica', more: Partial<MemberWord> = {}): MemberWord {
  const state = role === 'primary' ? 'running' : 'streaming'
  const base = { member, shard: '', role, state, fit: true, barred: null, lagBytes: role === 'primary' ? null : 0 }
  return { ...base, lagMs: null, timeline: 1, rank: 100, tieBreak: member, ...more }
}

function voice(name: string, members: readonly MemberWord[], more: Partial<Voice> = {}): Voice {
  const base = { voice: name, heard: true, because: '', epoch: 1, paused: false, moving: null }
  return { ...base, members, concerns: [], ...more }
}

function engine(member: string, role: 'primary' | 'replica', more: Partial<EngineWord> = {}): EngineWord {
  const base = { member, answering: true, because: '', role, position: 100, timeline: 1 }
  return { ...base, streaming: role === 'replica', ...more }
}

const MEMBERS = [word('a', 'primary'), word('b', 'replica'), word('c', 'replica')]
const ENGINES = [engine('a', 'primary'), engine('b', 'replica'), engine('c', 'replica')]

function sighting(more: Partial<Sighting> = {}): Sighting {
  const voices = ['s1', 's2', 's3'].map((name) => voice(name, MEMBERS))
  return { voices, engines: ENGINES, quorum: 2, durability: 'async', lagBytesMax: null, ...more }
}

function codes(of: Sighting): readonly string[] {
  return pictureOf(of).concerns.map(({ code }) => code)
}

describe('the picture', () => {
  it('is safe when all agree and somebody can take over', () => {
    const picture = pictureOf(sighting())
    assert.deepEqual(picture.shards, [{ shard: '', primary: 'a' }])
    assert.equal(picture.safe, true)
    assert.match(picture.because, /b or c could take over from a, losing at most 0 bytes/)
  })

  it('believes the newer configuration and tells that the views disagree', () => {
    const moved = [word('a', 'replica'), word('b', 'primary'), word('c', 'replica')]
    const views = [voice('s1', MEMBERS), voice('s2', MEMBERS), voice('s3', moved, { epoch: 2 })]
    const picture = pictureOf(sighting({ voices: views }))
    assert.equal(picture.shards[0]?.primary, 'b')
    assert.equal(picture.safe, false)
    assert.match(picture.because, /views-disagree: primaries 2, says s1 and s2: a; s3: b/)
  })

  it('tells a primary that is in recovery by its own word, and a replica that is not', () => {
    assert.deepEqual(codes(sighting({ engines: [engine('a', 'replica'), ...ENGINES.slice(1)] })), [
      'primary-is-replica',
    ])
    assert.deepEqual(codes(sighting({ engines: [ENGINES[0] as EngineWord, engine('b', 'primary')] })), [
      'second-primary',
    ])
  })

  it('counts lag by the larger of what the manager and the engines say', () => {
    const engines = [engine('a', 'primary', { position: 500 }), engine('b', 'replica', { position: 450 })]
    const voices = [voice('s1', [word('a', 'primary'), word('b', 'replica', { lagBytes: 10 })])]
    assert.equal(pictureOf(sighting({ engines, voices, quorum: 1 })).members[1]?.lagBytes, 50)
    const far = pictureOf(sighting({ engines, voices, quorum: 1, lagBytesMax: 49 }))
    assert.equal(far.safe, false)
    assert.deepEqual(codes(sighting({ engines, voices, quorum: 1, lagBytesMax: 49 })), ['lags'])
  })

  it('tells who was not heard, and that too few were', () => {
    const silent = voice('s2', [], { heard: false, because: 'refused' })
    const one = sighting({ voices: [voice('s1', MEMBERS), silent, voice('s3', MEMBERS)] })
    assert.deepEqual(codes(one), ['voice-silent'])
    assert.equal(pictureOf(one).safe, true)
    const two = sighting({ voices: [voice('s1', MEMBERS), silent, { ...silent, voice: 's3' }] })
    assert.equal(codes(two)[0], 'too-few-voices')
    assert.equal(pictureOf(two).safe, false)
    const none = pictureOf(sighting({ voices: [silent], engines: [] }))
    assert.equal(none.because, 'nobody of the manager answers')
  })

  it('is not safe while paused, without a fit replica, or with a shard without one', () => {
    assert.match(pictureOf(sighting({ voices: [voice('s1', MEMBERS, { paused: true })], quorum: 1 })).because, /paused/)
    const barred = [word('a', 'primary'), word('b', 'replica', { barred: 'priority 0' })]
    assert.match(pictureOf(sighting({ voices: [voice('s1', barred)], quorum: 1 })).because, /nobody fit/)
    const half = [...MEMBERS, word('x', 'primary', { shard: 'other' })]
    assert.match(pictureOf(sighting({ voices: [voice('s1', half)], quorum: 1 })).because, /x were lost/)
  })
})

describe('the target', () => {
  const wish = { to: null, namesTarget: true }

  it('is the one that is least behind, or the one that was named', () => {
    const engines = [ENGINES[0] as EngineWord, engine('b', 'replica', { position: 90 }), engine('c', 'replica')]
    const picture = pictureOf(sighting({ engines }))
    assert.deepEqual(chooseTarget(picture, wish), { ok: true, shard: '', from: 'a', to: 'c' })
    assert.deepEqual(chooseTarget(picture, { ...wish, to: 'b' }), { ok: true, shard: '', from: 'a', to: 'b' })
  })

  it("is the manager's own choice where it takes no name; another is refused with the one it would take", () => {
    const members = [word('a', 'primary'), word('b', 'replica'), word('c', 'replica', { rank: 10 })]
    const picture = pictureOf(sighting({ voices: [voice('s1', members)], quorum: 1 }))
    const found = chooseTarget(picture, { to: 'b', namesTarget: false })
    assert.equal(found.ok, false)
    if (found.ok) return
    assert.deepEqual(found.reasons[0]?.detail, { wanted: 'b', chooses: 'c', rank: 10 })
  })

  const refusals: [string, Partial<Sighting>, string | null, string][] = [
    ['the primary itself', {}, 'a', 'already-primary'],
    ['a stranger', {}, 'x', 'member-unknown'],
    ['one that does not stream', { engines: [engine('b', 'replica', { streaming: false })] }, 'b', 'target-unfit'],
    [
      'anybody during another change',
      { voices: [voice('s1', MEMBERS, { moving: 'yes' })], quorum: 1 },
      null,
      'change-under-way',
    ],
    ['anybody while views disagree', { engines: [engine('a', 'replica')] }, null, 'primary-is-replica'],
  ]
  for (const [what, more, to, code] of refusals) {
    it(`is never ${what}`, () => {
      const found = chooseTarget(pictureOf(sighting(more)), { ...wish, to })
      assert.equal(found.ok ? 'accepted' : found.reasons[0]?.code, code)
    })
  }

  it('must be named where there are several shards, and is looked for in its own', () => {
    const members = [...MEMBERS, word('x', 'primary', { shard: 'z' }), word('y', 'replica', { shard: 'z' })]
    const picture = pictureOf(sighting({ voices: [voice('s1', members)], quorum: 1 }))
    const unnamed = chooseTarget(picture, wish)
    assert.equal(unnamed.ok ? '' : unnamed.reasons[0]?.code, 'target-not-named')
    assert.deepEqual(chooseTarget(picture, { ...wish, to: 'y' }), { ok: true, shard: 'z', from: 'x', to: 'y' })
  })

  it('is there when another leads by the manager and by its own word, and nobody beside it', () => {
    const moved = [word('a', 'replica'), word('b', 'primary'), word('c', 'replica')]
    const both = sighting({
      voices: [voice('s1', moved)],
      engines: [engine('a', 'primary'), engine('b', 'primary')],
      quorum: 1,
    })
    assert.deepEqual(movedFrom(pictureOf(both), { shard: '', from: 'a' }), { primary: 'b', done: false })
    const done = { ...both, engines: [engine('a', 'replica'), engine('b', 'primary')] }
    assert.deepEqual(movedFrom(pictureOf(done), { shard: '', from: 'a' }), { primary: 'b', done: true })
  })
})

describe('over any views', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd')
  const lag = fc.option(fc.nat(1_000), { nil: null })
  const anyWord = fc
    .record({
      member: name,
      leads: fc.boolean(),
      fit: fc.boolean(),
      barred: fc.boolean(),
      lag,
      shard: fc.constantFrom('', 'z'),
    })
    .map((one) => {
      const more = { fit: one.fit, barred: one.barred ? 'no' : null, lagBytes: one.lag, shard: one.shard }
      return word(one.member, one.leads ? 'primary' : 'replica', more)
    })
  const unique = { selector: (one: { readonly member: string }) => one.member, maxLength: 4 }
  const anyVoice = fc
    .record({
      heard: fc.boolean(),
      epoch: fc.option(fc.nat(3), { nil: null }),
      paused: fc.boolean(),
      members: fc.uniqueArray(anyWord, unique),
    })
    .map(({ members, heard, ...more }) => voice('v', heard ? members : [], { heard, ...more }))
  const anyEngine = fc
    .record({ member: name, leads: fc.boolean(), answering: fc.boolean(), position: lag, streaming: fc.boolean() })
    .map(({ member, leads, ...more }) => engine(member, leads ? 'primary' : 'replica', more))
  const anySighting = fc
    .record({
      voices: fc.array(anyVoice, { minLength: 1, maxLength: 4 }),
      engines: fc.uniqueArray(anyEngine, unique),
      max: lag,
    })
    .map(({ voices, engines, max }): Sighting => {
      const named = voices.map((one, at) => ({ ...one, voice: `v${at}` }))
      return { voices: named, engines, quorum: 1, durability: 'async', lagBytesMax: max }
    })

  it('V1: what is called safe has one agreed primary a shard, nothing grave, and a successor', () => {
    fc.assert(
      fc.property(anySighting, (one) => {
        const picture = pictureOf(one)
        if (!picture.safe) return
        assert.ok(!picture.paused && picture.concerns.every(({ grave }) => !grave))
        for (const shard of picture.shards) {
          assert.ok(successors(picture.members, shard).length > 0)
          const leading = picture.members.filter((m) => m.shard === shard.shard && m.role === 'primary')
          assert.deepEqual(
            leading.map(({ member }) => member),
            [shard.primary],
          )
        }
      }),
    )
  })

  it('V2: a target is fit, not barred, within the bound, no primary, and named by a calm group', () => {
    const wish = fc.record({ to: fc.option(name, { nil: null }), namesTarget: fc.boolean() })
    fc.assert(
      fc.property(anySighting, wish, (one, asked) => {
        const picture = pictureOf(one)
        const target = chooseTarget(picture, asked)
        if (!target.ok) return assert.ok(target.reasons.length > 0)
        const member = picture.members.find(({ member }) => member === target.to)
        assert.ok(member?.fit === true && member.barred === null && target.to !== target.from)
        assert.ok(one.lagBytesMax === null || (member.lagBytes ?? 0) <= one.lagBytesMax)
        assert.ok(asked.to === null || asked.to === target.to)
        assert.ok(member.engine === null || (member.engine.answering && member.engine.role !== 'primary'))
      }),
    )
  })

  it('V3: the order in which voices and engines were heard changes nothing', () => {
    const gist = (one: Sighting) => {
      const { members, shards, epoch, safe } = pictureOf(one)
      return JSON.stringify([
        members.map(({ member, role, fit, lagBytes }) => [member, role, fit, lagBytes]),
        shards,
        epoch,
        safe,
      ])
    }
    // Two voices of one configuration that say different things of one member's shard are told, not ordered.
    const sameShard = anySighting.map((one) => ({
      ...one,
      voices: one.voices.map((v) => ({ ...v, members: v.members.map((m) => ({ ...m, shard: '', lagBytes: null })) })),
    }))
    fc.assert(
      fc.property(sameShard, (one) => {
        assert.equal(gist({ ...one, voices: one.voices.toReversed(), engines: one.engines.toReversed() }), gist(one))
      }),
    )
  })
})
