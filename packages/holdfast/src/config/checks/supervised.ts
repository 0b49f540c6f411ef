/** Groups that another program leads: what belongs together, what would travel readable, who is meant by a route. */
import { type Draft, type Findings, supervisedGroups } from '../draft.ts'
import { shown } from '../mistake.ts'
import { isLoopback } from '../quantities.ts'

export function checkSupervised(root: Draft, findings: Findings): void {
  const sites = root.list('sites').flatMap((site) => site.text('name') ?? [])
  const names = new Set(supervisedGroups(root).flatMap((group) => group.text('name') ?? []))
  for (const group of supervisedGroups(root)) checkOne(group.get('supervised'), sites, findings)
  for (const entry of root.list('services').flatMap((service) => service.list('groups'))) {
    const name = entry.text('group')
    if (name === null || !names.has(name)) continue
    const what = `\`${shown(name)}\` is led by another program; a service's plan moves only what Holdfast leads`
    findings.mistakes.push(entry.wrong('group', what, 'a group with members; switch this one by `holdfast switchover`'))
  }
  for (const router of root.list('routers')) {
    for (const door of router.list('doors')) {
      const name = door.text('group')
      if (name === null || !names.has(name)) continue
      const what = `\`${shown(name)}\` is led by another program, and a router follows only Holdfast's own lease`
      findings.mistakes.push(door.wrong('group', what, 'a group with members here; leave this one to its own proxy'))
    }
  }
}

function checkOne(supervised: Draft, sites: readonly string[], findings: Findings): void {
  const by = supervised.text('by')
  const password = supervised.get('password')
  if (by === 'patroni' && (supervised.text('username') === null) === password.present) {
    const [has, lacks] = password.present ? ['password', 'username'] : ['username', 'password']
    findings.mistakes.push(supervised.wrong(has, `a ${has} without a ${lacks}`, 'both, or neither'))
  } else if (supervised.text('username') !== null && !password.present) {
    findings.mistakes.push(supervised.wrong('username', 'a username without a password', 'both, or neither'))
  }
  const map = supervised.get('sites')
  for (const member of map.keys()) {
    const site = map.text(member)
    if (site === null || sites.length === 0 || sites.includes(site)) continue
    findings.mistakes.push(
      map.wrong(member, `there is no site \`${shown(site)}\``, `one of ${sites.map(shown).join(', ')}`),
    )
  }
  checkKey(supervised.get('tls'), findings)
  checkWays(supervised, by, findings)
}

function checkKey(tls: Draft, findings: Findings): void {
  const [cert, key] = [tls.get('cert').present, tls.get('key').present]
  if (cert === key) return
  const [has, lacks] = cert ? ['cert', 'key'] : ['key', 'cert']
  findings.mistakes.push(tls.wrong(has, `a ${has} without a ${lacks}`, 'both, or neither'))
}

function checkWays(supervised: Draft, by: string | null, findings: Findings): void {
  const secret = supervised.get('password').present || supervised.get('observer').present
  const tls = supervised.get('tls').present
  const { value } = supervised.get('endpoints')
  const endpoints = Array.isArray(value) ? value.map(String) : []
  const seen = new Set<string>()
  for (const [index, endpoint] of endpoints.entries()) {
    const path = [...supervised.path, 'endpoints', index]
    const plain = by === 'patroni' ? !endpoint.startsWith('https:') : !tls
    const host = endpoint
      .replace(/^https?:\/\//, '')
      .replace(/:\d+\/?$/, '')
      .replace(/^\[|\]$/g, '')
    const same = endpoint.replace(/\/$/, '').toLowerCase()
    if (seen.has(same)) {
      findings.mistakes.push({
        path,
        at: 'value',
        what: `\`${shown(endpoint)}\` stands here twice`,
        right: 'one of the two',
      })
    }
    seen.add(same)
    if (secret && plain && host !== '' && !isLoopback(host)) {
      const what = `a password would go to \`${shown(endpoint)}\` without TLS and could be read on the way`
      const right = by === 'patroni' ? 'https, with `tls: { ca: .. }`' : '`tls: { ca: .. }`'
      findings.warnings.push({ path, at: 'value', what, right })
    }
  }
  if (by === 'sentinel' && endpoints.length > 0 && endpoints.length < 3) {
    const named = `${endpoints.length} Sentinel${endpoints.length === 1 ? '' : 's'} named`
    const what = `${named}: their views can only be held against each other when all are`
    findings.warnings.push(supervised.wrong('endpoints', what, 'every Sentinel of the group; three or more'))
  }
}
