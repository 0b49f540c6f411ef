/** Every file of testdata against the exact text a person sees. HOLDFAST_GOLDEN=write rewrites; then read it. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { parse, stringify } from 'yaml'
import { type Loaded, loadBytes, loadPlatform } from './load.ts'
import { mistakesText } from './report.ts'
import { nodeSettings, storeSettings } from './settings.ts'

const testdata = fileURLToPath(new URL('testdata/', import.meta.url))
const env = { TOKEN: 'a-token-of-good-length', SUPER: 'super', REPL: 'repl', APP: 'app' }
const good = readFileSync(join(testdata, 'good.input'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function load(text: string): Loaded {
  return loadBytes(Buffer.from(text), join(folder, 'holdfast.yaml'), { env })
}

function told(loaded: Loaded, name: string): string {
  const mistakes = loaded.ok ? 'no mistakes' : mistakesText(name, loaded.mistakes)
  return loaded.warnings.length === 0
    ? `${mistakes}\n`
    : `${mistakes}\n--- warnings\n${mistakesText(name, loaded.warnings)}\n`
}

describe('mistakes of a description', () => {
  for (const input of readdirSync(testdata).filter((name) => name.endsWith('.input'))) {
    it(`tells every mistake of ${input}`, () => {
      const bytes = readFileSync(join(testdata, input))
      const text = told(loadBytes(bytes, '/srv/holdfast.yaml', { env }), 'holdfast.yaml')
      const golden = join(testdata, input.replace(/input$/, 'expected'))
      if (process.env.HOLDFAST_GOLDEN === 'write') writeFileSync(golden, text)
      assert.equal(text, readFileSync(golden, 'utf8'))
    })
  }

  it('never shows a secret that was written in plain sight', () => {
    const text = readFileSync(join(testdata, 'secrets-in-sight.expected'), 'utf8')
    assert.doesNotMatch(text, /hunter2|sesame/)
  })

  it('says that a file is not there, is a folder, or is far too long', () => {
    const missing = told(loadPlatform(join(folder, 'nowhere.yaml'), { env }), 'x')
    assert.match(missing, /nowhere\.yaml cannot be read: it does\s+not\s+exist/)
    assert.match(told(loadPlatform(folder, { env }), 'x'), /it is a\s+folder/)
    assert.match(told(load('a'.repeat(600_000)), 'x'), /no description is that long/)
  })

  it('survives nesting that ends the stack of a parser', () => {
    assert.match(told(load('['.repeat(100_000)), 'x'), /nested too deeply|is missing/)
    assert.match(told(load(`version: ${'{ a: '.repeat(40)}1${' }'.repeat(40)}`), 'x'), /nested too deeply/)
  })

  // Work that grew with the square of the keys would take minutes here and meet the bound on any machine.
  it('refuses a file of many keys without choking on it', { timeout: 60_000 }, () => {
    const text = Array.from({ length: 60_000 }, (_, index) => `k${index}:`).join('\n')
    assert.equal(load(text).ok, false)
  })

  it('refuses a secret file that others may read and names the command', () => {
    const file = join(folder, 'token')
    writeFileSync(file, 'a-token-of-good-length\n')
    chmodSync(file, 0o644)
    const text = good.replaceAll('{ env: TOKEN }', '{ file: token }')
    assert.match(told(load(text), 'x'), new RegExp(`mode 644\\)\\n\\s+right\\s+chmod 600 ${file}`))
    chmodSync(file, 0o600)
    const loaded = load(text)
    assert.ok(loaded.ok)
    assert.equal(loaded.platform.agents[0]?.token.reveal(), 'a-token-of-good-length')
  })

  it('keeps a secret out of everything that prints a platform', () => {
    const loaded = load(good)
    assert.ok(loaded.ok)
    assert.doesNotMatch(JSON.stringify(loaded.platform), /a-token-of-good-length/)
    assert.doesNotMatch(String(loaded.platform.agents[0]?.token), /a-token-of-good-length/)
  })

  it('reads only the secrets that are asked for', () => {
    const file = join(folder, 'holdfast.yaml')
    assert.ok(loadBytes(Buffer.from(good), file, { env: {}, secrets: 'none' }).ok)
    assert.ok(loadBytes(Buffer.from(good), file, { env: { TOKEN: env.TOKEN }, secrets: 'agents' }).ok)
    assert.equal(loadBytes(Buffer.from(good), file, { env: { TOKEN: env.TOKEN } }).ok, false)
  })
})

describe('a description without mistakes', () => {
  it('becomes a platform with absolute paths and every default', () => {
    const loaded = load(good)
    assert.ok(loaded.ok)
    const [group] = loaded.platform.groups
    assert.equal(group?.members[0]?.dataDir, join(folder, 'm1'))
    assert.equal(group?.timing.ttlMs, 3_000)
    assert.equal(loaded.platform.agents[0]?.dir, join(folder, 'holdfast-data/agents/a-1'))
    assert.deepEqual(storeSettings(loaded.platform), {
      kind: 'embedded',
      urls: ['http://127.0.0.1:7300'],
      token: env.TOKEN,
      requestMs: 500,
    })
  })

  it('gives an agent the shortest ttl of its groups', () => {
    const fast = good
      .slice(good.indexOf('  - name: orders'))
      .replace('orders', 'carts')
      .replace('sync\n', 'sync\n    profile: fast\n')
      .replace('m-1', 'c-1')
      .replace('m-2', 'c-2')
      .replace('5501', '5601')
      .replace('5502', '5602')
      .replace('m1', 'c1')
      .replace('m2', 'c2')
    const loaded = load(good + fast)
    assert.ok(loaded.ok, told(loaded, 'x'))
    const settings = nodeSettings(loaded.platform, 'a-1')
    assert.equal(settings.ttlMs, 1_000)
    assert.deepEqual(
      settings.members.map((member) => [member.self.member, member.timing.ttlMs]),
      [
        ['m-1', 3_000],
        ['c-1', 1_000],
      ],
    )
  })
})

describe('what a crashed primary does', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['postgres', 'sync', 300],
    ['redis', 'sync', 0],
    ['redis', 'quorum: 1', 0],
    ['redis', 'async: { lossBytesMax: 1MiB, lossTimeMax: 5s }', 300],
  ]
  for (const [engine, replication, moveMs] of cases) {
    it(`is weighed against a move of ${moveMs} ms for ${engine} with ${replication.split(':')[0]}`, () => {
      const spoken = replication.includes(':') ? `{ ${replication} }` : replication
      const text = good
        .replace('engine: postgres', `engine: ${engine}`)
        .replace('replication: sync', `replication: ${spoken}`)
        .replace(engine === 'redis' ? /^ *database: .*\n/m : /^never$/, '')
      const loaded = load(text)
      assert.ok(loaded.ok, told(loaded, 'x'))
      assert.equal(nodeSettings(loaded.platform, 'a-1').members[0]?.moveEstimateMs, moveMs)
    })
  }
})

describe('whatever the bytes', () => {
  it('never throws for random bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 200 })
    fc.assert(
      fc.property(bytes, (junk) => typeof loadBytes(junk, '/x/y.yaml', { env: {} }).ok === 'boolean'),
      { numRuns: 300 },
    )
  })

  it('never throws for a good description with one value replaced by anything', () => {
    const whole = parse(good)
    const paths = pathsOf(whole, [])
    const anything = fc.oneof(fc.jsonValue(), fc.string(), fc.constantFrom(null, '', {}, [], -1, 1e308, '__proto__'))
    fc.assert(
      fc.property(fc.constantFrom(...paths), anything, (path, value) => {
        const text = stringify(replaced(whole, path, value), { aliasDuplicateObjects: false })
        const loaded = load(text)
        if (!loaded.ok) assert.ok(loaded.mistakes.every((mistake) => mistake.what !== '' && mistake.right !== ''))
      }),
      { numRuns: 500 },
    )
  })

  it('gives every mistake a line that is in the file', () => {
    const cut = fc.nat({ max: good.length })
    fc.assert(
      fc.property(cut, fc.string({ maxLength: 12 }), (at, junk) => {
        const text = good.slice(0, at) + junk + good.slice(at + 4)
        const lines = text.split(/\r\n|\r|\n/).length
        const loaded = load(text)
        if (!loaded.ok) assert.ok(loaded.mistakes.every((mistake) => mistake.line >= 0 && mistake.line <= lines))
      }),
      { numRuns: 500 },
    )
  })
})

type Where = readonly (string | number)[]

function pathsOf(value: unknown, path: Where): Where[] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [path, ...entries.flatMap(([key, inner]) => pathsOf(inner, [...path, key]))]
}

function replaced(value: unknown, path: Where, by: unknown): unknown {
  const [head, ...rest] = path
  if (head === undefined) return by
  if (Array.isArray(value)) return value.map((item, index) => (index === head ? replaced(item, rest, by) : item))
  return Object.fromEntries(
    Object.entries(value as object).map(([key, inner]) => [key, key === head ? replaced(inner, rest, by) : inner]),
  )
}
