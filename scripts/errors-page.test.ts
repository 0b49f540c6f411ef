import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorsPage, readAdvice } from './errors-page.ts'

const ROW = { status: 400, retryable: false, title: 'The description has mistakes' }

test('a page made twice is the same page, and advice written by hand stays', () => {
  const first = errorsPage({ HF_B: ROW, HF_A: { ...ROW, retryable: true } }, new Map())
  assert.equal(errorsPage({ HF_B: ROW, HF_A: { ...ROW, retryable: true } }, readAdvice(first)), first)
  const byHand = first.replace('Try again: no.\n', 'Try again: no.\n\nLook at the line it names.\n\nThen mend it.\n')
  const second = errorsPage({ HF_A: ROW, HF_B: ROW }, readAdvice(byHand))
  assert.match(second, /## HF_B\n\nThe description.*\n\nLook at the line it names\.\n\nThen mend it\.\n/)
  assert.equal(errorsPage({ HF_A: ROW, HF_B: ROW }, readAdvice(second)), second)
})

test('a code that left the table leaves the page', () => {
  const page = errorsPage({ HF_A: ROW }, readAdvice('## HF_GONE\n\nline\n\nadvice\n'))
  assert.doesNotMatch(page, /HF_GONE/)
})
