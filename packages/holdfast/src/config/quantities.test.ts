import assert from 'node:assert/strict'
import { it } from 'node:test'
import { editDistance, nearest } from './nearest.ts'
import {
  bytesText,
  durationText,
  isLoopbackUrl,
  isWildcard,
  parseAddress,
  parseBytes,
  parseDurationMs,
} from './quantities.ts'

it('reads durations with a unit and nothing else', () => {
  const cases: [string, number | null][] = [
    ['500ms', 500],
    ['1.5s', 1_500],
    ['30m', 1_800_000],
    ['2h', 7_200_000],
    ['3', null],
    ['3 s', null],
    ['-1s', null],
    ['1e3s', null],
    ['', null],
  ]
  for (const [text, ms] of cases) assert.equal(parseDurationMs(text), ms, text)
})

it('reads sizes in powers of two and of ten', () => {
  assert.equal(parseBytes('16MiB'), 16_777_216)
  assert.equal(parseBytes('1.5kB'), 1_500)
  assert.equal(parseBytes('16mb'), null)
})

it('knows an address of this machine in a URL, and what only looks like one', () => {
  for (const url of ['http://localhost', 'http://127.0.0.1:80/x', 'http://[::1]:80']) assert.ok(isLoopbackUrl(url), url)
  const others = ['http://127.0.0.1.example.org', 'http://localhost@example.org', 'http://example.org', 'http://[']
  for (const url of others) assert.equal(isLoopbackUrl(url), false, url)
})

it('reads addresses of names, IPv4 and bracketed IPv6', () => {
  assert.deepEqual(parseAddress('db-1.example.org:5432'), { host: 'db-1.example.org', port: 5432 })
  assert.deepEqual(parseAddress('[::1]:80'), { host: '::1', port: 80 })
  for (const text of ['5432', 'host:', 'host:0', 'host:70000', '::1:80', 'a b:1', '-a:1']) {
    assert.equal(parseAddress(text), null, text)
  }
  assert.ok(isWildcard('0.0.0.0') && isWildcard('::') && !isWildcard('::1'))
})

it('writes numbers for people', () => {
  assert.deepEqual([0, 340, 2_400, 60_000, 11_160_000].map(durationText), ['0 ms', '340 ms', '2.4 s', '1 min', '3.1 h'])
  assert.deepEqual([0, 512, 1_536, 16_777_216].map(bytesText), ['0 B', '512 B', '1.5 KiB', '16 MiB'])
})

it('finds the word that was meant, and none when nothing is near', () => {
  assert.equal(editDistance('listen', 'lisetn'), 1)
  assert.equal(nearest('data_dir', ['name', 'dataDir']), 'dataDir')
  assert.equal(nearest('colour', ['kind', 'site', 'listen']), null)
})
