/** A store that answers nonsense, or refuses our token: nobody becomes primary by it, and all is well once it mends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import { freePorts, type Running, TestPlatform, until } from '../platform.ts'

type Mood = 'honest' | 'web page' | 'half an answer' | 'strange records'

/** Stands before the store; passes everything on when honest. */
class Liar {
  readonly #server: Server
  readonly #storePort: number
  readonly #open = new Set<ServerResponse>()
  #mood: Mood = 'honest'
  /** Answers given that were no honest ones. */
  lies = 0

  constructor(storePort: number) {
    this.#storePort = storePort
    this.#server = createServer((asked, answer) => this.#serve(asked, answer))
    this.#server.unref()
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** Watches that stand are cut, so that everybody meets the new mood. */
  become(mood: Mood): void {
    this.#mood = mood
    for (const answer of this.#open) answer.destroy()
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #serve(asked: IncomingMessage, answer: ServerResponse): void {
    this.#open.add(answer)
    answer.on('close', () => this.#open.delete(answer))
    if (this.#mood === 'web page') {
      this.lies++
      answer.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>please log in</body></html>')
    } else if (this.#mood === 'half an answer') {
      this.lies++
      answer.writeHead(200, { 'content-type': 'application/json' }).end('{"store":"x","revision":9,"entr')
    } else this.#passOn(asked, answer)
  }

  #passOn(asked: IncomingMessage, answer: ServerResponse): void {
    const { url = '/', method = 'GET', headers } = asked
    const onward = request({ port: this.#storePort, host: '127.0.0.1', path: url, method, headers }, (told) => {
      const strange = this.#mood === 'strange records' && !url.includes('watch')
      if (!strange) {
        answer.writeHead(told.statusCode ?? 500, told.headers)
        told.pipe(answer)
        return
      }
      const chunks: Buffer[] = []
      told.on('data', (chunk: Buffer) => chunks.push(chunk))
      told.on('end', () => this.#twist(Buffer.concat(chunks).toString('utf8'), answer))
    })
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    asked.pipe(onward)
  }

  /** The store's own form, with a value that no record can be. */
  #twist(text: string, answer: ServerResponse): void {
    const body = JSON.parse(text) as { entry?: { value: string | null; revision: number } }
    if (body.entry !== undefined) {
      this.lies++
      body.entry.value = '{"v":1,"epoch":"many","holder":{"to":"everybody"}}'
      body.entry.revision = Math.max(1, body.entry.revision)
    }
    answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
}

let platform: TestPlatform
let liar: Liar
let agents: readonly Running[]
before(async () => {
  const [port = 0] = await freePorts(1)
  platform = await TestPlatform.describe({ members: 2, storePort: port })
  liar = new Liar(platform.storePort)
  await liar.listen(port)
  // The store itself listens where the description of its own says.
  const own = platform
    .text()
    .replace(`listen: 127.0.0.1:${port}, dir: store`, `listen: 127.0.0.1:${platform.storePort}, dir: store`)
  platform.write(own)
  await platform.store().says(/ready at/)
  platform.write(platform.text())
})
after(async () => {
  await platform.destroy()
  liar.close()
})

async function livesOfAgents(): Promise<void> {
  for (const agent of agents) assert.equal(agent.child.exitCode, null, agent.text)
}

/** Waits until the liar was asked often enough for everybody to have believed him, if anybody would. */
async function askedOften(): Promise<void> {
  const before = liar.lies
  await until('more questions to the store', async () => liar.lies > before + 20)
}

for (const mood of ['web page', 'half an answer', 'strange records'] as const) {
  test(`with a store that answers ${mood} no group is founded, agents run on and say so`, async () => {
    liar.become(mood)
    if (mood === 'web page') {
      agents = ['a1', 'a2'].map((name) => platform.agent(name))
      for (const agent of agents) await agent.says(/ready at/)
    }
    await askedOften()
    await livesOfAgents()
    assert.deepEqual(await platform.writers(), [])
    // A record that is none comes from a store that answers: it is told once, with its key.
    if (mood === 'strange records') await platform.reason('m1', /HF_STORE_NONSENSE.*"key":/)
    const told = await until('the trouble with the store', async () => {
      const { out } = await platform.command('status')
      return mood === 'strange records' ||
        /agent a1: does not reach its store \(HF_STORE_(UNREACHABLE|NONSENSE)\): /.test(out)
        ? out
        : null
    })
    assert.match(told.replace(/\s+/g, ' '), /no agent of this group has seen its record yet/)
  })
}

test('when the store is honest again the group is founded', async () => {
  liar.become('honest')
  await platform.whole()
  // A named target that is just starting is waited for.
  await switchOver()
})

async function switchOver(): Promise<void> {
  const primary = await platform.whole()
  const other = platform.members.find((member) => member !== primary) ?? ''
  const said = await platform.command('switchover', 'orders', '--to', other)
  assert.equal(said.code, 0, said.out + said.err)
}

test('a store that turns to nonsense costs no acknowledged write and makes no second primary', async () => {
  const primary = await platform.whole()
  await platform.query(primary, 'create table ledger (n int primary key)')
  await platform.query(primary, 'insert into ledger values (1)')
  liar.become('strange records')
  await askedOften()
  for (let look = 0; look < 20; look++) assert.ok((await platform.writers()).length <= 1)
  await livesOfAgents()
  liar.become('honest')
  const again = await platform.whole()
  assert.deepEqual(await platform.query(again, 'select n from ledger'), [{ n: 1 }])
})

test('an agent with a wrong token for the store runs on, holds nothing, and says what to mend', async () => {
  for (const agent of agents) assert.equal(await agent.stop(), 0, agent.text)
  const stranger = platform.agent('a1', { HF_TOKEN: 'another-token-of-good-length' })
  await stranger.says(/ready at/)
  await stranger.says(/token/i)
  assert.equal(stranger.child.exitCode, null)
  assert.deepEqual(await platform.writers(), [])
  assert.doesNotMatch(stranger.text, /another-token-of-good-length/, 'a token is never shown')
  const asked = await platform.command('status')
  assert.match(asked.out, /agent a1: HF_AUTH_REQUIRED/)
  const refused = await platform.command('switchover', 'orders')
  assert.equal(refused.code, 1)
  assert.match(refused.err, / next: [\s\S]*token[\s\S]* code: HF_AUTH_REQUIRED/)
  assert.equal(await stranger.stop(), 0)
  agents = ['a1', 'a2'].map((name) => platform.agent(name))
  await platform.whole()
})
