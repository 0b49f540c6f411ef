/** Every screen against golden text, every exit code, and what is sent to agents. HOLDFAST_GOLDEN=write rewrites. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  agentStatus,
  type FakeAgents,
  fakeAgents,
  groupStatus,
  intent,
  type Ran,
  refusal,
  run,
} from './fake-agents.fixture.ts'
import type { PlatformView } from './status-view.ts'

let fake: FakeAgents
beforeEach(async () => {
  fake = await fakeAgents()
})
afterEach(async () => {
  await fake.close()
})

function on(...words: string[]): Promise<Ran> {
  return run([...words, '--file', fake.file])
}

/** Ports, folders and times differ from run to run. */
function golden(name: string, text: string): void {
  const stable = text
    .replaceAll(fake.folder, 'FOLDER')
    .replace(/127\.0\.0\.1:\d{5}/g, '127.0.0.1:PORT')
    .replace(/\d+ ms/g, 'N ms')
    .replace(/^ +N ms/gm, '    N ms')
  const file = new URL(`testdata/${name}.expected`, import.meta.url)
  if (process.env.HOLDFAST_GOLDEN === 'write') writeFileSync(file, stable)
  assert.equal(stable, readFileSync(file, 'utf8'))
  for (const line of text.split('\n')) assert.ok(line.length <= 80 || /http|FOLDER|\//.test(line), `too long: ${line}`)
}

describe('status', () => {
  it('shows every member and that the group is safe', async () => {
    const ran = await on('status')
    assert.equal(ran.code, 0)
    golden('status', ran.out)
    assert.ok(fake.sent.every((sent) => sent.authorized))
  })

  it('names a silent agent, clones under way and a missing guard', async () => {
    await fake.stop(3)
    fake.status = (agent) =>
      agent === 2
        ? agentStatus(2, {
            member: { work: { step: 'cloning', done: 450, total: 1_000 } },
            status: { guard: { alive: false, pid: null }, loopAgeMs: 12_000 },
          })
        : agentStatus(agent)
    const ran = await on('status')
    assert.equal(ran.code, 0)
    golden('status-troubled', ran.out)
  })

  const verdicts: [string, (agent: number) => ReturnType<typeof agentStatus>, RegExp][] = [
    [
      'two writers come before everything else',
      (n) => agentStatus(n, { member: { writableForMs: n < 3 ? 900 : 0 } }),
      /no, orders-1 and orders-2 both say they may write/,
    ],
    [
      'a group without a holder',
      (n) => agentStatus(n, { group: { holder: null, phase: 'released' }, member: { writableForMs: 0 } }),
      /no, nobody holds the lease \(phase released\)/,
    ],
    [
      'a holder that is not open',
      (n) => agentStatus(n, { member: { writableForMs: 0, role: n === 1 ? 'promoting' : 'replica' } }),
      /no, orders-1 holds the lease and is not open for writes\s+\(promoting\)/,
    ],
    ['failsafe', (n) => agentStatus(n, { group: { failsafe: true } }), /no, the store is away/],
    [
      'an agent without the store',
      (n) => agentStatus(n, n === 3 ? { status: { store: { reachable: false, lastConfirmedMsAgo: 9_000 } } } : {}),
      /no, agent agent-3 does not reach the store/,
    ],
    [
      'a pause',
      (n) => agentStatus(n, { group: { paused: { by: 'ann@x', because: 'kernel', forMs: 60_000 } } }),
      /no, paused by ann@x for 1 min: kernel/,
    ],
    ['no standby that confirms', (n) => agentStatus(n, { group: { eligible: [], need: 0 } }), /no standby confirms/],
    [
      'too few of the eligible seen to know which one has the last write',
      (n) => agentStatus(n, n === 3 ? { member: { engine: null } } : {}),
      /no, if orders-1 were lost now, nobody could take over/,
    ],
  ]
  for (const [name, status, expected] of verdicts) {
    it(`says no for ${name}`, async () => {
      fake.status = status
      assert.match((await on('status')).out, expected)
    })
  }

  it('believes the record with the highest epoch', async () => {
    fake.status = (n) => agentStatus(n, n === 2 ? { group: { epoch: 9, holder: 'orders-2' } } : {})
    assert.match((await on('status')).out, /epoch 9, holder orders-2/)
  })

  it('ends with 3 when no agent answers', async () => {
    for (const agent of [1, 2, 3]) await fake.stop(agent)
    const ran = await on('status')
    assert.equal(ran.code, 3)
    assert.match(ran.out, /agent agent-1: connection refused/)
  })

  it('gives machines one JSON object', async () => {
    const ran = await on('status', '--output', 'json')
    const view = JSON.parse(ran.out) as { groups: { verdict: { safe: boolean } }[] }
    assert.equal(view.groups[0]?.verdict.safe, true)
  })

  it('refreshes in place until Ctrl-C and gives the screen back', async () => {
    const controller = new AbortController()
    const argv = ['status', '--watch', '--every', '20ms', '--file', fake.file]
    const ran = await run(argv, {
      isTty: true,
      interrupt: controller.signal,
      onOut: (text) => {
        if (text.split('safe now').length > 3) controller.abort()
      },
    })
    assert.equal(ran.code, 0)
    assert.ok(ran.out.startsWith('\u001b[?1049h') && ran.out.endsWith('\u001b[?1049l'))
  })

  it('shows what an agent says and lets it command nothing on the screen', async () => {
    const holder = 'orders-1\u001b[2J\u009b1A\u202e\u0007'
    fake.status = (n) => agentStatus(n, { group: { epoch: 9, holder } })
    for (const argv of [['status'], ['explain', 'orders\u001b[2J'], ['status', '--watch', '--every', '20ms']]) {
      const options = { isTty: true, interrupt: AbortSignal.timeout(300) }
      const ran = await run([...argv, '--file', fake.file], options)
      const said = ran.out + ran.err
      assert.ok(said.includes('\\u001b[2J'), JSON.stringify(said))
      for (const bad of ['\u001b[2J', '\u009b', '\u202e', '\u0007'])
        assert.ok(!said.includes(bad), JSON.stringify(said))
    }
    const { out } = await on('status', '--output', 'json')
    assert.equal((JSON.parse(out) as PlatformView).groups[0]?.record?.holder, holder)
  })

  it('uses colours only in a terminal, and never with --no-color', async () => {
    const argv = ['status', '--file', fake.file]
    assert.ok(!(await run(argv)).out.includes('\u001b'))
    assert.ok((await run(argv, { isTty: true })).out.includes('\u001b[32m'))
    assert.ok(!(await run([...argv, '--no-color'], { isTty: true })).out.includes('\u001b'))
  })
})

describe('explain', () => {
  it('prints verdicts, rules and numbers', async () => {
    const ran = await on('explain', 'orders')
    assert.equal(ran.code, 0)
    golden('explain', ran.out)
  })

  it('names the group that was meant', async () => {
    const ran = await on('explain', 'order')
    assert.equal(ran.code, 2)
    assert.match(ran.err, /there is no group order\n\s+next: orders\?/)
  })
})

describe('switchover', () => {
  it('waits with progress and tells old and new primary', async () => {
    fake.posts.switchover = { status: 200, body: { id: 'i-1' } }
    fake.intents = [
      intent('waiting', 'phase open'),
      intent('running', 'phase released'),
      intent('done', '', 'orders-2'),
    ]
    const ran = await on('switchover', 'orders', '--to', 'orders-2')
    assert.equal(ran.code, 0)
    golden('switchover', `${ran.err}${ran.out}`)
    const post = fake.sent.find((sent) => sent.method === 'POST')
    assert.match(JSON.stringify(post?.body), /^{"to":"orders-2","by":"[^"]+@[^"]+"}$/)
  })

  it('asks first and changes nothing with --dry-run', async () => {
    fake.posts.switchover = { status: 200, body: { id: 'dry-run' } }
    const ran = await on('switchover', 'orders', '--dry-run')
    assert.equal(ran.code, 0)
    assert.match(ran.out, /Nothing was changed/)
    assert.match(JSON.stringify(fake.sent.find((sent) => sent.method === 'POST')?.body), /"dryRun":true/)
  })

  it('ends with 1 and the reasons when it is refused', async () => {
    fake.posts.switchover = refusal(409, 'HF_INTENT_REFUSED', 'R30: nobody is open for writes', 'ask for a failover')
    const ran = await on('switchover', 'orders')
    assert.equal(ran.code, 1)
    golden('switchover-refused', ran.err)
  })

  it('ends with 4 when it is not done in time', async () => {
    fake.posts.switchover = { status: 200, body: { id: 'i-1' } }
    fake.intents = [intent('waiting', 'phase open')]
    const ran = await on('switchover', 'orders', '--timeout', '250ms')
    assert.equal(ran.code, 4)
    assert.match(ran.err, /may still happen/)
  })

  it('never sends a change again that an agent may have taken', async () => {
    fake.posts.switchover = { status: 0, body: null, silent: true }
    const ran = await on('switchover', 'orders')
    assert.equal(ran.code, 4)
    assert.equal(fake.sent.filter((sent) => sent.method === 'POST').length, 1)
  })

  it('asks the next agent when one is not there', async () => {
    await fake.stop(1)
    fake.posts.switchover = { status: 200, body: { id: 'i-1' } }
    fake.intents = [intent('done', '', 'orders-2')]
    assert.equal((await on('switchover', 'orders')).code, 0)
  })

  it('ends with 130 on Ctrl-C and says that it goes on', async () => {
    const controller = new AbortController()
    fake.posts.switchover = { status: 200, body: { id: 'i-1' } }
    fake.intents = [intent('waiting', 'phase open')]
    setTimeout(() => controller.abort(), 150)
    const ran = await run(['switchover', 'orders', '--file', fake.file], { interrupt: controller.signal })
    assert.equal(ran.code, 130)
    assert.match(ran.err, /it goes on/)
  })
})

describe('failover', () => {
  it('explains a refusal and prints the command that overrides it', async () => {
    fake.posts.failover = refusal(409, 'HF_INTENT_REFUSED', 'R16: orders-3: not-in-sync-set (R16) need=1')
    const ran = await on('failover', 'orders', '--to', 'orders-3')
    assert.equal(ran.code, 1)
    golden('failover-refused', ran.err)
    assert.match(ran.err, /holdfast failover orders --to orders-3 --allow-data-loss --file/)
  })

  it('sends the acceptance of loss only when it was given', async () => {
    fake.posts.failover = { status: 200, body: { id: 'i-1' } }
    fake.intents = [intent('done', '', 'orders-3')]
    assert.equal((await on('failover', 'orders', '--allow-data-loss')).code, 0)
    assert.equal((await on('failover', 'orders')).code, 0)
    const sent = fake.sent.filter((item) => item.method === 'POST').map((item) => item.body as Record<string, unknown>)
    assert.deepEqual(
      sent.map((body) => body.allowDataLoss),
      [true, false],
    )
  })

  it('refuses a member that is not of the group before asking anybody', async () => {
    const ran = await on('failover', 'orders', '--to', 'orders-9')
    assert.equal(ran.code, 2)
    assert.equal(fake.sent.length, 0)
  })
})

describe('pause and resume', () => {
  it('sends the time and the reason', async () => {
    fake.posts.pause = { status: 200, body: { ok: true } }
    fake.posts.resume = { status: 200, body: { ok: true } }
    const paused = await on('pause', 'orders', '--for', '30m', '--because', 'kernel update')
    assert.equal(paused.out, 'orders is paused for 30 min; holdfast resume orders ends it\n')
    assert.equal((await on('resume', 'orders')).code, 0)
    const body = fake.sent[0]?.body as Record<string, unknown>
    assert.deepEqual([body.because, body.validMs], ['kernel update', 1_800_000])
  })

  it('wants an end and a reason', async () => {
    assert.equal((await on('pause', 'orders', '--for', 'soon', '--because', 'x')).code, 2)
    assert.equal((await on('pause', 'orders', '--for', '5m')).code, 2)
  })

  it('ends with 3 when the agent cannot reach the store', async () => {
    fake.posts.resume = refusal(503, 'HF_STORE_UNREACHABLE', 'the store did not answer')
    assert.equal((await on('resume', 'orders')).code, 3)
  })
})

describe('the command line itself', () => {
  it('ends with 2 for what it does not know, and says what was meant', async () => {
    const ran = await run(['swichover', 'orders'])
    assert.equal(ran.code, 2)
    assert.match(ran.err, /unknown command 'swichover'\n\(Did you mean switchover\?\)/)
    assert.equal((await run(['status', '--ouput', 'json'])).code, 2)
    assert.equal((await run([])).code, 2)
  })

  it('shows help, version and examples with 0, at most 80 columns wide', async () => {
    const commands = ['up', 'status', 'explain', 'switchover', 'failover', 'pause', 'resume', 'validate', 'agent']
    for (const command of [[], ...commands.map((name) => [name]), ['router'], ['store']]) {
      const ran = await run([...command, '--help'])
      assert.equal(ran.code, 0)
      assert.match(ran.out, /Examples:/)
      for (const line of ran.out.split('\n')) assert.ok(line.length <= 80, line)
    }
    assert.equal((await run(['--version'])).code, 0)
    assert.doesNotMatch((await run(['--help'])).out, /guard/)
  })

  it('tells a description that is not there without a stack trace', async () => {
    const ran = await run(['status', '--file', '/nowhere/holdfast.yaml'])
    assert.equal(ran.code, 2)
    assert.match(ran.err, /Name the description with --file/)
    assert.doesNotMatch(ran.err, / at /)
  })

  it('validates: 2 with mistakes, 0 without, JSON for machines', async () => {
    assert.equal((await run(['validate', fake.file])).code, 2)
    const fine = await run(['validate', fake.file, '--secrets', 'none'])
    assert.equal(fine.code, 0)
    golden('validate', fine.out)
    const answer = JSON.parse((await run(['validate', fake.file, '--output', 'json'])).out) as { mistakes: unknown[] }
    assert.equal(answer.mistakes.length, 2)
  })

  it('meets an answer that is not from an agent', async () => {
    fake.posts.resume = { status: 200, body: '<html>' }
    const ran = await on('resume', 'orders')
    assert.equal(ran.code, 1)
    assert.match(ran.err, /is this an agent\?/)
    fake.status = () => ({ ...agentStatus(1), groups: [groupStatus()] })
    assert.match((await on('status')).out, /another agent answers at its\s+address: agent-1/)
  })
})
