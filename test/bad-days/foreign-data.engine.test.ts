/** Members whose data directory holds something else: told, left alone, and cloned once somebody moved it away. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findPostgres } from '../../packages/holdfast/src/engines/postgres/binaries.ts'
import { readControlFile } from '../../packages/holdfast/src/engines/postgres/control-file.ts'
import { engineAccount, ownedByEngine, type Running, TestPlatform } from '../platform.ts'

const MEMBER_FILE = 'holdfast.member.json'

let platform: TestPlatform
let agents: readonly Running[] = []
before(async () => {
  platform = await TestPlatform.describe({ members: 3 })
})
after(() => platform.destroy())

/** A finished cluster that the product did not make, with a file that says whose it is. */
async function strangeCluster(dataDir: string, owner: { group: string; member: string }): Promise<string> {
  const found = await findPostgres()
  assert.ok(found.ok, 'PostgreSQL comes with npm ci')
  const { binDir, env } = found.binaries
  const made = spawnSync(join(binDir, 'initdb'), ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync'], {
    cwd: join(platform.folder, 'engines'),
    encoding: 'utf8',
    env: { ...env },
    ...engineAccount(),
  })
  assert.equal(made.status, 0, made.stderr)
  const systemId = (await readControlFile(dataDir))?.systemId ?? ''
  const file = { v: 1, ...owner, systemId, diskId: 'strange', madeBy: 'create', unopenedEpoch: null }
  writeFileSync(join(dataDir, MEMBER_FILE), JSON.stringify(file))
  ownedByEngine(join(dataDir, MEMBER_FILE))
  return systemId
}

/** What `status` prints, without its line breaks. */
async function statusText(): Promise<string> {
  const { code, out } = await platform.command('status')
  assert.equal(code, 0, out)
  return out.replace(/\s+/g, ' ')
}

test('a data directory that is not empty is told, left as it is, and cloned once it is moved away', async () => {
  const dataDir = platform.dataDir('m2')
  mkdirSync(dataDir)
  writeFileSync(join(dataDir, 'precious.txt'), 'the only copy')
  agents = await platform.start()
  await platform.reason('m2', /is not empty and was not made by Holdfast/)
  assert.equal(await platform.primary(), 'm1')
  const text = await statusText()
  assert.match(text, / m2 here replica foreign data /)
  assert.match(text, / m2: \S+m2 is not empty and was not made by Holdfast; it is left alone: move it away, or give /)
  assert.deepEqual(readdirSync(dataDir), ['precious.txt'])
  assert.equal(readFileSync(join(dataDir, 'precious.txt'), 'utf8'), 'the only copy')

  renameSync(dataDir, `${dataDir}.moved`)
  assert.equal(await platform.whole(), 'm1')
  assert.deepEqual(readdirSync(`${dataDir}.moved`), ['precious.txt'])
})

test('a member with another system identifier never joins, and is cloned once its data is moved away', async () => {
  assert.equal(await agents[2]?.stop(), 0)
  const dataDir = platform.dataDir('m3')
  rmSync(dataDir, { recursive: true })
  const strange = await strangeCluster(dataDir, { group: 'orders', member: 'm3' })
  const agent = platform.agent('a3')
  await agent.says(/ready at/)
  const told = await platform.reason('m3', /holds system \d+, the group is \d+/)
  assert.match(JSON.stringify(told), new RegExp(`holds system ${strange}, .*move the directory away, and it is cloned`))
  assert.match(await statusText(), / m3: \S+m3 holds system \d+, the group is \d+; this is another data set: move /)
  const explained = await platform.command('explain', 'orders')
  assert.match(explained.out, /m3 +may not\n/)
  const moved = await platform.command('switchover', 'orders', '--to', 'm3')
  assert.equal(moved.code, 1, moved.out)
  assert.equal((await readControlFile(dataDir))?.systemId, strange)
  assert.deepEqual(await platform.writers(), ['m1'])

  renameSync(dataDir, `${dataDir}.moved`)
  assert.equal(await platform.whole(), 'm1')
  assert.equal(await agent.stop(), 0)
})

test('the data of another group is told with its name and left alone', async () => {
  const dataDir = platform.dataDir('m3')
  renameSync(dataDir, `${dataDir}.good`)
  const strange = await strangeCluster(dataDir, { group: 'billing', member: 'billing-1' })
  await platform.agent('a3').says(/ready at/)
  await platform.reason('m3', /belongs to member billing-1 of group billing; it is left alone: move it away, or give/)
  assert.equal((await readControlFile(dataDir))?.systemId, strange)
  assert.deepEqual(await platform.writers(), ['m1'])
})
