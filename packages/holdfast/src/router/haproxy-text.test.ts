import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countsIn, cutCommands, haproxyText, modeCommands, type RelayDoor, sessionsIn } from './haproxy-text.ts'

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
const PLAN = { socket: '/run/x y', pulsePort: 99, pulseWord: 'abc', patienceMs: 10_000 }
const commands = (mode: Parameters<typeof modeCommands>[1]): string[] => modeCommands(door, mode).split('; ')

test('members start in maintenance, checked by the pulse of their router, whose own door is the backup', () => {
  const lines = haproxyText({ ...PLAN, doors: [door] }).split('\n')
  const servers = lines.filter((line) => line.startsWith('  server '))
  assert.equal(servers.length, 3)
  assert.match(servers[0] ?? '', /^ {2}server a 10\.0\.0\.2:5432 disabled check addr 127\.0\.0\.1 port 99 /)
  assert.match(servers[1] ?? '', /^ {2}server b \[fd00::3\]:5432 disabled .*on-marked-down shutdown-sessions/)
  assert.equal(servers[2], '  server _router 127.0.0.1:4321 backup')
  const wanted = [
    '  stats socket "/run/x y" mode 600 level admin',
    '  noreuseport',
    '  bind 10.0.0.1:5000 backlog 1024',
  ]
  for (const line of [
    ...wanted,
    'frontend g.door',
    'backend g',
    '  tcp-check expect string abc',
    '  timeout queue 20000ms',
  ])
    assert.ok(lines.includes(line), line)
})

test('a mode says who is let in, and ends nobody', () => {
  assert.deepEqual(commands({ to: 'nobody' }), [
    'set maxconn server g/_router 1',
    'set server g/a state drain',
    'set server g/b state drain',
  ])
  assert.deepEqual(commands({ to: 'member', member: 'b' }), [
    'set server g/a state maint',
    'set server g/b state ready',
    'set server g/b health up',
    'set server g/_router state maint',
    'set server g/_router state ready',
    'set maxconn server g/_router 7',
  ])
  assert.deepEqual(commands({ to: 'router' }), [
    'set server g/a state maint',
    'set server g/b state maint',
    'set maxconn server g/_router 7',
  ])
})

test('a cut lets nobody in, then closes every member and ends its sessions', () => {
  assert.deepEqual(cutCommands(door).split('; '), [
    'set maxconn server g/_router 1',
    'set server g/a state maint',
    'set server g/b state maint',
    'shutdown sessions server g/a',
    'shutdown sessions server g/b',
  ])
})

test('figures are read by the names of their columns; nonsense is left out', () => {
  const csv = [
    '# pxname,svname,scur,x,stot,bin,bout,',
    'g.door,FRONTEND,2,?,9,100,200,',
    'h.door,FRONTEND,,?,9,1,2,',
    'g,BACKEND,1,?,1,1,1,',
  ].join('\n')
  assert.deepEqual([...countsIn(csv)], [['g', { sessions: 2, accepted: 9, bytesUp: 100, bytesDown: 200 }]])
  assert.equal(countsIn('').size, 0)
  assert.equal(countsIn('Unknown command').size, 0)
})

test('sessions of members are counted, those of the router are not', () => {
  const head = '# pxname,svname,qcur,scur,'
  assert.equal(sessionsIn(`${head}\ng,a,0,2,\ng,b,0,1,\ng,_router,0,5,\n`), 3)
  assert.equal(sessionsIn(`${head}\ng,a,0,0,\n`), 0)
  for (const nonsense of ['', 'No such proxy.', head, `${head}\ng,a,0,,\n`])
    assert.ok(Number.isNaN(sessionsIn(nonsense)), nonsense)
})
