import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCommandLine, SMOKE, UsageError } from './settings.ts'

const read = (...words: string[]) => readCommandLine(words, () => 99)

test('without words there is a fresh seed and a short sync run of everything that is possible', () => {
  const line = read()
  assert.ok(line !== 'help')
  const { seed, mode, profile, faults, count } = line.settings
  assert.deepEqual([seed, mode, profile, count], [99, 'sync', 'fast', null])
  assert.ok(faults.length > 15 && !faults.includes('store-without-quorum'))
})

test('what is given is taken', () => {
  const line = read(
    '--seed',
    '7',
    '--faults',
    'cut-store, kill-host',
    '--minutes',
    '0.5',
    '--without',
    '1,3',
    '--record',
  )
  assert.ok(line !== 'help')
  const { seed, faults, minutes, without } = line.settings
  assert.deepEqual([seed, faults, minutes, without], [7, ['cut-store', 'kill-host'], 0.5, [1, 3]])
  assert.ok(line.record && !line.json)
})

test('one run has a disk that can be filled, another one that can be slow', () => {
  for (const seed of ['4', '5']) {
    const line = read('--seed', seed)
    assert.ok(line !== 'help')
    const disks = line.settings.faults.filter((name) => name === 'disk-full' || name === 'slow-disk')
    assert.ok(disks.length <= 1, disks.join())
  }
})

test('the smoke run has three faults', () => {
  const line = read('--smoke')
  assert.ok(line !== 'help')
  assert.deepEqual(line.settings.faults, SMOKE.faults)
  assert.equal(line.settings.count, 3)
})

test('a word that is wrong is refused with what would be right', () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [['--mode', 'lazy'], /--mode is sync or quorum or async, not "lazy"/],
    [['--seed', '-1'], /--seed/],
    [['--seed', '1.5'], /--seed is a whole number/],
    [['--minutes', '0'], /--minutes is a number above 0/],
    [['--minutes', 'many'], /--minutes/],
    [['--faults', 'kill-all'], /no fault is called "kill-all"; there are /],
    [['--faults', 'store-without-quorum'], /cannot be done here: .*--store etcd/],
    [['--faults', 'disk-full', '--subject', 'patroni'], /disk-full cannot be done here/],
    [['--smoke', '--count', '9'], /--smoke has its own/],
    [['--sed', '1'], /--sed/],
    [['stray'], /stray/],
  ]
  for (const [words, message] of refused) {
    assert.throws(
      () => read(...words),
      (error) => error instanceof UsageError && message.test(error.message),
      words.join(' '),
    )
  }
})

test('Redis is a group of the product; a rival has none', () => {
  const line = read('--engine', 'redis', '--mode', 'async')
  assert.ok(line !== 'help')
  assert.deepEqual([line.settings.engine, line.settings.mode], ['redis', 'async'])
  assert.throws(() => read('--engine', 'redis', '--subject', 'patroni'), UsageError)
  assert.throws(() => read('--engine', 'mysql'), /--engine is postgres or redis, not "mysql"/)
})

test('a shop has faults of whole sites, which one group has not, and both engines', () => {
  const line = read('--scenario', 'shop', '--faults', 'kill-site,move')
  assert.ok(line !== 'help')
  assert.deepEqual([line.settings.scenario, line.settings.faults], ['shop', ['kill-site', 'move']])
  const [whole, group] = [read('--scenario', 'shop'), read()]
  assert.ok(whole !== 'help' && group !== 'help')
  assert.ok(whole.settings.faults.includes('isolate-site') && !group.settings.faults.includes('isolate-site'))
  assert.throws(() => read('--faults', 'kill-site'), /kill-site cannot be done here: .*--scenario shop/)
  for (const more of [
    ['--engine', 'redis'],
    ['--subject', 'patroni'],
  ]) {
    assert.throws(() => read('--scenario', 'shop', ...more), /--scenario shop has both engines/)
  }
})
