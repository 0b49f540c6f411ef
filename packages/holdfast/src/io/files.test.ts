import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, chown, link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { HoldfastError } from '../errors.ts'
import { readFileLimited, readPlain, readSecret, shutDirectory, writeFileDurable } from './files.ts'

let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-files-'))
})
after(() => rm(directory, { recursive: true, force: true }))

const failsWith = (code: string, next: RegExp) => (error: unknown) => {
  assert.ok(error instanceof HoldfastError, String(error))
  assert.equal(error.code, code)
  assert.match(error.next, next)
  return true
}

test('a durable write replaces the content, sets the rights and leaves nothing beside it', async () => {
  const path = join(directory, 'record.json')
  await writeFileDurable(path, 'one', 0o600)
  await writeFileDurable(path, 'two', 0o640)
  assert.equal(await readFile(path, 'utf8'), 'two')
  assert.equal((await stat(path)).mode & 0o777, 0o640)
  assert.deepEqual(await readdir(directory), ['record.json'])
})

test('many writers at once leave one whole content', async () => {
  const path = join(directory, 'raced')
  const contents = Array.from({ length: 8 }, (_, index) => String(index).repeat(10_000))
  await Promise.all(contents.map((content) => writeFileDurable(path, content, 0o600)))
  assert.ok(contents.includes(await readFile(path, 'utf8')))
})

test('a write that fails leaves the former content and no half-written file', async () => {
  const path = join(directory, 'is-directory')
  await mkdir(path)
  await assert.rejects(writeFileDurable(path, 'x', 0o600), failsWith('HF_FILE_UNWRITABLE', /ls -ld/))
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('a full disk is named as such and the former content stays', async (t) => {
  const small = join(directory, 'small')
  await mkdir(small)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]).status === 0
  if (!mounted) return t.skip('only where this user may mount a small file system')
  try {
    const path = join(small, 'record.json')
    await writeFileDurable(path, 'former', 0o600)
    await assert.rejects(writeFileDurable(path, 'x'.repeat(200_000), 0o600), failsWith('HF_DISK_FULL', /df -h/))
    assert.equal(await readFile(path, 'utf8'), 'former')
    assert.deepEqual(await readdir(small), ['record.json'])
  } finally {
    spawnSync('umount', [small])
  }
})

test('a secret comes from a file without its line end, or from the environment', async () => {
  const file = join(directory, 'token')
  await writeFile(file, 'open sesame\n', { mode: 0o600 })
  assert.equal(await readSecret({ file }), 'open sesame')
  process.env.HOLDFAST_TEST_SECRET = 'from outside'
  assert.equal(await readSecret({ env: 'HOLDFAST_TEST_SECRET' }), 'from outside')
  delete process.env.HOLDFAST_TEST_SECRET
  await assert.rejects(readSecret({ env: 'HOLDFAST_TEST_SECRET' }), failsWith('HF_SECRET_MISSING', /export/))
})

test('a secret file that others may read is refused with the command that closes it', async () => {
  const file = join(directory, 'open')
  await writeFile(file, 'x')
  for (const mode of [0o644, 0o640, 0o604, 0o660]) {
    await chmod(file, mode)
    await assert.rejects(readSecret({ file }), failsWith('HF_SECRET_FILE_OPEN', /chmod 600/))
  }
  await chmod(file, 0o400)
  assert.equal(await readSecret({ file }), 'x')
})

test('an empty or missing secret file is refused', async () => {
  const file = join(directory, 'empty')
  await writeFile(file, '\n', { mode: 0o600 })
  await assert.rejects(readSecret({ file }), failsWith('HF_SECRET_MISSING', /Write the secret/))
  await assert.rejects(readSecret({ file: `${file}-not-there` }), failsWith('HF_FILE_UNREADABLE', /ls -l/))
})

test('a limited read gives files up to the limit and refuses one byte more', async () => {
  const path = join(directory, 'sized')
  await writeFile(path, 'x'.repeat(100))
  assert.equal((await readFileLimited(path, 100)).length, 100)
  await assert.rejects(readFileLimited(path, 99), failsWith('HF_FILE_TOO_LARGE', /file you meant/))
  await assert.rejects(readFileLimited(directory, 99), failsWith('HF_FILE_UNREADABLE', /directory/))
})

test('an endless file is refused instead of filling the memory', async () => {
  await assert.rejects(readFileLimited('/dev/zero', 1_000_000), failsWith('HF_FILE_TOO_LARGE', /file/))
})

test('in a directory of somebody else only plain files are read, and a pipe is not waited for', async () => {
  const of = await mkdtemp(join(directory, 'theirs-'))
  await writeFile(join(directory, 'elsewhere'), 'secret')
  await writeFile(join(of, 'plain'), 'content')
  await symlink(join(directory, 'elsewhere'), join(of, 'link'))
  await mkdir(join(of, 'folder'))
  spawnSync('mkfifo', [join(of, 'pipe')])
  assert.equal(String(await readPlain(join(of, 'plain'), 100)), 'content')
  assert.equal(await readPlain(join(of, 'absent'), 100), null)
  for (const name of ['link', 'folder', 'pipe']) {
    await assert.rejects(readPlain(join(of, name), 100), failsWith('HF_FILE_UNREADABLE', /move it away/), name)
  }
  await assert.rejects(readPlain(join(of, 'plain'), 3), failsWith('HF_FILE_TOO_LARGE', /./))
})

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' }

test("a second name of another account's file is not read", asRoot, async () => {
  const of = await mkdtemp(join(directory, 'theirs-'))
  await chown(of, 65534, 65534)
  const mine = join(directory, 'mine')
  await writeFile(mine, 'secret', { mode: 0o600 })
  await link(mine, join(of, 'second'))
  await assert.rejects(readPlain(join(of, 'second'), 100), failsWith('HF_FILE_UNREADABLE', /move it away/))
})

test('a directory that was shut keeps its former owner out', asRoot, async () => {
  await chmod(directory, 0o755)
  const of = await mkdtemp(join(directory, 'theirs-'))
  await chown(of, 65534, 65534)
  const enter = () => spawnSync('ls', [of], { uid: 65534, gid: 65534 }).status
  assert.equal(enter(), 0)
  await shutDirectory(of)
  assert.notEqual(enter(), 0)
})
