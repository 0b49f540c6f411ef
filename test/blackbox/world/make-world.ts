/**
 * Makes a world: hosts, links between them, and what can be done to a link. In namespaces the kernel cuts and the
 * proxies shape; on loopback the proxies do both. Leaves what runs on the hosts to its caller, but ends all of it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, realpathSync } from 'node:fs'
import type { Address, LinkShape, Spawn, World } from '../contract.ts'
import { HostLink } from './host-link.ts'
import { addressIn, inside, makeNet, type Net, namespaceOf, namespacesMissing, setCut } from './namespaces.ts'
import { type Claim, claimSubnet, removeLeftovers, takeDown, takeDownAtOnce } from './registry.ts'

export interface WorldOptions {
  readonly hosts: readonly string[]
  /** Of this run alone: whoever works in it is ended with the world. */
  readonly folder: string
  /** `auto`: namespaces where they can be made. */
  readonly kind?: 'auto' | 'namespaces' | 'loopback'
}

/** A world, and the door to its hosts for the probes. */
export interface MadeWorld extends World {
  /** Why it is not made of namespaces although it was free to be; null when it is, or was not wanted to be. */
  readonly whyLoopback: string | null
  hostLink(host: string): HostLink
}

export async function makeWorld(options: WorldOptions): Promise<MadeWorld> {
  const { hosts, kind = 'auto' } = options
  for (const host of hosts) if (!/^[a-z][a-z0-9]{0,5}$/.test(host)) throw new Error(`${host} is no name of a host`)
  mkdirSync(options.folder, { recursive: true })
  const folder = realpathSync(options.folder)
  await removeLeftovers()
  const name = `hf${randomBytes(2).toString('hex')}`
  const missing = kind === 'loopback' ? null : await namespacesMissing(`${name}-trial`)
  if (kind === 'namespaces' && missing !== null) throw new Error(`no namespaces can be made here: ${missing}`)
  const usesLoopback = kind === 'loopback' || missing !== null
  const namespaces = usesLoopback ? [] : hosts.map((host) => namespaceOf({ name }, host))
  const claim = claimSubnet({ name, namespaces, folder })
  const world = new Made({ claim, hosts, whyLoopback: missing })
  try {
    await world.build()
    return world
  } catch (error) {
    await world.close()
    throw error
  }
}

class Made implements MadeWorld {
  readonly kind: 'namespaces' | 'loopback'
  readonly hosts: readonly string[]
  readonly whyLoopback: string | null
  readonly #claim: Claim
  readonly #net: Net | null
  readonly #links = new Map<string, HostLink>()
  readonly #routes = new Map<string, Promise<Address>>()
  readonly #cuts = new Set<string>()
  readonly #shapes = new Set<string>()
  #closing: Promise<void> | null = null
  readonly #onExit = (): void => takeDownAtOnce(this.#claim)

  constructor(parts: { claim: Claim; hosts: readonly string[]; whyLoopback: string | null }) {
    this.#claim = parts.claim
    this.hosts = parts.hosts
    this.whyLoopback = parts.whyLoopback
    const { name, subnet, namespaces } = parts.claim
    this.kind = namespaces.length > 0 ? 'namespaces' : 'loopback'
    this.#net = this.kind === 'loopback' ? null : { name, subnet, hosts: parts.hosts }
    process.on('exit', this.#onExit)
  }

  async build(): Promise<void> {
    const net = this.#net
    if (net !== null) await makeNet(net)
    const start = async (host: string): Promise<void> => {
      const prefix = net === null ? [] : inside(net, host)
      this.#links.set(host, await HostLink.start(prefix, this.#claim.folder))
    }
    await Promise.all(this.hosts.map(start))
  }

  addressOf(host: string): string {
    this.#known(host)
    return this.#net === null ? '127.0.0.1' : addressIn(this.#net, host)
  }

  hostLink(host: string): HostLink {
    const link = this.#links.get(this.#known(host))
    if (link === undefined) throw new Error(`host ${host} does not run`)
    return link
  }

  route(from: string, to: string, port: number): Promise<Address> {
    const name = `${this.#known(from)} ${this.#known(to)} ${port}`
    const known = this.#routes.get(name)
    if (known !== undefined) return known
    const target = { host: this.addressOf(to), port }
    const made = this.hostLink(from)
      .tell({ do: 'open', peer: to, target })
      .then((answer) => ({ host: '127.0.0.1', port: answer.port ?? 0 }))
    this.#routes.set(name, made)
    return made
  }

  spawn(how: Spawn): ChildProcess {
    const prefix = this.#net === null ? [] : inside(this.#net, this.#known(how.host))
    const [command = '', ...words] = [...prefix, how.command, ...how.args]
    const log = openSync(how.log, 'a', 0o600)
    try {
      const env = { ...process.env, ...how.env }
      const child = spawn(command, words, { cwd: how.cwd, env, stdio: ['ignore', log, log], detached: true })
      // Its end tells more; without a listener it would end the harness.
      child.on('error', () => {})
      return child
    } finally {
      closeSync(log)
    }
  }

  async cut(from: string, to: string): Promise<void> {
    this.#cuts.add(wayOf(this.#known(from), this.#known(to)))
    await this.#apply(from, to)
  }

  async shape(from: string, to: string, shape: LinkShape): Promise<void> {
    this.#shapes.add(wayOf(this.#known(from), this.#known(to)))
    await this.hostLink(from).tell({ do: 'shape', peer: to, shape })
  }

  async heal(): Promise<void> {
    const cuts = [...this.#cuts]
    const shapes = [...this.#shapes]
    this.#cuts.clear()
    this.#shapes.clear()
    const ends = (way: string): readonly [string, string] => way.split(' ') as [string, string]
    await Promise.all([
      ...cuts.map((way) => this.#apply(...ends(way))),
      ...shapes.map((way) => {
        const [from, to] = ends(way)
        return this.hostLink(from).tell({ do: 'shape', peer: to, shape: {} })
      }),
    ])
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()))
    await takeDown(this.#claim)
    process.off('exit', this.#onExit)
  }

  /** Makes one direction what it should be. On loopback both proxies between the two carry bytes of this direction. */
  async #apply(from: string, to: string): Promise<void> {
    if (this.#net !== null) {
      await setCut(this.#net, { from, to, cut: this.#cuts.has(wayOf(from, to)) })
      return
    }
    const away = this.#cuts.has(wayOf(from, to))
    const back = this.#cuts.has(wayOf(to, from))
    await Promise.all([
      this.hostLink(from).tell({ do: 'block', peer: to, forward: away, backward: back }),
      this.hostLink(to).tell({ do: 'block', peer: from, forward: back, backward: away }),
    ])
  }

  #known(host: string): string {
    if (!this.hosts.includes(host)) throw new Error(`this world has no host ${host}; it has ${this.hosts.join(', ')}`)
    return host
  }
}

function wayOf(from: string, to: string): string {
  return `${from} ${to}`
}
