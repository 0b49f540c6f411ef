/** TLS everywhere: store, agents, PostgreSQL for clients and replication; the command line speaks it too. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { GroupView, PlatformView } from '../../packages/holdfast/src/cli/status-view.ts'
import { makeCertificates } from '../../packages/holdfast/src/store/certificates-fixture.ts'
import { TestPlatform, until } from '../platform.ts'
import { asked, connected, Hosts, Load } from './load.ts'

let platform: TestPlatform
after(() => platform?.destroy())

/** As a person sees it; the agents answer over TLS only. */
async function seen(): Promise<GroupView | undefined> {
  const { code, out, err } = await platform.command('status', '--output', 'json')
  assert.equal(code, 0, out + err)
  return (JSON.parse(out) as PlatformView).groups[0]
}

function leader(than: string | null = null): Promise<string> {
  return until('an open primary', async () => {
    const found = (await seen())?.members.find(({ writableForMs }) => writableForMs > 0)?.member
    return found === undefined || found === than ? null : found
  })
}

/** Until one is listed nobody may take over without loss, so nothing may crash before. */
function whole(): Promise<boolean> {
  return until('both others stream and one is listed', async () => {
    const group = await seen()
    const streaming = group?.members.filter((member) => member.streaming).length
    const { holder, eligible } = group?.record ?? { holder: null, eligible: [] }
    return streaming === 2 && eligible.some((name) => name !== holder)
  })
}

test('TLS everywhere: clone, failover, rejoin and switchover work, and nothing plain is let in', async (t) => {
  platform = await TestPlatform.describe({ members: 3 })
  const folder = join(platform.folder, 'tls')
  mkdirSync(folder)
  const { ca } = makeCertificates(folder)
  const tls = 'tls: { cert: tls/cert.pem, key: tls/key.pem, ca: tls/ca.pem }'
  const token = 'token: { env: HF_TOKEN } }'
  const secrets = /^( {4}secrets: .*)$/m
  const plain = platform.text()
  platform.write(plain.replaceAll(token, `token: { env: HF_TOKEN }, ${tls} }`).replace(secrets, `$1\n    ${tls}`))
  const hosts = new Hosts(platform)
  await platform.store().says(/ready at https:/)
  await hosts.start()
  await platform.router().says(/ready at/)
  const first = await leader()
  await whole()
  const door = { port: platform.doorPort, ssl: { ca } }
  const load = await Load.start(door, t)

  const used = await asked(door, 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()')
  assert.equal(used[0]?.ssl, true)
  await assert.rejects(connected({ port: platform.doorPort }), /no encryption|pg_hba/)
  await assert.rejects(fetch(`http://127.0.0.1:${platform.agentPorts[0]}/livez`))

  await t.test('the host of the primary crashes, another takes over, and the first comes back', async (s) => {
    const crashedMs = performance.now()
    hosts.crash(first)
    await leader(first)
    await load.more()
    const outageMs = load.outageMs(crashedMs)
    await hosts.start([`a${platform.members.indexOf(first) + 1}`])
    const startedMs = performance.now()
    await whole()
    s.diagnostic(`write outage ${outageMs} ms, back after ${Math.round(performance.now() - startedMs)} ms`)
  })

  await t.test('a switchover moves it back without loss', async (s) => {
    const askedMs = performance.now()
    const said = await platform.command('switchover', 'orders', '--to', first)
    assert.equal(said.code, 0, said.out + said.err)
    await load.more()
    s.diagnostic(`longest time without an acknowledged write ${load.outageMs(askedMs)} ms`)
    assert.equal(await leader(), first)
    assert.deepEqual(await load.lost(), [])
    const explained = await platform.command('explain', 'orders')
    assert.equal(explained.code, 0, explained.err)
  })

  await t.test('an address beyond this machine is refused without TLS', async () => {
    platform.write(plain.replaceAll('listen: 127.0.0.1:', 'listen: 10.1.2.3:'))
    const said = platform.run(['validate', platform.file])
    assert.equal(await said.end(), 2, said.text)
    const text = said.text.replace(/\s+/g, ' ')
    assert.match(text, /agent `a1` would listen on 10\.1\.2\.3:\d+ without TLS; its token could be read/)
    assert.match(text, /the store would listen on 10\.1\.2\.3:\d+ without TLS/)
    const agent = platform.agent('a1')
    assert.equal(await agent.end(), 2)
    assert.match(agent.text, /without TLS/)
  })
})
