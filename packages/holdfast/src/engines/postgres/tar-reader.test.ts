import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { safePath, TarError, TarReader, type TarSink } from './tar-reader.ts'

class Collected implements TarSink {
  readonly directories: string[] = []
  readonly files = new Map<string, string>()
  #path = ''
  #parts: Buffer[] = []
  async directory(path: string): Promise<void> {
    this.directories.push(path)
  }
  async fileStart(path: string): Promise<void> {
    this.#path = path
    this.#parts = []
  }
  async fileData(chunk: Buffer): Promise<void> {
    this.#parts.push(Buffer.from(chunk))
  }
  async fileEnd(): Promise<void> {
    this.files.set(this.#path, Buffer.concat(this.#parts).toString('latin1'))
  }
}

async function readAll(archive: Buffer, chunkBytes: number): Promise<Collected> {
  const sink = new Collected()
  const reader = new TarReader(sink)
  for (let at = 0; at < archive.length; at += chunkBytes) await reader.push(archive.subarray(at, at + chunkBytes))
  reader.end()
  return sink
}

function entry(name: string, content: string, change: (header: Buffer) => void = () => undefined): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000600\0', 100)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  change(header)
  header.fill(' ', 148, 156)
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  const padding = (512 - (content.length % 512)) % 512
  return Buffer.concat([header, Buffer.from(content, 'latin1'), Buffer.alloc(padding)])
}

const END = Buffer.alloc(1024)

test('reads what tar writes, in chunks of any size, long names included', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-'))
  try {
    const long = join('d'.repeat(80), 'e'.repeat(60))
    mkdirSync(join(dir, long), { recursive: true })
    writeFileSync(join(dir, long, 'f'), 'x'.repeat(1500))
    writeFileSync(join(dir, 'empty'), '')
    writeFileSync(join(dir, 'whole'), 'y'.repeat(1024))
    const archive = execFileSync('tar', ['--format=ustar', '-C', dir, '-cf', '-', '.'])
    for (const chunkBytes of [1, 7, 511, 512, 513, 4096, archive.length]) {
      const got = await readAll(archive, chunkBytes)
      assert.deepEqual([...got.files.keys()].sort(), [join(long, 'f'), 'empty', 'whole'].sort())
      assert.equal(got.files.get('whole'), 'y'.repeat(1024))
      assert.equal(got.files.get(join(long, 'f')), 'x'.repeat(1500))
      assert.ok(got.directories.includes(long))
    }
    symlinkSync('/etc', join(dir, 'out'))
    const withLink = execFileSync('tar', ['--format=ustar', '-C', dir, '-cf', '-', '.'])
    await assert.rejects(readAll(withLink, 4096), /is a link to "\/etc"/)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('refuses names that lead out of the directory', async () => {
  for (const name of ['/etc/passwd', '../x', 'a/../../x', 'a/..']) {
    assert.throws(() => safePath(name), TarError, name)
    await assert.rejects(readAll(Buffer.concat([entry(name, 'x'), END]), 512), TarError)
  }
  assert.equal(safePath('./a//b/'), 'a/b')
  assert.equal(safePath('a..b/..c'), 'a..b/..c')
})

test('refuses damaged, cut and strange archives', async () => {
  const good = entry('a', 'hello')
  assert.equal((await readAll(Buffer.concat([good, END]), 512)).files.get('a'), 'hello')
  const damaged = Buffer.from(good)
  damaged[0] = 0x62
  await assert.rejects(readAll(Buffer.concat([damaged, END]), 512), /checksum/)
  await assert.rejects(readAll(good, 512), /ended in the middle/)
  await assert.rejects(readAll(good.subarray(0, 600), 512), /ended in the middle/)
  const device = entry('a', '', (header) => header.write('3', 156))
  await assert.rejects(readAll(Buffer.concat([device, END]), 512), /unknown kind/)
  const hard = entry('a', '', (header) => header.write('1', 156))
  await assert.rejects(readAll(Buffer.concat([hard, END]), 512), /link/)
  const huge = entry('a', '', (header) => header.fill(0xff, 124, 136))
  await assert.rejects(readAll(Buffer.concat([huge, END]), 512), /too large/)
  await assert.rejects(readAll(Buffer.concat([good, Buffer.alloc(512), good]), 512), /goes on after its end/)
})

test('reads sizes beyond octal', async () => {
  const content = 'z'.repeat(700)
  const binary = entry('a', content, (header) => {
    header.fill(0, 124, 136)
    header[124] = 0x80
    header.writeUInt32BE(content.length, 132)
  })
  assert.equal((await readAll(Buffer.concat([binary, END]), 100)).files.get('a'), content)
})
