/** Plants one violation of each rule and sees it found at its line; sees the innocent neighbour pass. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Lock, withoutGaps } from './lock-gaps.ts'
import { sourceFile } from './tidy/source-files.ts'
import { tidy } from './tidy.ts'

/** `rule path:line` of every finding for these files. */
function found(files: Readonly<Record<string, string>>, allowed = ''): readonly string[] {
  const sources = Object.entries(files).map(([path, text]) => sourceFile(path, text))
  return tidy(sources, allowed).map((finding) => `${finding.rule} ${finding.path}:${finding.line}`)
}

const SRC = 'packages/holdfast/src'

describe('arrows between rooms', () => {
  test('the core may import the core and nothing else, not even a type', () => {
    const core = `${SRC}/core/lease/turn.ts`
    const files = {
      [core]: `import { a } from '../model.ts'\nimport type { Clock } from '../../io/clock.ts'\nexport const b = a\n`,
      [`${SRC}/core/model.ts`]: 'export const a = 1\n',
      [`${SRC}/io/clock.ts`]: 'export interface Clock {}\n',
    }
    assert.deepEqual(found(files), [`arrows ${core}:2`])
  })

  test("the core may not import Node's modules, nor may the client import a package", () => {
    const files = {
      [`${SRC}/core/a.ts`]: `import { readFileSync } from 'node:fs'\nexport const a = readFileSync\n`,
      'packages/client/src/pool.ts': `import { Pool } from 'pg'\nimport { once } from 'node:events'\n`,
    }
    assert.deepEqual(found(files), ['packages packages/client/src/pool.ts:1', `packages ${SRC}/core/a.ts:1`])
  })

  test('an arrow also holds for import() and for export from', () => {
    const path = `${SRC}/store/etcd/a.ts`
    const files = { [path]: `export { x } from '../../agent/b.ts'\nexport const y = () => import('../../cli/c.ts')\n` }
    assert.deepEqual(found(files), [`arrows ${path}:1`, `arrows ${path}:2`])
  })

  test('an adapter may not import another, and a contract none', () => {
    const files = {
      [`${SRC}/store/etcd/a.ts`]: `import { b } from '../embedded/b.ts'\nexport const a = b\n`,
      [`${SRC}/store/embedded/b.ts`]: 'export const b = 1\n',
    }
    assert.deepEqual(found(files), [`adapters ${SRC}/store/etcd/a.ts:1`])
    const contract = { [`${SRC}/engines/contract.ts`]: `export { a } from './postgres/a.ts'\n` }
    assert.ok(found(contract).includes(`adapters ${SRC}/engines/contract.ts:1`))
  })

  test('files that import each other in a ring are named, lazily loaded ones are not', () => {
    const ring = {
      [`${SRC}/core/a.ts`]: `import { b } from './b.ts'\nexport const a = b\n`,
      [`${SRC}/core/b.ts`]: `import { c } from './c.ts'\nexport const b = c\n`,
      [`${SRC}/core/c.ts`]: `import type { a } from './a.ts'\nexport const c: typeof a = 1\n`,
    }
    assert.deepEqual(found(ring), [`cycles ${SRC}/core/c.ts:1`])
    const lazy = { ...ring, [`${SRC}/core/c.ts`]: `export const c = () => import('./a.ts')\n` }
    assert.deepEqual(found(lazy), [])
  })

  test('source may not import a test; a relative import carries its ending', () => {
    const files = {
      [`${SRC}/io/a.ts`]: `import { b } from './b.test.ts'\nimport { c } from './c'\nexport const a = [b, c]\n`,
    }
    assert.deepEqual(found(files), [`arrows ${SRC}/io/a.ts:1`, `extension ${SRC}/io/a.ts:2`])
  })
})

describe('sizes', () => {
  const lines = (count: number): string => 'call()\n'.repeat(count)

  test('a file of 501 lines is too long, one of 500 is not', () => {
    assert.deepEqual(found({ 'scripts/a.ts': lines(501) }), ['file-size scripts/a.ts:501'])
    assert.deepEqual(found({ 'scripts/a.ts': lines(500) }), [])
  })

  test('a function of 71 lines is too long, whichever way it is written', () => {
    const bodies = [
      `export function f() {\n${lines(69)}}\n`,
      `export const f = () => {\n${lines(69)}}\n`,
      `class A {\nf() {\n${lines(69)}}\n}\n`,
    ]
    for (const body of bodies) assert.deepEqual(found({ 'scripts/a.ts': body }).length, 1, body.slice(0, 30))
    assert.deepEqual(found({ 'scripts/a.ts': `export function f() {\n${lines(68)}}\n` }), [])
  })

  test('braces in strings, templates and comments do not confuse the measure', () => {
    const body = `export function f() {\n// }\nconst a = '}'\nconst b = \`}\${'}'}\`\nconst c = /}/\n${lines(70)}}\n`
    assert.deepEqual(found({ 'scripts/a.ts': body }), ['function-size scripts/a.ts:1'])
  })

  test('a group of tests may be long, a test may not', () => {
    const group = (name: string): string => `${name}('x', () => {\n${lines(80)}})\n`
    assert.deepEqual(found({ 'scripts/a.test.ts': group('describe') }), [])
    assert.deepEqual(found({ 'scripts/a.test.ts': group('test') }), ['function-size scripts/a.test.ts:1'])
  })

  test('five parameters and 121 characters are too many', () => {
    const files = { 'scripts/a.ts': `export const f = (a, b, c, d, e) => a\n// ${'x'.repeat(118)}\n` }
    assert.deepEqual(found(files), ['parameters scripts/a.ts:1', 'line-length scripts/a.ts:2'])
  })
})

describe('names and doors', () => {
  test('file names are kebab-case and say something', () => {
    assert.deepEqual(found({ 'scripts/syncSet.ts': '' }), ['file-name scripts/syncSet.ts:1'])
    assert.deepEqual(found({ 'scripts/wire-utils.ts': '' }), ['empty-name scripts/wire-utils.ts:1'])
    assert.deepEqual(found({ 'scripts/sync-set.engine.test.ts': '' }), [])
  })

  test('only the door of a package is index.ts', () => {
    assert.deepEqual(found({ [`${SRC}/io/index.ts`]: '' }), [`index ${SRC}/io/index.ts:1`])
    assert.deepEqual(found({ 'packages/client/src/index.ts': '' }), [])
  })

  test('default exports are found in each form', () => {
    for (const text of ['export default 1', 'export default function f() {}', 'const a = 1\nexport { a as default }']) {
      assert.equal(found({ 'scripts/a.ts': text })[0]?.split(' ')[0], 'default-export', text)
    }
  })

  test('a class or function whose name ends in nothing is found', () => {
    assert.deepEqual(found({ 'scripts/a.ts': 'class LeaseManager {}\n' }), ['empty-name scripts/a.ts:1'])
  })
})

describe('calls', () => {
  test('clocks, randomness and the console are found outside their rooms, calls by name too', () => {
    const text = 'const a = Date.now()\nconst b = Math.random\nconst c = new Date()\nconsole.log(a, b, c)\n'
    const path = `${SRC}/agent/a.ts`
    assert.deepEqual(
      found({ [path]: text }),
      [1, 2, 3, 4].map((line) => `calls ${path}:${line}`),
    )
  })

  test('the same words in a comment or a string are no calls, and io is their home', () => {
    assert.deepEqual(found({ [`${SRC}/agent/a.ts`]: "// Date.now()\nexport const a = 'Math.random()'\n" }), [])
    assert.deepEqual(found({ [`${SRC}/io/clock.ts`]: 'export const a = () => Date.now()\n' }), [])
    assert.deepEqual(found({ [`${SRC}/agent/a.ts`]: 'export const a = new Date(5)\n' }), [])
  })

  test('a timer in the core is found, in a shell it is at home', () => {
    assert.deepEqual(found({ [`${SRC}/core/a.ts`]: 'setTimeout(f, 1)\n' }), [`calls ${SRC}/core/a.ts:1`])
    assert.deepEqual(found({ [`${SRC}/agent/a.ts`]: 'setTimeout(f, 1)\n' }), [])
  })
})

describe('words', () => {
  test('words with a better one, unfinished work and leaks are found in text as well as in code', () => {
    assert.deepEqual(found({ 'docs/a.md': 'The master crashed.\n' }), ['words docs/a.md:1'])
    assert.deepEqual(found({ 'scripts/a.ts': '// TODO later\n' }), ['unfinished scripts/a.ts:1'])
    assert.deepEqual(found({ 'docs/a.md': `see /${'work'}/shared/x.md\n` }), ['leaks docs/a.md:1'])
    assert.deepEqual(found({ 'docs/a.md': 'as decided in session 2\n' }), ['leaks docs/a.md:1'])
    assert.deepEqual(found({ 'docs/a.md': 'fixes #12.\n' }), ['leaks docs/a.md:1'])
  })

  test('a number with its repository, a colour and a heading are innocent', () => {
    assert.deepEqual(found({ 'docs/a.md': '# 1 Title\npatroni#1894 and #fff, a database session of 5\n' }), [])
  })
})

describe('dependencies and exceptions', () => {
  test('a package without a reason is found at its line', () => {
    const description = '{\n  "dependencies": {\n    "left-pad": "1.0.0",\n    "pg": "8.0.0"\n  }\n}\n'
    const files = { 'package.json': description, 'docs/internals/dependencies.md': '| `pg` | speaks to PostgreSQL |\n' }
    assert.deepEqual(found(files), ['dependencies package.json:3'])
  })

  test('a lock file that lacks the package of a platform is found, and mended by its script', () => {
    const wanting = { version: '2.0.0', dev: true, optionalDependencies: { '@a/cli-linux-arm64-musl': '2.0.0' } }
    const lock: Lock = { lockfileVersion: 3, packages: { '': {}, 'node_modules/a': wanting, 'node_modules/b': {} } }
    const textOf = (one: Lock): string => JSON.stringify(one, null, 2)
    assert.deepEqual(found({ 'package-lock.json': textOf(lock) }), ['lock package-lock.json:5'])
    const mended = withoutGaps(lock)
    assert.deepEqual(found({ 'package-lock.json': textOf(mended) }), [])
    const platform = { cpu: ['arm64'], libc: ['musl'], os: ['linux'] }
    const entry = { version: '2.0.0', dev: true, optional: true, ...platform }
    assert.deepEqual(mended.packages['node_modules/@a/cli-linux-arm64-musl'], entry)
  })

  test('an exception with a reason silences its finding; one without, or without use, is a finding', () => {
    const files = { 'scripts/a.ts': '// TODO\n' }
    assert.deepEqual(found(files, 'unfinished scripts/a.ts -- shows the mark\n'), [])
    assert.deepEqual(found(files, 'unfinished scripts/a.ts:TODO -- shows the mark\n'), [])
    assert.equal(found(files, 'unfinished scripts/a.ts\n').length, 2)
    assert.deepEqual(found({}, 'unfinished scripts/a.ts -- none there\n'), ['allowances scripts/tidy-allow.txt:1'])
  })

  test('every message says how to mend it', () => {
    const files = [sourceFile(`${SRC}/core/a.ts`, "import { a } from '../io/a.ts'\nexport default Date.now()\n")]
    for (const finding of tidy(files, '')) assert.match(finding.message, /[;.:] |, /, finding.message)
  })
})
