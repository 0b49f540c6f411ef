/** Descriptions and secrets with mistakes: no process starts, and each mistake is told with what would be right. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { TestPlatform } from '../platform.ts'

let platform: TestPlatform
beforeEach(async () => {
  platform = await TestPlatform.describe({ members: 2 })
})
afterEach(() => platform.destroy())

/** Every command that starts something, and what is left in the folder after it refused. */
async function refusedByAll(pattern: RegExp): Promise<void> {
  const before = readdirSync(platform.folder).sort()
  for (const words of [
    ['up', platform.file],
    ['agent', '--name', 'a1', '--file', platform.file],
    ['store', '--file', platform.file],
  ]) {
    const running = platform.run(words)
    assert.equal(await running.end(), 2, `${words[0]}: ${running.text}`)
    assert.match(running.err, pattern, words[0])
    assert.doesNotMatch(running.text, /\n {4}at /, 'a stack trace helps nobody here')
  }
  assert.deepEqual(readdirSync(platform.folder).sort(), before)
  assert.deepEqual(platform.processes(), [])
}

test('a description with mistakes starts nothing; each is told with its line, and what would be right', async () => {
  platform.write(
    platform.text().replace('replication: sync', 'replicaton: sync').replace('profile: normal', 'profile: quick'),
  )
  await refusedByAll(/holdfast\.yaml:\d+:\d+.*replicaton[\s\S]*replication/)
  const validated = platform.run(['validate', platform.file])
  assert.equal(await validated.end(), 2)
  assert.match(validated.text, /quick[\s\S]*fast[\s\S]*normal/)
  assert.match(validated.text, /2 mistakes/)
})

test('a description that is no YAML is told with the place where it breaks', async () => {
  platform.write(platform.text().replace('sites: [{ name: here }]', 'sites: [{ name: here }'))
  await refusedByAll(/holdfast\.yaml:\d+:\d+/)
})

test('a secret file that others may read is refused, with the command that mends it', async (t) => {
  if (process.platform === 'win32') return t.skip('only where files have modes')
  const secret = join(platform.folder, 'token')
  writeFileSync(secret, 'a-token-of-good-length\n')
  chmodSync(secret, 0o644)
  platform.write(platform.text().replaceAll('{ env: HF_TOKEN }', '{ file: token }'))
  await refusedByAll(/token.*(others|readable)[\s\S]*chmod 600/)
  chmodSync(secret, 0o600)
  const store = platform.store()
  await store.says(/ready at/)
  assert.equal(await store.stop(), 0)
  assert.ok(existsSync(join(platform.folder, 'store')))
})

test('a secret that is not in the environment is refused by name', async () => {
  platform.write(platform.text().replace('HF_SUPER', 'HF_FORGOTTEN'))
  await refusedByAll(/HF_FORGOTTEN is not set[\s\S]*export HF_FORGOTTEN=/)
})
