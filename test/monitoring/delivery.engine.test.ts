/**
 * From a real agent to a person: a replica is stopped; a real Prometheus sees it, a real Alertmanager tells a webhook,
 * and so does `holdfast alerts run` with the same rules. The files come from the how-to's own commands.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Receiver, receiver } from '../../packages/holdfast/src/alerts/receivers.fixture.ts'
import { readDocSteps } from '../../scripts/doc-commands.ts'
import { monitoringProgram } from '../../scripts/engines/monitoring.ts'
import { freePorts, TestPlatform, until } from '../platform.ts'
import { alertmanager, missing, prometheus } from './programs.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const HOW_TO = join(ROOT, 'docs/operate/monitoring.md')
const ends: (() => Promise<unknown>)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
})

/** The commands of the page, in the platform's folder, with Alertmanager where the test has it. */
function followHowTo(platform: TestPlatform, address: string): void {
  const tools = [monitoringProgram('promtool'), monitoringProgram('amtool')].map((path) => dirname(path ?? ''))
  const path = [join(ROOT, 'node_modules/.bin'), ...tools, process.env.PATH].join(delimiter)
  for (const step of readDocSteps(readFileSync(HOW_TO, 'utf8'))) {
    const text = step.text.replace('127.0.0.1:9093', address)
    const env = { ...platform.env, PATH: path }
    const ran = spawnSync('bash', ['-ec', text], { cwd: platform.folder, env, encoding: 'utf8', timeout: 120_000 })
    assert.equal(ran.status, 0, `${HOW_TO}:${step.line}: ${ran.stdout}${ran.stderr}`)
  }
}

async function listening(): Promise<Receiver> {
  const hook = await receiver()
  ends.push(async () => hook.close())
  return hook
}

test('a replica that is stopped is told by Alertmanager and by ourselves', { skip: missing }, async () => {
  const platform = await TestPlatform.describe({ members: 2 })
  ends.push(() => platform.destroy())
  const hook = await listening()
  const [port = 0] = await freePorts(1)
  platform.write(`${platform.text()}
alerts:
  every: 1s
  groupWait: 1s
  channels:
    - { name: hook, kind: webhook, url: "${hook.url}/hook" }
  rules:
    agent-silent: { for: 1s }
    no-eligible-replica: { for: 1s }
`)
  followHowTo(platform, `127.0.0.1:${port}`)
  const folder = join(platform.folder, 'monitoring')
  const agents = await platform.start()
  const primary = await platform.whole()
  const manager = await alertmanager(folder, port)
  ends.push(() => manager.stop())
  const server = await prometheus(folder)
  ends.push(() => server.stop())
  await platform.run(['alerts', 'run', '--file', platform.file]).says(/alerts of bad-days run/)

  const replica = platform.members.find((member) => member !== primary) ?? ''
  await agents[platform.members.indexOf(replica)]?.stop()
  const agent = replica.replace('m', 'a')
  const [ours, theirs] = await until('both to tell of the silent agent and the missing replica', async () => {
    const bodies = hook.received.map(({ body }) => body)
    const told = (from: readonly string[]): boolean =>
      from.some((body) => body.includes('agent-silent')) && from.some((body) => body.includes('no-eligible-replica'))
    const own = bodies.filter((body) => body.includes('"kind":'))
    const other = bodies.filter((body) => body.includes('"groupKey":'))
    return told(own) && told(other) ? [own.join(), other.join()] : null
  })
  for (const text of [ours, theirs]) assert.match(text ?? '', new RegExp(`Agent ${agent} does not answer`))
  assert.doesNotMatch(ours ?? '', new RegExp(`Agent ${primary.replace('m', 'a')} does not answer`))
})
