/**
 * Runs on one host of a world, in its namespace: the proxies of the links that start there, and the probe of the
 * member that lives there. Takes orders on standard input; ends when that ends, so it never outlives its harness.
 */
import { createInterface } from 'node:readline'
import type { LinkShape } from '../contract.ts'
import type { FromHost, Order } from './host-words.ts'
import { LinkProxy } from './link-proxy.ts'
import { ProbeLoop } from './probe-loop.ts'
import { RedisProbeLoop } from './redis-probe-loop.ts'

/** What holds for every link to one peer, also for those that are opened later. */
interface Toward {
  readonly proxies: LinkProxy[]
  shape: LinkShape
  forward: boolean
  backward: boolean
}

const peers = new Map<string, Toward>()
const probes = new Map<string, ProbeLoop | RedisProbeLoop>()

function say(words: FromHost): void {
  process.stdout.write(`${JSON.stringify(words)}\n`)
}

function toward(peer: string): Toward {
  const known = peers.get(peer) ?? { proxies: [], shape: {}, forward: false, backward: false }
  peers.set(peer, known)
  return known
}

async function obey(order: Order): Promise<{ port?: number }> {
  switch (order.do) {
    case 'open': {
      const proxy = await LinkProxy.open(order.target)
      const peer = toward(order.peer)
      peer.proxies.push(proxy)
      proxy.shape(peer.shape)
      proxy.block(peer.forward, peer.backward)
      return { port: proxy.port }
    }
    case 'shape': {
      const peer = toward(order.peer)
      peer.shape = order.shape
      for (const proxy of peer.proxies) proxy.shape(order.shape)
      return {}
    }
    case 'block': {
      const peer = toward(order.peer)
      Object.assign(peer, { forward: order.forward, backward: order.backward })
      for (const proxy of peer.proxies) proxy.block(order.forward, order.backward)
      return {}
    }
    case 'probe': {
      const { probe } = order
      probes.get(probe.member)?.stop()
      const Loop = probe.redis === undefined ? ProbeLoop : RedisProbeLoop
      const loop = new Loop(probe, (line) => say({ line }))
      probes.set(probe.member, loop)
      loop.start()
      return {}
    }
    case 'end-probe':
      await probes.get(order.member)?.stop()
      probes.delete(order.member)
      return {}
  }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (text) => {
  const { id, order } = JSON.parse(text) as { id: number; order: Order }
  obey(order).then(
    (result) => say({ id, ok: true, ...result }),
    (error: unknown) => say({ id, ok: false, because: error instanceof Error ? error.message : String(error) }),
  )
})
lines.on('close', () => process.exit(0))
// A harness that is gone takes no more lines.
process.stdout.on('error', () => process.exit(0))
// Ctrl-C in a terminal is for the harness, which then ends us.
process.on('SIGINT', () => {})
say({ ready: true })
