/** Who listens where: no two on one port, nothing open to strangers without TLS and a token. */
import { type Draft, type Findings, managedGroups } from '../draft.ts'
import type { Address } from '../platform.ts'
import { addressText } from '../platform.ts'
import { isLoopback, isLoopbackUrl, isWildcard } from '../quantities.ts'

interface Place {
  readonly draft: Draft
  /** The key that holds the address. */
  readonly key: 'listen' | 'metrics'
  readonly owner: string
  /** Listeners of one process certainly share a host. */
  readonly process: string
}

interface Listener extends Place {
  readonly address: Address
}

export function checkAddresses(root: Draft, findings: Findings): void {
  const places = allPlaces(root)
  for (const place of places) portRange(place, findings)
  clashes(places.flatMap(listening), findings)
  const store = root.get('store')
  const defaults = root.get('agentDefaults')
  if (store.text('kind') === 'embedded') guarded(store, store.get('tls').present, 'the store', findings)
  for (const agent of root.list('agents')) {
    const tls = agent.get('tls').present || defaults.get('tls').present
    guarded(agent, tls, `agent \`${agent.text('name') ?? ''}\``, findings)
  }
  openServer(root.get('server'), findings)
  openProvider(root.get('server').get('oidc'), findings)
  for (const group of managedGroups(root)) {
    for (const member of group.list('members')) reachable(member, `member \`${member.text('name') ?? ''}\``, findings)
    plainEngine(group, findings)
  }
}

function allPlaces(root: Draft): readonly Place[] {
  const named = (draft: Draft, kind: string): Place => {
    const owner = `${kind} \`${draft.text('name') ?? ''}\``
    return { draft, key: 'listen', owner, process: owner }
  }
  const ofRouter = (router: Draft): readonly Place[] => {
    const process = `router \`${router.text('name') ?? ''}\``
    const doors = router.list('doors').flatMap((door): readonly Place[] => {
      const owner = `${process}, door to \`${door.text('group') ?? ''}\``
      return [
        { draft: door, key: 'listen', owner, process },
        { draft: door.get('read'), key: 'listen', owner: `${owner} (read)`, process },
      ]
    })
    return [...doors, { draft: router, key: 'metrics', owner: `${process} (metrics)`, process }]
  }
  return [
    { draft: root.get('store'), key: 'listen', owner: 'the store', process: 'store' },
    ...root.list('agents').map((agent) => named(agent, 'agent')),
    ...managedGroups(root).flatMap((group) => group.list('members').map((member) => named(member, 'member'))),
    ...root.list('routers').flatMap(ofRouter),
    { draft: root.get('server'), key: 'listen', owner: 'the server', process: 'server' },
  ]
}

function listening(place: Place): readonly Listener[] {
  const address = place.draft.address(place.key)
  return address === null ? [] : [{ ...place, address }]
}

function portRange({ draft, key }: Place, findings: Findings): void {
  const port = Number(/:(\d{1,5})$/.exec(draft.text(key) ?? '')?.[1] ?? '1')
  if (port >= 1 && port <= 65_535) return
  findings.mistakes.push(draft.wrong(key, `there is no port ${port}`, 'a port from 1 to 65535'))
}

function clashes(listeners: readonly Listener[], findings: Findings): void {
  const byPort = new Map<number, Listener[]>()
  for (const listener of listeners) {
    const before = byPort.get(listener.address.port) ?? []
    const clash = before.find((other) => sameSocket(other, listener))
    if (clash !== undefined) {
      const what = `${addressText(listener.address)} is already taken by ${clash.owner}`
      findings.mistakes.push(listener.draft.wrong(listener.key, what, 'another port'))
    }
    byPort.set(listener.address.port, [...before, listener])
  }
}

/** Wildcards of different processes may stand on different hosts; with loopback there is only one host. */
function sameSocket(a: Listener, b: Listener): boolean {
  const [left, right] = [hostKey(a.address.host), hostKey(b.address.host)]
  if (left === right) return left !== 'any' || a.process === b.process
  if (left !== 'any' && right !== 'any') return false
  return a.process === b.process || left.startsWith('127.') || right.startsWith('127.')
}

function hostKey(host: string): string {
  if (isWildcard(host)) return 'any'
  return host === 'localhost' || host === '::1' ? '127.0.0.1' : host.toLowerCase()
}

/** A token sent in the clear is anybody's token; so without TLS only this machine may talk. */
function guarded(draft: Draft, tls: boolean, owner: string, findings: Findings): void {
  const address = draft.address('listen')
  if (address === null) return
  reachable(draft, owner, findings)
  if (tls || isLoopback(address.host)) return
  const what = `${owner} would listen on ${addressText(address)} without TLS; its token could be read on the way`
  findings.mistakes.push(draft.wrong('listen', what, 'a `tls:` block with cert, key and ca, or a loopback address'))
}

/** It may listen on every interface, but passwords and sessions do not travel in the clear. */
function openServer(server: Draft, findings: Findings): void {
  const address = server.address('listen')
  if (address === null || server.get('tls').present || isLoopback(address.host)) return
  const what = `the server would listen on ${addressText(address)} without TLS; passwords could be read on the way`
  findings.mistakes.push(server.wrong('listen', what, 'a `tls:` block with cert, key and ca, or a loopback address'))
}

/** Who can change what the provider says makes himself an admin. */
function openProvider(oidc: Draft, findings: Findings): void {
  const issuer = oidc.text('issuer')
  if (issuer === null || !issuer.startsWith('http://') || isLoopbackUrl(issuer)) return
  const what = 'the identity provider would be asked without TLS; who is on the way could log in as anybody'
  findings.mistakes.push(oidc.wrong('issuer', what, 'an https:// address, or one of loopback'))
}

function reachable(draft: Draft, owner: string, findings: Findings): void {
  const address = draft.address('listen')
  if (address === null || !isWildcard(address.host)) return
  const what = `${owner} listens on ${address.host}, which does not say where the others reach it`
  findings.mistakes.push(draft.wrong('listen', what, 'the address of one interface'))
}

function plainEngine(group: Draft, findings: Findings): void {
  if (group.get('tls').present) return
  const open = group.list('members').find((member) => {
    const address = member.address('listen')
    return address !== null && !isLoopback(address.host)
  })
  if (open === undefined) return
  const what = 'clients and replication reach this group over a network without TLS: data travels readable'
  findings.warnings.push(group.wrong('members', what, 'a `tls:` block in the group'))
}
