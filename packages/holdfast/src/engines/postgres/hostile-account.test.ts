/**
 * The engine's account may be taken over, and we work beside it as root: nothing it puts into its directories may lead
 * us elsewhere or hold us up, and where we write it cannot enter.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { CloneArea } from './clone-area.ts'
import { makeOptions, temporaryBase } from './cluster-fixture.ts'
import { CLOSED_NAMES, writeConfig } from './config.ts'
import { readControlFile } from './control-file.ts'
import { Engine } from './engine.ts'
import { type Home, homeOf, lookAtData, prepareHome, writeMemberFile } from './home.ts'
import type { PostgresOptions } from './options.ts'

const ACCOUNT = { uid: 65534, gid: 65534 }
const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root', timeout: 10_000 }
const LIVE = { upstream: null, syncNames: CLOSED_NAMES }

let base = ''
let home: Home
let options: PostgresOptions
before(async () => {
  base = await temporaryBase()
})
after(() => rm(base, { recursive: true, force: true }))
beforeEach(async () => {
  const [first] = await makeOptions(await mkdtemp(join(base, 'case-')), 18)
  assert.ok(first)
  options = first
  await chmod(join(first.dataDir, '..'), 0o755)
  home = await homeOf(options, ACCOUNT)
  assert.equal(await prepareHome(home), null)
  await mkdir(home.dataDir, { mode: 0o700 })
  await chown(home.dataDir, ACCOUNT.uid, ACCOUNT.gid)
})

/** What the taken-over account does. */
function hostile(command: string): number | null {
  return spawnSync('sh', ['-c', command], { ...ACCOUNT, cwd: '/', timeout: 5_000 }).status
}

async function contents(directory: string): Promise<string> {
  const found: string[] = []
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    if ((await lstat(path)).isFile()) found.push(await readFile(path, 'utf8'))
  }
  return found.join('\n')
}

test('a link in place of a settings file does not hand out what it leads to', asRoot, async () => {
  const secret = join(base, 'secret')
  await writeFile(secret, 'port = 1 # top secret\nremains\n', { mode: 0o600 })
  for (const name of ['postgresql.conf', 'postgresql.auto.conf']) {
    assert.equal(hostile(`ln -sf ${secret} ${join(home.dataDir, name)}`), 0)
    await assert.rejects(writeConfig(LIVE, home, options), /cannot be read as a plain file: it is a link/)
    assert.doesNotMatch(await contents(home.dataDir), /top secret|remains/)
    await rm(join(home.dataDir, name))
  }
  assert.match(await readFile(secret, 'utf8'), /top secret/)
})

test('a pipe in place of a file holds nothing up', asRoot, async () => {
  const pipes = ['holdfast.member.json', 'postgresql.conf', 'PG_VERSION', 'global/pg_control']
  assert.equal(hostile(`cd ${home.dataDir} && mkdir global && mkfifo ${pipes.join(' ')}`), 0)
  assert.equal((await lookAtData(home, options)).state, 'foreign')
  assert.equal(await readControlFile(home.dataDir), null)
  await assert.rejects(writeConfig(LIVE, home, options), /it is no file/)
})

test('what is written replaces a link and leaves alone where it leads', asRoot, async () => {
  const target = join(base, 'target')
  await writeFile(target, 'untouched')
  const names = ['holdfast.member.json', 'holdfast.member.json.new', 'holdfast.conf', 'pg_hba.conf']
  assert.equal(hostile(`cd ${home.dataDir} && for n in ${names.join(' ')}; do ln -s ${target} $n; done`), 0)
  const who = { v: 1, group: 'orders', member: 'a', systemId: '1' } as const
  await writeMemberFile(home, { ...who, diskId: 'd', madeBy: 'create', unopenedEpoch: null })
  await writeConfig(LIVE, home, options)
  assert.equal(await readFile(target, 'utf8'), 'untouched')
  const written = await lstat(join(home.dataDir, 'holdfast.member.json'))
  assert.ok(written.isFile() && written.uid === ACCOUNT.uid)
})

test("the engine's account cannot enter where a clone is written", asRoot, async () => {
  await rm(home.dataDir, { recursive: true })
  const area = new CloneArea(home.dataDir, ACCOUNT)
  await area.open()
  await mkdir(area.inside, { mode: 0o700 })
  await chown(area.inside, ACCOUNT.uid, ACCOUNT.gid)
  assert.notEqual(hostile(`ln -s /etc ${join(area.inside, 'base')}`), 0)
  assert.notEqual(hostile(`mv ${area.inside} ${join(area.root, 'aside')}`), 0)
  await area.publish()
  assert.equal(hostile(`touch ${join(home.dataDir, 'mine')}`), 0)
})

test('while a copy is rewound the account works inside it and changes nothing around it', asRoot, async () => {
  const area = new CloneArea(home.dataDir, ACCOUNT)
  await area.open()
  await area.takeOut()
  assert.equal(hostile(`touch ${join(area.inside, 'mine')}`), 0)
  assert.notEqual(hostile(`mv ${area.inside} ${join(area.root, 'aside')}`), 0)
  await symlink(tmpdir(), join(area.inside, 'link'))
  await area.discard()
  await assert.rejects(lstat(area.root), /ENOENT/)
  await lstat(tmpdir())
})

test('an engine that runs as an account others use as well says so, with the next step', asRoot, async () => {
  const said: string[] = []
  const warn = (detail: object, message: string) => void said.push(`${message}; ${JSON.stringify(detail)}`)
  const engine = await Engine.open({ ...options, log: { ...options.log, warn } })
  engine.close()
  assert.match(said.join(), /runs as `nobody`.*useradd --system postgres/)
})
