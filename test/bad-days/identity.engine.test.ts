/**
 * People and processes at cross purposes: two requests at once, one agent started twice, a wrong token for the
 * agents.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Running, TestPlatform } from '../platform.ts'

let platform: TestPlatform
let agents: readonly Running[]
before(async () => {
  platform = await TestPlatform.describe({ members: 3 })
  agents = await platform.start()
})
after(() => platform.destroy())

test('of two operators who ask for a switchover at once one wins and the other is told by whom', async () => {
  const primary = await platform.whole()
  const epoch = (await platform.status(primary))?.groups[0]?.epoch ?? 0
  const others = platform.members.filter((member) => member !== primary)
  const both = await Promise.all(
    others.map((to) => platform.command('switchover', 'orders', '--to', to, '--output', 'json')),
  )
  const answers = both.map(({ out }) => JSON.parse(out) as Answer)
  const won = answers.filter((answer) => answer.ok)
  const lost = answers.filter((answer) => !answer.ok)
  for (const { error } of lost) {
    assert.match(error?.code ?? '', /^HF_INTENT_(BUSY|REFUSED|UNKNOWN)$/)
    assert.notEqual(error?.message, '')
    assert.notEqual(error?.next ?? '', '')
  }
  // On a slow machine the second may ask when the first is done: then it is the second's request that is remembered.
  const now = await platform.whole()
  assert.ok(((await platform.status(now))?.groups[0]?.epoch ?? 0) > epoch, JSON.stringify(answers))
  if (won.length === 1 && lost.every(({ error }) => error?.code === 'HF_INTENT_BUSY'))
    assert.equal(now, won[0]?.newPrimary)
  assert.equal((await platform.writers()).length, 1)
})

interface Answer {
  readonly ok: boolean
  readonly newPrimary?: string
  readonly error?: { readonly code: string; readonly message: string; readonly next: string }
}

test('an agent started a second time with the same name ends, says why, and disturbs nobody', async () => {
  const primary = await platform.whole()
  const before = await platform.status(primary)
  const name = `a${platform.members.indexOf(primary) + 1}`
  const twin = platform.agent(name)
  assert.equal(await twin.end(), 1)
  assert.match(twin.err, /cannot listen on 127\.0\.0\.1:\d+[\s\S]* next: [\s\S]* code: HF_LISTEN_FAILED/)
  assert.equal(await platform.whole(), primary)
  assert.equal((await platform.status(primary))?.groups[0]?.epoch, before?.groups[0]?.epoch)
})

test('the same agent started on another host never takes over while the first one lives', async () => {
  const primary = await platform.whole()
  const at = platform.members.indexOf(primary)
  const epoch = (await platform.status(primary))?.groups[0]?.epoch
  // The other host: its own addresses and its own folder, the same names.
  const elsewhere = await TestPlatform.describe({ members: 3, storePort: platform.storePort })
  try {
    const twin = elsewhere.agent(`a${at + 1}`)
    await twin.says(/ready at/)
    // Told after two ttls of the profile, long after it could have taken over.
    await twin.says(/HF_AGENT_NAME_IN_USE/)
    assert.match(twin.err, /another process beats as agent a\d; end one of the two, or give this one another name/)
    assert.deepEqual(await elsewhere.writers(), [])
    assert.equal(await platform.whole(), primary)
    assert.equal((await platform.status(primary))?.groups[0]?.epoch, epoch)
    assert.equal(await twin.stop(), 0)
  } finally {
    await elsewhere.destroy()
  }
  for (const agent of agents) assert.equal(agent.child.exitCode, null, agent.text)
})

test('a wrong token for the agents is refused with the next step, and changes nothing', async () => {
  const primary = await platform.whole()
  const epoch = (await platform.status(primary))?.groups[0]?.epoch
  const words = ['switchover', 'orders', '--file', platform.file]
  const asked = platform.run(words, { HF_TOKEN: 'another-token-of-good-length' })
  assert.equal(await asked.end(), 1)
  assert.match(asked.err, /needs the token of the agents[\s\S]* next: send the token[\s\S]* code: HF_AUTH_REQUIRED/)
  assert.doesNotMatch(asked.text, /a-token-of-good-length|another-token-of-good-length/)
  assert.equal((await platform.status(primary))?.groups[0]?.epoch, epoch)
})
