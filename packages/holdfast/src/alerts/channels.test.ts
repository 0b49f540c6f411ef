import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { ChannelSpec } from '../config/platform.ts'
import { Secret } from '../config/secret.ts'
import { systemClock } from '../io/clock.ts'
import { makeCertificates } from '../store/certificates-fixture.ts'
import { pagerduty, slack, webhook } from './http-channels.ts'
import { mail } from './mail.ts'
import { CONTEXT, delivery, type Receiver, receiver, told } from './receivers.fixture.ts'

const HIDDEN = 'very-hidden-word'
const secret = new Secret('file /etc/x', HIDDEN)
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function receiving(): Promise<Receiver> {
  const one = await receiver()
  ends.push(() => one.close())
  return one
}

function body(one: Receiver, at = 0): Record<string, unknown> {
  return JSON.parse(one.received[at]?.body ?? '{}') as Record<string, unknown>
}

test('a webhook gets all of it as JSON, signed over time and body, with the id of the delivery', async () => {
  const to = await receiving()
  const clock = { wallMs: () => 1_700_000_123_456 }
  const channel = webhook({ kind: 'webhook', name: 'hook', url: `${to.url}/in?x=1`, secret }, clock)
  const resolved = [told({ rule: 'agent-silent', endedAtMs: 61_000 })]
  assert.deepEqual(await channel.send(delivery({ resolved }), CONTEXT), { ok: true })
  const [received] = to.received
  assert.equal(received?.path, '/in?x=1')
  assert.equal(received?.headers['idempotency-key'], 'shop-12')
  const mac = createHmac('sha256', HIDDEN).update(`1700000123.${received?.body}`).digest('hex')
  assert.equal(received?.headers['holdfast-signature'], `t=1700000123,v1=${mac}`)
  const { firing, ...rest } = body(to)
  assert.deepEqual((firing as object[])[0], {
    id: '1f3c9a20',
    rule: 'engine-down',
    severity: 'warning',
    labels: { group: 'orders', member: 'm1' },
    summary: 'The engine of m1 in group orders does not answer',
    next: 'holdfast status',
    runbook: 'https://wiki.example.com/runbook#engine-down',
    episode: 7,
    firedAt: '2023-11-14T22:13:21.000Z',
    endedAt: null,
    acknowledgedBy: null,
  })
  assert.equal((rest.resolved as { endedAt: string }[])[0]?.endedAt, '2023-11-14T22:14:21.000Z')
  assert.deepEqual([rest.version, rest.kind, rest.platform, rest.scope], [1, 'trigger', 'shop', 'group/orders'])
})

test('a refusal, a wait that was asked for, and nobody there are said without address or secret', async () => {
  const to = await receiving()
  const url = new Secret('file /etc/y', `${to.url}/${HIDDEN}`)
  const channel = slack({ kind: 'slack', name: 'chat', url })
  to.status = 429
  to.headers = { 'retry-after': '30' }
  const refused = await channel.send(delivery(), CONTEXT)
  assert.deepEqual(refused, { ok: false, because: 'it answered with status 429', waitMs: 30_000 })
  to.status = 302
  to.headers = { location: 'http://127.0.0.1:1/' }
  assert.match(JSON.stringify(await channel.send(delivery(), CONTEXT)), /status 302/)
  assert.equal(to.received.length, 2, 'a redirect is not followed')
  to.close()
  const gone = await channel.send(delivery(), CONTEXT)
  assert.deepEqual(gone, { ok: false, because: 'it could not be reached (ECONNREFUSED)', waitMs: 0 })
})

test('a chat room gets words, and nothing in them is a link or a mention', async () => {
  const to = await receiving()
  const channel = slack({ kind: 'slack', name: 'chat', url: new Secret('file /x', to.url) })
  const evil = told({ summary: '<!channel> & <https://evil.example|here>\r\nsecond \u202e line', severity: 'critical' })
  assert.deepEqual(await channel.send(delivery({ firing: [told(), evil] }), CONTEXT), { ok: true })
  const text = String(body(to).text)
  assert.match(text, /^\*\[critical\] shop group\/orders: &lt;!channel&gt; &amp; &lt;https:/)
  assert.doesNotMatch(text, /<|\u202e|\r/)
  assert.match(text, /and 1 more/)
  assert.match(text, /holdfast alerts ack 1f3c9a20/)
})

test('somebody on duty gets one incident a scope: trigger, acknowledge, resolve by the same key', async () => {
  const to = await receiving()
  const channel = pagerduty({ kind: 'pagerduty', name: 'duty', key: secret, url: to.url })
  await channel.send(delivery({ firing: [told(), told({ severity: 'critical', rule: 'no-writer' })] }), CONTEXT)
  await channel.send(delivery({ kind: 'acknowledge' }), CONTEXT)
  await channel.send(delivery({ kind: 'trigger', firing: [], resolved: [told({ endedAtMs: 2 })] }), CONTEXT)
  await channel.send(delivery({ kind: 'resolve', firing: [], resolved: [told({ endedAtMs: 2 })] }), CONTEXT)
  const bodies = to.received.map((_, at) => body(to, at))
  assert.deepEqual(
    bodies.map(({ event_action: action }) => action),
    ['trigger', 'acknowledge', 'resolve'],
  )
  assert.ok(bodies.every((one) => one.dedup_key === 'holdfast/shop/group/orders' && one.routing_key === HIDDEN))
  const payload = bodies[0]?.payload as Record<string, unknown>
  assert.deepEqual([payload.severity, payload.source, payload.class], ['critical', 'shop', 'no-writer'])
  assert.ok(String(payload.summary).length <= 1_024)
})

interface Mailbox {
  readonly spec: (change?: Partial<Extract<ChannelSpec, { kind: 'mail' }>>) => Extract<ChannelSpec, { kind: 'mail' }>
  readonly mails: { from: string; to: string[]; text: string }[]
}

async function mailbox(options: SMTPServerOptions = {}): Promise<Mailbox> {
  const mails: Mailbox['mails'] = []
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    authOptional: true,
    ...options,
    onData: (stream, { envelope }, done) => {
      let text = ''
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8')
      })
      stream.on('end', () => {
        const { mailFrom, rcptTo } = envelope
        mails.push({ from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map((one) => one.address), text })
        done()
      })
    },
  })
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const { port } = server.server.address() as AddressInfo
  const fixed = { kind: 'mail', name: 'mail', server: { host: '127.0.0.1', port }, tls: 'none' } as const
  const people = { user: null, password: null, from: 'holdfast@example.com', to: ['ops@example.com', 'b@example.com'] }
  return { mails, spec: (change = {}) => ({ ...fixed, ...people, ...change }) }
}

test('mail arrives at everybody, in one thread a scope, and a summary cannot add a header', async () => {
  const { mails, spec } = await mailbox()
  const evil = told({ summary: 'down\r\nBcc: victim@example.com\r\n\r\nbody' })
  assert.deepEqual(await mail(spec()).send(delivery({ firing: [evil] }), CONTEXT), { ok: true })
  assert.deepEqual(await mail(spec()).send(delivery({ firing: [evil] }), CONTEXT), { ok: true })
  const [first, second] = mails
  assert.deepEqual([first?.from, first?.to], ['holdfast@example.com', ['ops@example.com', 'b@example.com']])
  const header = (name: string, text = ''): string => new RegExp(`^${name}: (.*)$`, 'mi').exec(text)?.[1] ?? ''
  assert.match(header('subject', first?.text), /\[warning\] shop group\/orders: down Bcc: victim/)
  const head = first?.text.split('\r\n\r\n')[0] ?? ''
  assert.doesNotMatch(head, /^bcc:/im)
  assert.match(first?.text ?? '', /holdfast alerts ack 1f3c9a20/)
  assert.equal(header('message-id', first?.text), header('message-id', second?.text), 'a repetition is the same mail')
  assert.match(header('references', first?.text), /^<[0-9a-f]{40}@holdfast>/)
})

test('mail with an account goes through TLS the machine trusts, and nowhere else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-mail-'))
  ends.push(() => rmSync(folder, { recursive: true }))
  const { cert, key, ca } = makeCertificates(folder)
  let password = ''
  const { mails, spec } = await mailbox({
    ...{ cert, key, disabledCommands: [], authOptional: false },
    onAuth: (auth, _session, done) => {
      password = auth.password ?? ''
      done(null, { user: auth.username ?? '' })
    },
  })
  const account = { tls: 'starttls', user: 'holdfast', password: secret } as const
  const untrusted = await mail(spec(account)).send(delivery(), CONTEXT)
  assert.ok(!untrusted.ok && password === '', 'the password did not travel')
  assert.doesNotMatch(JSON.stringify(untrusted), new RegExp(HIDDEN))
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, ca])
  ends.push(() => setDefaultCACertificates(before))
  assert.deepEqual(await mail(spec(account)).send(delivery(), CONTEXT), { ok: true })
  assert.deepEqual([password, mails.length], [HIDDEN, 1])
})

test('a server that offers no TLS, that refuses, or that is not there gets no mail, and it is said why', async () => {
  const plain = await mailbox()
  const wants = await mail(plain.spec({ tls: 'starttls' })).send(delivery(), CONTEXT)
  assert.ok(!wants.ok && plain.mails.length === 0)
  const strict = await mailbox({
    onRcptTo: (_address, _session, done) => done(Object.assign(new Error('no such box'), { responseCode: 550 })),
  })
  const refused = await mail(strict.spec()).send(delivery(), CONTEXT)
  assert.deepEqual(refused, { ok: false, because: 'the mail server answered with 550', waitMs: 0 })
  const nobody = await mail(plain.spec({ server: { host: '127.0.0.1', port: 1 } })).send(delivery(), CONTEXT)
  assert.ok(!nobody.ok && /could not be reached/.test(nobody.because))
})

test('a channel keeps its secret to itself when it is printed', () => {
  const channel = webhook({ kind: 'webhook', name: 'hook', url: 'http://127.0.0.1:1/', secret }, systemClock)
  assert.doesNotMatch(JSON.stringify(channel), new RegExp(HIDDEN))
})
