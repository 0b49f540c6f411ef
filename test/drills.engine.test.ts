/**
 * Drills on a real group of three: what they measure, what their reports say, and that their faults end - when somebody
 * stops the drill, and when runner and agent are dead.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isStopped, treeOf } from '../packages/holdfast/src/io/process-tree.ts'
import { type Running, TestPlatform, until } from './platform.ts'

const END_MS = 150_000
/** A lease long enough for a machine that does other things as well. */
const GROUP_LINES = '    timing: { ttl: 6s, beat: 1200ms, request: 1s }\n    antiFlap: { free: 100, window: 1m }\n'
let platform: TestPlatform
let agents: readonly Running[] = []

before(async () => {
  platform = await TestPlatform.describe({ members: 3, groupLines: GROUP_LINES })
  const text = platform.text()
  platform.write(text.replace('agentDefaults: {', 'agentDefaults: { drills: allowed,'))
  agents = await platform.start()
  await platform.router().says(/ready at/)
  // The first copies take their time.
  await platform.whole().catch(() => platform.whole())
})
after(() => platform.destroy())

function drillFile(name: string, fault: string, more = ''): string {
  const file = join(platform.folder, `${name}.yaml`)
  const objectives = 'objectives: { rto: 30s, rpo: 0s }'
  const hypothesis = 'hypothesis: { within: 90s }'
  writeFileSync(
    file,
    `version: 1\ndrill: ${name}\ngroup: orders\nfault: ${fault}\n${objectives}\n${hypothesis}\n${more}`,
  )
  return file
}

interface RunAnswer {
  readonly ok: boolean
  readonly drills: readonly {
    readonly outcome: string
    readonly because: string
    readonly measured: { readonly rtoMs: number; readonly acked: number; readonly lost: number } | null
    readonly report: { readonly json: string; readonly html: string; readonly seq: number }
  }[]
}

async function drill(file: string): Promise<RunAnswer['drills'][number] & { readonly text: string }> {
  const said = await platform.command('drill', 'run', file, '--yes', '--output', 'json')
  const [one] = (JSON.parse(said.out) as RunAnswer).drills
  assert.ok(one !== undefined, said.out + said.err)
  return { ...one, text: `${said.out}\n${said.err}` }
}

/** Processes of the member's engine that do not run. */
function stopped(member: string): readonly number[] {
  return treeOf(platform.dataDir(member), null)
    .map((one) => one.pid)
    .filter(isStopped)
}

test('a switchover, a kill and a frozen host are measured, and their reports hold together', {
  timeout: END_MS,
}, async () => {
  const first = await platform.primary()
  const moved = await drill(drillFile('move', '{ kind: switchover }'))
  assert.equal(moved.outcome, 'passed', moved.text)
  assert.notEqual(await platform.primary(), first)
  await platform.whole()

  const killed = await drill(drillFile('kill', '{ kind: kill }'))
  assert.equal(killed.outcome, 'passed', killed.text)
  await platform.whole()

  const holder = await platform.primary()
  const frozen = await drill(drillFile('freeze', '{ kind: freeze, what: host, for: 15s }'))
  assert.equal(frozen.outcome, 'passed', frozen.text)
  assert.notEqual(await platform.primary(), holder)
  assert.deepEqual(stopped(holder), [])
  // A host that is frozen is found by its silence: nobody takes over before its ttl of six seconds is over.
  assert.ok((frozen.measured?.rtoMs ?? 0) >= 4_000, frozen.text)
  for (const { measured } of [moved, killed, frozen]) {
    assert.ok(measured !== null && measured.acked > 0 && measured.lost === 0, JSON.stringify(measured))
  }

  const files = [moved, killed, frozen].flatMap(({ report }) => [report.json, report.html])
  const verified = await platform.run(['evidence', 'verify', ...files])
  assert.equal(await verified.end(), 0, verified.text)
  const gap = await platform.run(['evidence', 'verify', moved.report.json, frozen.report.json])
  assert.equal(await gap.end(), 1)
  assert.match(gap.text, /report 2 is missing before it/)
  const page = readFileSync(frozen.report.html, 'utf8')
  assert.match(page, /processes are stopped|processes run again/)
  const list = await platform.command('drill', 'list')
  assert.match(list.out, /orders +100 +freeze +passed/)
})

test('a drill that is stopped in the middle leaves nothing frozen, and says who stopped it', {
  timeout: END_MS,
}, async () => {
  await platform.whole()
  const file = drillFile('stopped', '{ kind: freeze, what: host, target: replica, for: 60s }')
  const runner = platform.run(['drill', 'run', file, '--yes', '--file', platform.file])
  await runner.says(/fault-on/)
  const victim = platform.members.find((member) => stopped(member).length > 0) ?? ''
  assert.notEqual(victim, '')
  const second = await platform.command('drill', 'run', drillFile('second', '{ kind: switchover }'), '--yes')
  assert.equal(second.code, 1)
  assert.match(second.err, /drill stopped of .* runs on orders/)
  const abort = await platform.command('drill', 'abort', 'orders', '--because', 'customers call')
  assert.equal(abort.code, 0, abort.err)
  assert.equal(await runner.end(), 1)
  assert.match(runner.text, /aborted +stopped on orders: customers call/)
  assert.deepEqual(stopped(victim), [])
})

test('with runner and agent dead the freeze ends at its timer, and the drill can be cleared', {
  timeout: END_MS,
}, async () => {
  await platform.whole()
  const file = drillFile('orphaned', '{ kind: freeze, what: engine, target: replica, for: 8s }')
  const runner = platform.run(['drill', 'run', file, '--yes', '--file', platform.file])
  await runner.says(/fault-asked/)
  const victim = await until('a frozen engine', async () => platform.members.find((m) => stopped(m).length > 0) ?? null)
  const at = platform.members.indexOf(victim)
  runner.child.kill('SIGKILL')
  agents[at]?.child.kill('SIGKILL')
  await Promise.all([runner.ended, agents[at]?.ended])
  assert.ok(stopped(victim).length > 0, 'the freeze outlives runner and agent')
  await until('the dead-man to let it run', async () => stopped(victim).length === 0)
  assert.ok(treeOf(platform.dataDir(victim), null).length > 0, 'it runs, it was not killed')
  await platform.agent(`a${at + 1}`).says(/ready at/)
  assert.match((await platform.command('drill', 'list')).out, /orphaned +runs: /)
  const abort = await platform.command('drill', 'abort', 'orders')
  assert.equal(abort.code, 0, abort.err)
  assert.match(abort.out, /ended from here/)
  assert.match((await platform.command('drill', 'list')).out, /orphaned +aborted/)
  assert.ok(readdirSync(platform.folder).includes('holdfast-data'))
})
