/** Services: their groups and sites exist, the order can be kept, and a lost site can be survived as promised. */
import { cycleIn, type Ordered } from '../../core/site-plan/order.ts'
import type { Draft, Findings } from '../draft.ts'
import { shown } from '../mistake.ts'
import { namesOf, refer, unique } from './names.ts'

export function checkMoves(root: Draft, findings: Findings): void {
  const services = root.list('services')
  if (services.length === 0) return
  const layout = layoutOf(root)
  for (const one of services) {
    refer(one.list('groups'), { key: 'group' }, namesOf(root.list('groups')), findings)
    refer([one], { key: 'home', kind: 'site' }, namesOf(root.list('sites')), findings)
    order(one, findings)
    home(one, layout, findings)
    degraded(one, findings)
    if (one.text('siteLoss') === 'automatic') siteLoss(one, layout, root, findings)
  }
  opposites(services, findings)
}

interface Layout {
  readonly sites: ReadonlySet<string>
  readonly witnesses: ReadonlySet<string>
  readonly groups: ReadonlyMap<string, Draft>
  /** Site of each member of a group, with whether it may lead. */
  readonly places: ReadonlyMap<string, readonly { readonly site: string; readonly leads: boolean }[]>
}

function layoutOf(root: Draft): Layout {
  const siteOfAgent = new Map(root.list('agents').map((agent) => [agent.text('name'), agent.text('site')]))
  const witnesses = root.list('sites').filter((site) => site.get('witness').value === true)
  const groups = root.list('groups')
  const placesOf = (group: Draft) =>
    group.list('members').flatMap((member) => {
      const site = siteOfAgent.get(member.text('agent')) ?? null
      return site === null ? [] : [{ site, leads: member.get('noFailover').value !== true }]
    })
  return {
    sites: new Set(namesOf(root.list('sites'))),
    witnesses: new Set(namesOf(witnesses)),
    groups: new Map(groups.map((group) => [group.text('name') ?? '', group])),
    places: new Map(groups.map((group) => [group.text('name') ?? '', placesOf(group)])),
  }
}

function orderOf(one: Draft): readonly Ordered[] {
  return one.list('groups').map((entry) => ({ name: entry.text('group') ?? '', after: texts(entry, 'after') }))
}

function texts(draft: Draft, key: string): readonly string[] {
  return draft.list(key).flatMap(({ value }) => (typeof value === 'string' ? [value] : []))
}

function order(one: Draft, findings: Findings): void {
  unique(one.list('groups'), 'group', findings, 'group')
  const names = one.list('groups').flatMap((entry) => entry.text('group') ?? [])
  for (const entry of one.list('groups')) {
    for (const before of entry.list('after')) {
      const name = before.value
      if (typeof name !== 'string' || names.includes(name)) continue
      const what = `\`${shown(name)}\` is no group of this service, so nothing can wait for it here`
      findings.mistakes.push({ path: before.path, at: 'value', what, right: `one of ${names.map(shown).join(', ')}` })
    }
  }
  const cycle = cycleIn(orderOf(one))
  if (cycle === null) return
  const what = `the order of the groups goes in a circle: ${cycle.map(shown).join(' after ')}, so none can be first`
  findings.mistakes.push(one.wrong('groups', what, 'leave out one `after` of the circle'))
}

/** Each group needs a member at home that may lead there. */
function home(one: Draft, layout: Layout, findings: Findings): void {
  const site = one.text('home')
  if (site === null || !layout.sites.has(site)) return
  if (layout.witnesses.has(site)) {
    findings.mistakes.push(one.wrong('home', `\`${shown(site)}\` is a witness site, which has no data`, 'another site'))
    return
  }
  for (const entry of one.list('groups')) {
    const group = entry.text('group') ?? ''
    const places = layout.places.get(group)
    if (places === undefined || places.length === 0) continue
    if (places.some((place) => place.site === site && place.leads)) continue
    const none = places.some((place) => place.site === site) ? 'only members with `noFailover`' : 'no member'
    const what = `group \`${shown(group)}\` has ${none} at \`${shown(site)}\`, the home of this service`
    findings.mistakes.push(one.wrong('home', what, 'a member of it there, or another home'))
  }
}

/** Whether the loss of any one site with data can be survived without a person. */
function siteLoss(one: Draft, layout: Layout, root: Draft, findings: Findings): void {
  const wrong = (what: string, right: string) => findings.mistakes.push(one.wrong('siteLoss', what, right))
  const names = one.list('groups').flatMap((entry) => entry.text('group') ?? [])
  const used = new Set(names.flatMap((name) => (layout.places.get(name) ?? []).map(({ site }) => site)))
  if (used.size < 2) {
    wrong('all its members stand at one site: when that is lost there is nowhere to go', 'members at a second site')
    return
  }
  if (root.list('sites').length === 2) {
    const what =
      'there are two sites and no third voice: when one is lost, the other cannot tell that from a cut cable, and ' +
      'if both decided alone there would be two writers'
    wrong(what, 'a third site with `witness: true` and a store member there, or `siteLoss: ask`')
    return
  }
  const store = root.get('store')
  const place = store.text('site')
  if (store.text('kind') === 'embedded' && place !== null && used.has(place)) {
    const what = `the store stands at \`${shown(place)}\`: with that site the store is lost, and nobody can decide`
    wrong(what, 'the store at a witness site, or an etcd over three sites')
  }
  for (const name of names) {
    const failover = layout.groups.get(name)?.text('failover') ?? 'automatic'
    if (failover !== 'automatic') wrong(...manualGroup(name, failover))
    else confirmedElsewhere(name, layout, wrong)
  }
}

function manualGroup(name: string, failover: string): [string, string] {
  const what = `group \`${shown(name)}\` has \`failover: ${shown(failover)}\`, so it does not follow by itself`
  return [what, '`failover: automatic` there, or `siteLoss: ask`']
}

/** A write that only one site has is lost, or nobody may lead, when that site is. */
function confirmedElsewhere(name: string, layout: Layout, wrong: (what: string, right: string) => void): void {
  const replication = layout.groups.get(name)?.get('replication')
  const need = replication?.value === 'sync' ? 1 : (replication?.number('quorum') ?? 0)
  if (need === 0) return
  const places = layout.places.get(name) ?? []
  for (const site of new Set(places.map((place) => place.site))) {
    const here = places.filter((place) => place.site === site).length
    if (here === places.length) continue
    const standbys = places.length - here - 1
    if (here <= need && standbys < need && layout.groups.get(name)?.text('whenAlone') !== 'continue') {
      const what =
        `when \`${shown(site)}\` is lost, group \`${shown(name)}\` has ${countOf(standbys)} left, and a write ` +
        `waits for ${need}: it would move, and then acknowledge nothing`
      wrong(what, '`whenAlone: continue` there, or more members at other sites')
    }
    if (here <= need) continue
    const what =
      `group \`${shown(name)}\` acknowledges a write once ${need + 1} members have it, and \`${shown(site)}\` alone ` +
      `has ${here}: when that site is lost nobody elsewhere can show that it has every write, so nobody takes over`
    wrong(what, `\`quorum: ${here}\`, or at most ${need} member${need === 1 ? '' : 's'} of it at one site`)
  }
}

function countOf(standbys: number): string {
  return standbys === 0 ? 'no standby' : `${standbys} standby${standbys === 1 ? '' : 's'}`
}

const RULES = ['home', 'comeHome', 'siteLoss'] as const
const DEFAULTS: Readonly<Record<(typeof RULES)[number], string>> = { home: '', comeHome: 'ask', siteLoss: 'ask' }

/** A group cannot be at two homes, nor stay and go. */
function opposites(services: readonly Draft[], findings: Findings): void {
  for (const [index, one] of services.entries()) {
    for (const other of services.slice(0, index)) {
      const both = orderOf(one).find(({ name }) => orderOf(other).some((entry) => entry.name === name))
      if (both === undefined) continue
      const names = `\`${shown(both.name)}\` is also in service \`${shown(other.text('name'))}\``
      const rule = RULES.find((key) => (one.text(key) ?? DEFAULTS[key]) !== (other.text(key) ?? DEFAULTS[key]))
      if (rule !== undefined) {
        const [here, there] = [one, other].map((draft) => shown(draft.text(rule) ?? DEFAULTS[rule]))
        const what = `group ${names}, with the opposite rule: \`${rule}\` is ${here} here and ${there} there`
        findings.mistakes.push(one.wrong(one.text(rule) === null ? 'name' : rule, what, 'the same in both services'))
      }
      const policy = degradedText(one)
      if (policy !== degradedText(other)) {
        const what = `group ${names}, and what its doors do without a primary differs`
        findings.mistakes.push(one.wrong(policy === '{}' ? 'name' : 'degraded', what, 'the same in both services'))
      }
      const merged = [...orderOf(one), ...orderOf(other)]
      if (cycleIn(joined(merged)) === null || cycleIn(orderOf(one)) !== null || cycleIn(orderOf(other)) !== null)
        continue
      const what = `group ${names}, and the two orders contradict each other`
      findings.mistakes.push(one.wrong('groups', what, 'the same order in both services'))
    }
  }
}

function degradedText(one: Draft): string {
  const degraded = one.get('degraded')
  return JSON.stringify(Object.fromEntries([...degraded.keys()].sort().map((key) => [key, degraded.get(key).value])))
}

/** What would never be used. */
function degraded(one: Draft, findings: Findings): void {
  const policy = one.get('degraded')
  if (policy.text('reads') === 'stop' && policy.get('stalenessMax').present) {
    const right = 'leave it out, or `reads: continue`'
    findings.mistakes.push(policy.wrong('stalenessMax', '`stalenessMax` has no meaning when reads stop', right))
  }
  if (policy.text('writes') === 'wait' && policy.get('refuseAfter').present) {
    const right = 'leave it out, or `writes: refuse`'
    findings.mistakes.push(policy.wrong('refuseAfter', '`refuseAfter` has no meaning when writes wait', right))
  }
}

function joined(nodes: readonly Ordered[]): readonly Ordered[] {
  const names = [...new Set(nodes.map((node) => node.name))]
  return names.map((name) => ({ name, after: nodes.filter((n) => n.name === name).flatMap((n) => n.after) }))
}
