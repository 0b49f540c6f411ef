import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadBytes } from './load.ts'

const EXAMPLE = readFileSync(new URL('../../../../examples/one-host.yaml', import.meta.url), 'utf8')
const ENV = { CHAT: 'https://hooks.example.com/secret-path', MAIL: 'a-password' }

function load(alerts: string, secrets: 'none' | 'alerts' | 'all' = 'none', env: Record<string, string> = ENV) {
  return loadBytes(Buffer.from(`${EXAMPLE}\n${alerts}`), '/etc/holdfast/holdfast.yaml', { env, secrets })
}

function mistakes(alerts: string): readonly string[] {
  const loaded = load(alerts)
  return loaded.ok ? [] : loaded.mistakes.map(({ what, right }) => `${what}; ${right}`)
}

const MAIL = '    - { name: m, kind: mail, server: "127.0.0.1:25", tls: none, to: [c@d.example]'
const CHAT = '    - { name: chat, kind: slack, url: { env: CHAT } }'

test('without the block nobody is told and every rule stands', () => {
  const loaded = load('')
  assert.ok(loaded.ok)
  const { channels, routes, everyMs, rules, dir } = loaded.platform.alerts
  assert.deepEqual([channels, routes, everyMs, rules], [[], { critical: [], warning: [], info: [] }, 5_000, {}])
  assert.equal(dir, '/etc/holdfast/holdfast-data/alerts')
})

test('warnings and worse go to every channel, limits have the unit of their rule, only alerts read the secrets', () => {
  const text = `alerts:
  channels:
${CHAT}
    - { name: box, kind: mail, server: "mail.example.com:587", user: u, password: { env: MAIL }, from: a@example.com,
        to: [b@example.com] }
  rules:
    lag-near-bound: { limit: 0.5, for: 2m }
    certificate-expiring: { limit: 30d, severity: critical }`
  const loaded = load(text, 'alerts')
  assert.ok(loaded.ok, JSON.stringify(loaded))
  const { channels, routes, rules } = loaded.platform.alerts
  assert.deepEqual(routes, { critical: ['chat', 'box'], warning: ['chat', 'box'], info: [] })
  assert.deepEqual([rules['lag-near-bound']?.limit, rules['lag-near-bound']?.forMs], [0.5, 120_000])
  assert.equal(rules['certificate-expiring']?.limit, 2_592_000)
  const [chat] = channels
  assert.ok(
    chat?.kind === 'slack' && chat.url.reveal() === ENV.CHAT && loaded.platform.agents[0]?.token.known === false,
  )
  assert.doesNotMatch(JSON.stringify(loaded.platform), /secret-path|a-password/)
  const missing = load(text, 'alerts', {})
  assert.ok(!missing.ok && missing.mistakes.some(({ what }) => /variable CHAT is not set/.test(what)))
})

const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ['a route to nobody', `  channels:\n${CHAT}\n  routes: { critical: [chatt] }`, /no channel `chatt`; `chat`\?/],
  ['an escalation to nobody', '  escalation: { after: 5m, to: [boss] }', /no channel `boss`/],
  ['two of one name', `  channels:\n${CHAT}\n${CHAT}`, /already channel `chat`/],
  ['an unknown rule', '  rules: { lag-near-bond: { limit: 0.5 } }', /no rule `lag-near-bond`; `lag-near-bound`\?/],
  ['a limit that cannot be meant', '  rules: { disk-filling: { limit: 15 } }', /15 does not fit; a number from 0.01/],
  ['a share for a time', '  rules: { certificate-expiring: { limit: 0.5 } }', /does not fit; a duration/],
  ['a limit where there is none', '  rules: { no-writer: { limit: 1 } }', /compares with nothing/],
  [
    'a secret in the open',
    '  channels:\n    - { name: chat, kind: slack, url: "https://x.example.com/abc" }',
    /env: NAME/,
  ],
  ['a name in a URL', '  channels:\n    - { name: h, kind: webhook, url: "https://u:p@example.com/" }', /without user/],
  [
    'a mail that travels in the open',
    `  channels:\n${MAIL.replace('127.0.0.1', 'mail.example.com')}, from: a@b.example }`,
    /in the open/,
  ],
  [
    'a mail address that is two headers',
    `  channels:\n${MAIL}, from: "a@b.example\\r\\nBcc: x@y.z" }`,
    /a mail address/,
  ],
  ['looks without a pause', '  every: 1ms', /1ms is out of range/],
]
for (const [what, text, expected] of WRONG) {
  test(`a mistake with what would be right: ${what}`, () => {
    const found = mistakes(`alerts:\n${text}`)
    assert.ok(
      found.some((one) => expected.test(one)),
      found.join('\n'),
    )
  })
}

test('the block that the how-to shows is right', () => {
  const page = readFileSync(new URL('../../../../docs/operate/alerts.md', import.meta.url), 'utf8')
  const [, block = ''] = /```yaml\n(alerts:[\s\S]*?)```/.exec(page) ?? []
  assert.deepEqual(mistakes(block), [])
  assert.match(block, /escalation/)
})
