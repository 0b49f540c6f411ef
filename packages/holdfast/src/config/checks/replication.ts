/** Timing (R2), and what the group's number of members can promise. */
import { PROFILES, type Timing } from '../../core/settings.ts'
import { timingOfGroup } from '../build-group.ts'
import { type Draft, type Findings, managedGroups } from '../draft.ts'

export function checkReplication(root: Draft, findings: Findings): void {
  for (const group of managedGroups(root)) {
    timing(group, findings)
    confirmations(group, findings)
    profile(root, group, findings)
  }
}

function timing(group: Draft, findings: Findings): void {
  const profileName = group.text('profile') ?? 'normal'
  if (profileName !== 'fast' && profileName !== 'normal' && profileName !== 'wan') return
  const overrides = group.get('timing')
  const t = timingOfGroup(PROFILES[profileName], (key) => overrides.durationMs(key))
  for (const key of ['ttl', 'beat', 'request', 'promote', 'stop', 'engineSilent'] as const) {
    if (overrides.durationMs(key) === 0) findings.mistakes.push(overrides.wrong(key, `\`${key}\` is 0`, 'more than 0'))
  }
  const needed = t.beatMs + 2 * t.requestMs + t.fenceMs + t.marginMs
  if (needed <= t.ttlMs) return
  findings.mistakes.push({
    path: overrides.present ? overrides.path : group.get('profile').path,
    at: 'key',
    what: `these times do not fit into the lease (R2): ${sum(t)} = ${needed} ms, and ttl is ${t.ttlMs} ms`,
    right: `ttl of at least ${needed}ms, or shorter beat and request: two failed attempts and a fence must fit`,
  })
}

function sum(t: Timing): string {
  return `beat ${t.beatMs} + 2 * request ${t.requestMs} + fence ${t.fenceMs} + margin ${t.marginMs}`
}

function confirmations(group: Draft, findings: Findings): void {
  const members = group.list('members')
  if (members.length === 0) return
  const replication = group.get('replication')
  const need = replication.value === 'sync' ? 1 : (replication.number('quorum') ?? 0)
  const standbys = members.length - 1
  if (need > standbys) {
    const found = standbys === 0 ? 'one member, so no standby' : `${standbys} standby${standbys === 1 ? '' : 's'}`
    const written = replication.value === 'sync' ? '`sync`' : `\`quorum: ${need}\``
    const right =
      standbys === 0
        ? 'a second member, or { async: { lossBytesMax: .., lossTimeMax: .. } }'
        : `quorum: ${standbys} or less`
    const what = `${written} needs ${need} standby${need === 1 ? '' : 's'} to confirm each write, and there is ${found}`
    findings.mistakes.push(group.wrong('replication', what, right))
  } else if (standbys > 0 && need === standbys && replication.value !== 'sync') {
    const what = `with \`quorum: ${need}\` every standby must confirm: with one away, writes stop or go unprotected`
    findings.warnings.push(group.wrong('replication', what, 'one member more, or a smaller quorum'))
  }
  if (standbys === 0) {
    const what = 'the group has one member: nobody can take over'
    findings.warnings.push(group.wrong('members', what, 'a second member, on another host'))
  }
  const able = members.filter((member) => member.get('noFailover').value !== true).length
  const automatic = (group.text('failover') ?? 'automatic') === 'automatic'
  if (automatic && standbys > 0 && able < 2) {
    const what = 'fewer than two members may become primary, so `failover: automatic` has nobody to choose'
    findings.mistakes.push(group.wrong('members', what, 'noFailover on fewer members, or `failover: manual`'))
  }
}

function profile(root: Draft, group: Draft, findings: Findings): void {
  if (group.text('profile') !== 'fast') return
  const far = root.list('sites').length > 1 ? ' between hosts of different sites, too' : ''
  const what = `\`fast\` has a lease of 1 s: a host or network that stalls for about as long${far} costs a failover`
  findings.warnings.push(group.wrong('profile', what, 'fine on one good network; else `normal` (3 s) or `wan` (10 s)'))
}
