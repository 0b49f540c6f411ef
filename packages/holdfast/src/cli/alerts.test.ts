/** The alerts' commands against fake agents that answer no `/metrics`: to the alerts they are all silent. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type Receiver, receiver } from '../alerts/receivers.fixture.ts'
import { EXIT } from './exit-codes.ts'
import { type FakeAgents, fakeAgents, type Ran, run } from './fake-agents.fixture.ts'

let fake: FakeAgents
let hook: Receiver

beforeEach(async () => {
  fake = await fakeAgents()
  hook = await receiver()
  const alerts = `alerts:
  every: 500ms
  groupWait: 1ms
  channels:
    - { name: hook, kind: webhook, url: "${hook.url}/" }
  rules:
    site-lost: { for: 0s }
    agent-silent: { for: 0s }
    no-writer: { enabled: false }
`
  writeFileSync(fake.file, `${readFileSync(fake.file, 'utf8')}\n${alerts}`)
})
afterEach(async () => {
  hook.close()
  await fake.close()
})

function alerts(...words: string[]): Promise<Ran> {
  return run(['alerts', ...words, '--file', fake.file])
}

async function json(...words: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await alerts(...words, '--output', 'json')).out) as Record<string, unknown>
}

/** Runs the alerts beside what the test does. */
async function beside(work: () => Promise<void>): Promise<Ran> {
  const interrupt = new AbortController()
  const running = run(['alerts', 'run', '--log-level', 'silent', '--file', fake.file], { interrupt: interrupt.signal })
  try {
    await work()
  } finally {
    interrupt.abort()
  }
  return running
}

test('who looks before anything ran, and who names nothing there is, hears what to do', async () => {
  const list = await alerts('list')
  assert.equal(list.code, EXIT.failed)
  assert.match(list.err, /no alerts were ever run[\s\S]*next: holdfast alerts run/)
  assert.equal((await alerts('ack', '12345678')).code, EXIT.failed)
  assert.match((await alerts('test', 'nobody')).err, /there is no channel nobody\n {4}next: hook/)
  for (const [words, what] of [
    [['silence', '--for', '1h', '--because', 'x'], /which alerts/],
    [['silence', 'color=red', '--for', '1h', '--because', 'x'], /color=red is no matcher/],
    [['silence', 'group=orders', '--because', 'x'], /needs its end/],
    [['silence', 'group=orders', '--for', '31d', '--because', 'x'], /needs its end/],
    [['silence', 'group=orders', '--for', '1h'], /needs its reason/],
  ] as const) {
    const ran = await alerts(...words)
    assert.equal(ran.code, EXIT.usage)
    assert.match(ran.err, what)
  }
})

test('every rule is listed with its limit', async () => {
  const { rules } = (await json('rules')) as { rules: { id: string; limit: number }[] }
  assert.equal(rules.find(({ id }) => id === 'lag-near-bound')?.limit, 0.8)
  assert.ok(!rules.some(({ id }) => id === 'no-writer'), 'it is not enabled')
  const { out } = await alerts('rules')
  assert.match(out, /^site-lost +critical +any +0 ms +-$/m)
  assert.match(out, /^lag-near-bound +warning +postgres +1 min +80 %$/m)
  assert.match(out, /^certificate-expiring +warning +any +0 ms +21 days$/m)
})

test('a channel is tried without a runner, and its failure is told without its address', async () => {
  assert.equal((await alerts('test', 'hook')).code, EXIT.ok)
  assert.deepEqual(
    hook.received.map(({ body }) => (JSON.parse(body) as { kind: string }).kind),
    ['trigger', 'resolve'],
  )
  hook.status = 500
  const failed = await alerts('test', 'hook')
  assert.equal(failed.code, EXIT.failed)
  assert.match(failed.err, /hook did not take the message: it answered with status 500/)
})

test('what fires is listed, taken and silenced while it runs, and kept when it ends', async () => {
  const ran = await beside(async () => {
    await hook.count(1)
    const first = (await json('list')) as { running: boolean; alerts: { id: string; rule: string; quiet: string }[] }
    assert.equal(first.running, true)
    const lost = first.alerts.find(({ rule }) => rule === 'site-lost')
    assert.ok(lost)
    assert.ok(first.alerts.every(({ rule, quiet }) => rule === 'site-lost' || quiet === 'hidden by site-lost'))
    assert.equal((await alerts('ack', lost.id)).code, EXIT.ok)
    await hook.count(2)
    assert.equal((await alerts('ack', lost.id)).code, EXIT.failed, 'it is taken')
    const silence = await json('silence', 'rule=*', '--for', '1h', '--because', 'a test')
    assert.equal(silence.taken, true)
    assert.match(
      (await alerts('list')).out,
      /taken by .*\n[\s\S]*silence [0-9a-f]{8}: rule=\*, (1 h|60 min|59\.\d min) left/,
    )
    assert.equal((await alerts('silence', '--end', String(silence.id))).code, EXIT.ok)
    assert.equal((await alerts('run')).code, EXIT.failed, 'one at a time')
  })
  assert.deepEqual([ran.code, ran.err], [EXIT.ok, ''])
  assert.match((await alerts('list')).out, /^Nobody looks: the last look was/)
  assert.equal((await alerts('silence', 'group=*', '--for', '1h', '--because', 'x')).code, EXIT.uncertain)
})

test('files for Prometheus, Alertmanager and Grafana are printed or written, and hold no secret', async () => {
  const generate = (...words: string[]) => run(['generate', ...words, '--file', fake.file])
  for (const [what, pattern] of [
    ['prometheus', /alert: HoldfastNoEligibleReplica/],
    ['scrape', /job_name: holdfast-agents/],
    ['alertmanager', /webhook_configs:/],
    ['grafana', /"title": "Lease time left"/],
  ] as const) {
    const { code, out } = await generate(what)
    assert.equal(code, EXIT.ok)
    assert.match(out, pattern)
  }
  const out = join(fake.folder, 'a', 'b')
  assert.equal((await generate('scrape', '--out', out, '--alertmanager', '127.0.0.1:9093')).code, EXIT.ok)
  assert.match(readFileSync(join(out, 'prometheus.yml'), 'utf8'), /- 127\.0\.0\.1:9093/)
  assert.equal((await generate('everything')).code, EXIT.usage)
  assert.equal((await generate('scrape', '--alertmanager', 'x y')).code, EXIT.usage)
  assert.equal((await generate('scrape', '--out', join(fake.file, 'x'))).code, EXIT.failed)
  assert.ok(existsSync(join(out, 'prometheus.yml')))
})
