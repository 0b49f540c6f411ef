import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { HookAction } from '../config/platform.ts'
import { identify, isAlive } from '../io/process-tree.ts'
import { callHook, type HookOptions } from './hook-call.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-hooks-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function options(change: Partial<HookOptions> = {}): HookOptions {
  const facts = { service: 'shop', way: 'do', to: 'south' }
  return { folder, deadlineMs: 20_000, facts, halted: new AbortController().signal, ...change }
}

function shell(script: string): HookAction {
  return { kind: 'run', words: ['/bin/sh', '-c', script], env: [] }
}

test('a command runs in the folder of the description, knows the move, and its last words are kept', async () => {
  const end = await callHook(shell('echo "$HOLDFAST_SERVICE to $HOLDFAST_TO"; pwd > here'), options())
  assert.deepEqual(end, { ok: true, because: 'exit 0: shop to south' })
  assert.equal(readFileSync(join(folder, 'here'), 'utf8').trim(), folder)
})

test('a command gets no secret of ours, only what programs need and what is named', async () => {
  process.env.HOLDFAST_TEST_SECRET = 'hidden'
  process.env.DNS_TOKEN = 'named'
  process.env.LC_ALL = 'C'
  const words = ['/bin/sh', '-c', 'echo "<$HOLDFAST_TEST_SECRET$DNS_OTHER> $DNS_TOKEN $LC_ALL"']
  process.env.DNS_OTHER = 'hidden'
  const end = await callHook({ kind: 'run', words, env: ['DNS_TOKEN', 'NOT_SET'] }, options())
  assert.deepEqual(end, { ok: true, because: 'exit 0: <> named C' })
})

test('a command that fails, or is not there, is a failure with its words', async () => {
  assert.deepEqual(await callHook(shell('echo no such zone >&2; exit 3'), options()), {
    ok: false,
    because: 'exit 3: no such zone',
  })
  const missing = await callHook({ kind: 'run', words: ['./not-there'], env: [] }, options())
  assert.equal(missing.ok, false)
  assert.match(missing.because, /cannot be started/)
})

test('a command that hangs is killed at its deadline with everything it started', async () => {
  const end = await callHook(shell('sleep 300 & echo $! > child; wait'), options({ deadlineMs: 700 }))
  assert.equal(end.ok, false)
  assert.match(end.because, /killed after 700 ms/)
  const child = Number(readFileSync(join(folder, 'child'), 'utf8'))
  const seen = identify(child)
  for (let look = 0; look < 100 && seen !== null && isAlive(seen); look += 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.ok(seen === null || !isAlive(seen), `process ${child} lives on`)
})

test('what a command leaves running ends with it', async () => {
  const end = await callHook(shell('sleep 300 & echo $! > left; exit 0'), options())
  assert.equal(end.ok, true)
  const left = identify(Number(readFileSync(join(folder, 'left'), 'utf8')))
  for (let look = 0; look < 100 && left !== null && isAlive(left); look += 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.ok(left === null || !isAlive(left))
})

test('output is bounded, and control characters do not reach anybody', async () => {
  const end = await callHook(
    shell('i=0; while [ $i -lt 4000 ]; do printf 0123456789; i=$((i+1)); done; printf "\\033[2J"'),
    options(),
  )
  assert.ok(end.because.length < 600, String(end.because.length))
  assert.ok(!end.because.includes('\u001b'))
})

test('a command is killed when its plan leaves off', async () => {
  const controller = new AbortController()
  const running = callHook(shell('touch begun; sleep 300'), options({ halted: controller.signal }))
  while (!existsSync(join(folder, 'begun'))) await new Promise((resolve) => setTimeout(resolve, 20))
  controller.abort()
  assert.deepEqual(await running, { ok: false, because: 'halted' })
})

async function serving(status: number | null): Promise<{ server: Server; url: string; bodies: string[] }> {
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    bodies.push(`${request.method} ${request.headers.authorization ?? ''} ${body}`)
    if (status !== null) response.writeHead(status).end('words')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dns`, bodies }
}

test('an HTTP call carries the move; only 2xx is success; an answer that does not come has a bound', async () => {
  for (const [status, deadlineMs, expected] of [
    [204, 20_000, { ok: true, because: 'HTTP 204' }],
    [500, 20_000, { ok: false, because: 'HTTP 500' }],
    [302, 20_000, { ok: false, because: 'unexpected redirect' }],
    [null, 300, { ok: false, because: 'no answer within 300 ms' }],
  ] as const) {
    const { server, url, bodies } = await serving(status)
    const end = await callHook({ kind: 'http', url, method: 'POST', body: null, token: null }, options({ deadlineMs }))
    if (status === 302) assert.equal(end.ok, false)
    else assert.deepEqual(end, expected)
    assert.match(bodies[0] ?? '', /^POST {2}\{"service":"shop","way":"do","to":"south"\}$/)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
