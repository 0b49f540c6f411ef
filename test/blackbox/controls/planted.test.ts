import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FAULTS } from '../nemesis/faults.ts'
import { copyProgram, planted, ROOT } from './copy.ts'
import { PLANTED } from './planted.ts'

for (const bug of PLANTED) {
  test(`the place of ${bug.name} stands exactly once in today's source, and its faults exist`, () => {
    for (const edit of [...bug.edits, ...(bug.ground ?? [])]) {
      const text = readFileSync(join(ROOT, edit.file), 'utf8')
      assert.notEqual(planted(text, edit), text)
    }
    for (const fault of bug.faults) assert.ok(FAULTS[fault], fault)
    assert.ok(bug.expects.length > 0 && bug.triesMax > 0)
  })
}

test('a place that is not there, or there twice, is refused', () => {
  const edit = { file: 'a.ts', find: 'one', replace: 'two' }
  assert.throws(() => planted('three', edit), /a\.ts holds 0 times, not once: one/)
  assert.throws(() => planted('one one', edit), /2 times/)
})

test('a copy runs, with the bug in it and the original untouched', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-copy-'))
  try {
    const [bug] = PLANTED
    assert.ok(bug)
    const program = copyProgram(folder, bug.edits)
    for (const { file, find } of bug.edits) {
      assert.ok(!readFileSync(join(folder, file), 'utf8').includes(find))
      assert.ok(readFileSync(join(ROOT, file), 'utf8').includes(find))
    }
    assert.match(execFileSync(process.execPath, [program, '--help'], { encoding: 'utf8' }), /agent/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
