import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { readDocSteps } from './doc-commands.ts'

const ROOT = join(import.meta.dirname, '..')
const FENCE = '```'

test('files, commands, background and retry are taken out in their order; shown fences are not', () => {
  const page = [
    ...['# Page', `${FENCE}yaml file=a.yaml`, 'version: 1', FENCE],
    ...[`${FENCE}sh run`, 'one', 'two', FENCE],
    ...[`${FENCE}sh`, 'only shown', FENCE],
    ...[`${FENCE}sh run background`, 'up', FENCE, `${FENCE}sh run retry=60`, 'status', FENCE],
  ].join('\n')
  assert.deepEqual(readDocSteps(page), [
    { kind: 'file', line: 3, name: 'a.yaml', text: 'version: 1\n' },
    { kind: 'commands', line: 6, text: 'one\ntwo\n', background: false, retrySeconds: 0 },
    { kind: 'commands', line: 13, text: 'up\n', background: true, retrySeconds: 0 },
    { kind: 'commands', line: 16, text: 'status\n', background: false, retrySeconds: 60 },
  ])
})

test('a typing error in the words, an open fence and a file outside the folder are refused with their line', () => {
  assert.throws(() => readDocSteps(`${FENCE}sh rum\nx\n${FENCE}`), /line 1: 'rum'/)
  assert.throws(() => readDocSteps(`a\n${FENCE}sh run\nx`), /line 2: the fence is not closed/)
  assert.throws(() => readDocSteps(`${FENCE}yaml file=../a\nx\n${FENCE}`), /leads outside/)
})

function documents(): readonly string[] {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) =>
    join('docs', name),
  )
  const top = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'packages/dashboard/README.md']
  return [...top, ...inDocs.filter((name) => name.endsWith('.md'))]
}

test('every document can be read for steps, and its links lead to files that exist', () => {
  for (const path of documents()) {
    const text = readFileSync(join(ROOT, path), 'utf8')
    readDocSteps(text)
    for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const file = join(ROOT, dirname(path), target)
      assert.ok(existsSync(file), `${path} leads to ${relative(ROOT, file)}, which is not there`)
    }
  }
})
