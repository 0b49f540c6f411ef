/**
 * etcd clusters for tests: real processes on loopback, data in a temporary directory, ended with this process. When
 * etcd is missing `etcdMissing` says so: tests then skip on a person's machine and fail where CI is set.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { systemClock } from '../../io/clock.ts'
import { type Certificates, makeCertificates } from '../certificates-fixture.ts'

/** Null when etcd can be started. */
export function etcdMissing(): string | null {
  const found = spawnSync('etcd', ['--version'], { stdio: 'ignore' })
  return found.status === 0
    ? null
    : 'etcd is not installed: run `npm run engines` (Debian: apt-get install etcd-server)'
}

export interface EtcdMember {
  readonly url: string
  readonly pid: number
  signal(signal: NodeJS.Signals): void
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>
  /** Starts a killed member again on its data. */
  start(): void
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly endpoints: readonly string[]
  readonly certificates: Certificates | null
  /** Posts to the gateway of a member; throws when it does not answer 200. */
  post(member: EtcdMember, path: string, body: object): Promise<Readonly<Record<string, unknown>>>
  leader(): Promise<EtcdMember>
  /** Every member answers a linearizable read. */
  ready(): Promise<void>
  stop(): Promise<void>
}

const READY_MS = 15_000

export async function startEtcd(options: { members: number; tls?: boolean }): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-etcd-'))
  const certificates = options.tls ? makeCertificates(directory) : null
  const scheme = certificates === null ? 'http' : 'https'
  const ports = await freePorts(options.members * 2)
  const names = Array.from({ length: options.members }, (_, index) => `e${index}`)
  const peerUrl = (index: number) => `http://127.0.0.1:${ports[options.members + index]}`
  const cluster = names.map((name, index) => `${name}=${peerUrl(index)}`).join(',')
  const members = names.map((name, index) => {
    const url = `${scheme}://127.0.0.1:${ports[index]}`
    const flags = { name, 'data-dir': join(directory, name), 'initial-cluster': cluster }
    return new Member(url, {
      ...flags,
      'listen-client-urls': url,
      'advertise-client-urls': url,
      'listen-peer-urls': peerUrl(index),
      'initial-advertise-peer-urls': peerUrl(index),
      ...(certificates === null ? {} : tlsFlags(certificates)),
    })
  })
  return new Cluster({ members, certificates, directory })
}

const running = new Set<EtcdMember>()
process.on('exit', () => {
  for (const member of running) member.signal('SIGKILL')
})

class Member implements EtcdMember {
  readonly url: string
  readonly #arguments: readonly string[]
  #child: ChildProcess

  constructor(url: string, flags: Readonly<Record<string, string>>) {
    this.url = url
    this.#arguments = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
    this.#child = this.#spawn()
    running.add(this)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    running.delete(this)
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  start(): void {
    running.add(this)
    this.#child = this.#spawn()
  }

  #spawn(): ChildProcess {
    const speed = ['--heartbeat-interval', '50', '--election-timeout', '500', '--log-level', 'panic']
    return spawn('etcd', [...this.#arguments, ...speed], { stdio: 'ignore' })
  }
}

class Cluster implements EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly certificates: Certificates | null
  readonly #directory: string
  readonly #agent: Agent

  constructor(parts: { members: readonly EtcdMember[]; certificates: Certificates | null; directory: string }) {
    this.members = parts.members
    this.certificates = parts.certificates
    this.#directory = parts.directory
    this.#agent = new Agent({ allowH2: false, ...(parts.certificates ? { connect: { ...parts.certificates } } : {}) })
  }

  get endpoints(): readonly string[] {
    return this.members.map((member) => member.url)
  }

  async post(member: EtcdMember, path: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    const answer = await request(member.url + path, {
      method: 'POST',
      body: JSON.stringify(body),
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(2_000),
    })
    const json = (await answer.body.json()) as Record<string, unknown>
    if (answer.statusCode !== 200) throw new Error(`etcd answered ${answer.statusCode}: ${JSON.stringify(json)}`)
    return json
  }

  async leader(): Promise<EtcdMember> {
    for (const member of this.members) {
      const status = await this.post(member, '/v3/maintenance/status', {})
      const { member_id: id } = status.header as { member_id: string }
      if (id === status.leader) return member
    }
    throw new Error('etcd has no leader')
  }

  async ready(): Promise<void> {
    const untilMs = systemClock.nowMs() + READY_MS
    for (const member of this.members) {
      for (;;) {
        // With users switched on a refusal is an answer too.
        const isUp = await this.post(member, '/v3/kv/range', { key: 'AA==' }).then(
          () => true,
          (error: Error) => /user name is empty/.test(error.message),
        )
        if (isUp) break
        if (systemClock.nowMs() > untilMs) throw new Error(`etcd at ${member.url} was not ready in ${READY_MS} ms`)
        await sleep(20)
      }
    }
  }

  async stop(): Promise<void> {
    for (const member of this.members) await member.kill()
    await this.#agent.destroy()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function tlsFlags({ directory }: Certificates): Readonly<Record<string, string>> {
  return {
    'cert-file': join(directory, 'cert.pem'),
    'key-file': join(directory, 'key.pem'),
    'trusted-ca-file': join(directory, 'ca.pem'),
    'client-cert-auth': 'true',
  }
}

/** Held all at once, so that they differ. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  for (const server of servers) await once(server.close(), 'close')
  return ports
}
