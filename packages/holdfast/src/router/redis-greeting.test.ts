import assert from 'node:assert/strict'
import { it } from 'node:test'
import { greetingOf, NOT_NOW, TOO_MANY } from './postgres-greeting.ts'
import { refusalFor } from './redis-greeting.ts'

const text = { message: 'group stock\r\ncannot take it', detail: 'It waited.', hint: 'Try again.' }

function refused(bytes: string | Buffer, sqlState = NOT_NOW): string | null {
  const head = Buffer.from(bytes)
  const greeting = greetingOf(head)
  assert.ok(greeting !== null)
  return refusalFor(greeting, head, { sqlState, ...text })?.toString('utf8') ?? null
}

it('a client of Redis is refused with one line it can read, and tries again', () => {
  const line = '-LOADING group stock cannot take it. It waited. Try again.\r\n'
  assert.equal(refused('*1\r\n$4\r\nPING\r\n'), line)
  assert.equal(refused('PING\r\n'), line)
  assert.match(refused('*2', TOO_MANY) ?? '', /^-ERR max number of clients reached: [^\r\n]*\r\n$/)
})

it('a client of PostgreSQL is refused in its own language', () => {
  const startup = Buffer.alloc(9)
  startup.writeUInt32BE(9, 0)
  startup.writeUInt32BE(3 << 16, 4)
  assert.match(refused(startup) ?? '', /^E[\s\S]*C57P03/)
})

it('a client that speaks something else is told nothing', () => {
  assert.equal(refused(Buffer.from([0x16, 0x03, 0x01, 0x00])), null)
})
