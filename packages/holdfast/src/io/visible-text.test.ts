import assert from 'node:assert/strict'
import { test } from 'node:test'
import { visibleLine, visibleText } from './visible-text.ts'

const HOSTILE = 'a\u001b[2J\u001b[1m\u001b[8m\u009b1A\u0007\rb\u202ec\u007f'

test('what commands a terminal is shown and not obeyed', () => {
  const shown = visibleText(HOSTILE)
  assert.equal(shown, 'a\\u001b[2J\\u001b[1m\\u001b[8m\\u009b1A\\u0007\\u000db\\u202ec\\u007f')
  assert.equal(visibleText(`${'\u001b'}[32mgood${'\u001b'}[39m\n`, true), '\u001b[32mgood\u001b[39m\n')
  for (const bad of ['\u001b[2J', '\u001b[8m']) assert.ok(!visibleText(HOSTILE, true).includes(bad))
  assert.equal(visibleLine('one\r\ntwo\tthree'), 'one two three')
  assert.equal(visibleText('Zürich, 東京 ✓\n'), 'Zürich, 東京 ✓\n')
})

test('JSON means the same afterwards', () => {
  const value = { because: HOSTILE, list: ['\u2028', '"\\', '\ud83d\ude00'] }
  assert.deepEqual(JSON.parse(visibleText(JSON.stringify(value))), value)
})
