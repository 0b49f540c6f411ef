import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandsFor, countsIn, haproxyText, type RelayDoor } from './haproxy-text.ts'

const door: RelayDoor = {
  group: 'g',
  listen: { host: '10.0.0.1', port: 5_000 },
  members: [
    { member: 'a', host: '10.0.0.2', port: 5_432 },
    { member: 'b', host: 'fd00::3', port: 5_432 },
  ],
  ownPort: 4_321,
  sessionsMax: 7,
}
const commands = (mode: Parameters<typeof commandsFor>[1], cut: boolean): string[] =>
  commandsFor(door, mode, cut).split('; ')

test('members start in maintenance, checked by the pulse of their router, whose own door is the backup', () => {
  const lines = haproxyText({ doors: [door], socket: '/run/x', pulsePort: 99 }).split('\n')
  const servers = lines.filter((line) => line.startsWith('  server '))
  assert.equal(servers.length, 3)
  assert.match(servers[0] ?? '', /^ {2}server a 10\.0\.0\.2:5432 disabled check addr 127\.0\.0\.1 port 99 /)
  assert.match(servers[1] ?? '', /^ {2}server b \[fd00::3\]:5432 disabled .*on-marked-down shutdown-sessions/)
  assert.equal(servers[2], '  server _router 127.0.0.1:4321 backup')
  for (const line of [
    '  stats socket /run/x mode 600 level admin',
    '  noreuseport',
    '  bind 10.0.0.1:5000 backlog 1024',
  ])
    assert.ok(lines.includes(line), line)
})

test('a turn without a cut only says who is let in', () => {
  assert.deepEqual(commands({ to: 'nobody' }, false), [
    'set maxconn server g/_router 1',
    'set server g/a state drain',
    'set server g/b state drain',
  ])
  assert.deepEqual(commands({ to: 'member', member: 'b' }, false), [
    'set server g/a state maint',
    'set server g/b state ready',
    'set server g/_router state maint',
    'set server g/_router state ready',
    'set maxconn server g/_router 7',
  ])
  assert.deepEqual(commands({ to: 'router' }, false), [
    'set server g/a state maint',
    'set server g/b state maint',
    'set maxconn server g/_router 7',
  ])
})

test('a cut lets nobody in, ends every session, and only then opens', () => {
  const turn = commands({ to: 'member', member: 'b' }, true)
  const at = (command: string): number => turn.lastIndexOf(command)
  assert.equal(at('set maxconn server g/_router 1'), 0)
  for (const member of ['a', 'b']) {
    const ended = at(`shutdown sessions server g/${member}`)
    assert.ok(turn.indexOf(`set server g/${member} state maint`) < ended)
    assert.ok(ended !== -1 && ended < at('set server g/b state ready'))
  }
  assert.equal(at('set maxconn server g/_router 7'), turn.length - 1)
  assert.equal(commands({ to: 'nobody' }, true).at(-1), 'shutdown sessions server g/b')
})

test('counts are read by the names of their columns; nonsense is left out', () => {
  const csv =
    '# pxname,svname,scur,x,stot,bin,bout,\ng,FRONTEND,2,?,9,100,200,\nh,FRONTEND,,?,9,1,2,\ng,BACKEND,1,?,1,1,1,\n'
  assert.deepEqual([...countsIn(csv)], [['g', { sessions: 2, accepted: 9, bytesUp: 100, bytesDown: 200 }]])
  assert.equal(countsIn('').size, 0)
  assert.equal(countsIn('Unknown command').size, 0)
})
