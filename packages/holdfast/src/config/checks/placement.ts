/** Where things stand, so that what should survive a site, a host or a member can survive it. */
import { type Draft, type Findings, managedGroups } from '../draft.ts'

export function checkPlacement(root: Draft, findings: Findings): void {
  const sites = root.list('sites')
  const witnesses = new Set(sites.filter((site) => site.get('witness').value === true).map((site) => site.text('name')))
  const siteOfAgent = new Map(root.list('agents').map((agent) => [agent.text('name'), agent.text('site')]))
  for (const group of managedGroups(root)) {
    const used = new Set(group.list('members').map((member) => siteOfAgent.get(member.text('agent')) ?? null))
    for (const none of [null, ...witnesses]) used.delete(none)
    thirdVoice(group, used.size, sites, findings)
    for (const member of group.list('members')) {
      const site = siteOfAgent.get(member.text('agent'))
      if (site === undefined || site === null || !witnesses.has(site)) continue
      const what = `its agent stands at \`${site}\`, a witness site, which has no data`
      findings.mistakes.push(member.wrong('agent', what, 'an agent at another site'))
    }
    oneHost(group, findings)
  }
  idleAgents(root, findings)
  storePlace(root, sites, witnesses, findings)
}

/** With two sites, whoever is cut off cannot know whether the other one is dead or lives on. */
function thirdVoice(group: Draft, sitesUsed: number, sites: readonly Draft[], findings: Findings): void {
  const automatic = (group.text('failover') ?? 'automatic') === 'automatic'
  if (!automatic || sitesUsed < 2 || sites.length !== 2) return
  const what =
    `group \`${group.text('name') ?? ''}\` fails over automatically over two sites, and there is no third: when the ` +
    'site with most of the store is lost, the other one cannot tell that from a cut cable, so nothing can take over'
  const right = 'a third site with `witness: true` and a store member there, or `failover: manual`'
  findings.mistakes.push({ path: ['sites'], at: 'key', what, right })
}

function oneHost(group: Draft, findings: Findings): void {
  const seen = new Map<string, string>()
  for (const member of group.list('members')) {
    const agent = member.text('agent')
    if (agent === null) continue
    const other = seen.get(agent)
    if (other !== undefined) {
      const what = `agent \`${agent}\` already stands beside \`${other}\` of this group; both would fall with its host`
      findings.mistakes.push(member.wrong('agent', what, 'an agent of its own for each member of a group'))
    }
    seen.set(agent, member.text('name') ?? '')
  }
}

function idleAgents(root: Draft, findings: Findings): void {
  const used = new Set(managedGroups(root).flatMap((group) => group.list('members').map((item) => item.text('agent'))))
  for (const agent of root.list('agents')) {
    const name = agent.text('name')
    if (name === null || used.has(name)) continue
    findings.warnings.push(agent.wrong('name', `agent \`${name}\` stands beside no member`, 'a member with this agent'))
  }
}

function storePlace(
  root: Draft,
  sites: readonly Draft[],
  witnesses: ReadonlySet<string | null>,
  findings: Findings,
): void {
  const store = root.get('store')
  if (store.text('kind') === 'embedded') {
    const site = store.text('site')
    if (site === null && sites.length > 1) {
      findings.mistakes.push(
        store.wrong('site', 'with several sites it matters where the store stands', '`site: name`'),
      )
    } else if (sites.length > 1 && witnesses.size > 0 && !witnesses.has(site)) {
      const what = `the store stands at \`${site}\`, a site with data: losing that site also stops automatic failover`
      findings.warnings.push(store.wrong('site', what, `the witness site \`${[...witnesses].join(', ')}\`, or etcd`))
    }
    return
  }
  const endpoints = store.list('endpoints').length
  if (endpoints === 1 || endpoints === 2) {
    const what = `${endpoints} etcd endpoint${endpoints === 1 ? '' : 's'}: etcd needs three members to survive one`
    findings.warnings.push(store.wrong('endpoints', what, 'the client URLs of three or five members'))
  }
  if ((store.text('username') === null) !== !store.get('password').present) {
    const [has, lacks] = store.text('username') === null ? ['password', 'username'] : ['username', 'password']
    findings.mistakes.push(store.wrong(has, `a ${has} without a ${lacks}`, 'both, or neither'))
  }
}
