/** Names given twice, and names that nothing has. */
import type { Draft, Findings } from '../draft.ts'
import { shown } from '../mistake.ts'
import { nearest } from '../nearest.ts'

/** A standby name that must stay nobody's: while it alone is asked for, every acknowledgement waits. */
const GATE = 'holdfast-gate'

export function checkNames(root: Draft, findings: Findings): void {
  const groups = root.list('groups')
  unique(root.list('sites'), 'site', findings)
  unique(root.list('agents'), 'agent', findings)
  unique(groups, 'group', findings)
  // Over all groups: an agent, its guard and its folders know a member by this name alone.
  unique(
    groups.flatMap((group) => group.list('members')),
    'member',
    findings,
  )
  unique(root.list('routers'), 'router', findings)
  unique(root.list('services'), 'service', findings)

  const sites = namesOf(root.list('sites'))
  const agents = namesOf(root.list('agents'))
  refer([root.get('store'), ...root.list('agents'), ...root.list('routers')], { key: 'site' }, sites, findings)
  for (const group of groups) refer(group.list('members'), { key: 'agent' }, agents, findings)
  for (const router of root.list('routers')) refer(router.list('doors'), { key: 'group' }, namesOf(groups), findings)
  grantedGroups(root.get('server').get('oidc'), namesOf(groups), findings)
}

/** A grant over a group that is misspelt gives nothing, which nobody would notice before he needs it. */
function grantedGroups(oidc: Draft, known: readonly string[], findings: Findings): void {
  for (const grant of oidc.list('grants')) {
    for (const group of grant.list('groups')) {
      const name = typeof group.value === 'string' ? group.value : ''
      if (name === '' || known.includes(name)) continue
      const right = `one of ${known.slice(0, 12).map(shown).join(', ')}`
      findings.mistakes.push({ path: group.path, at: 'value', what: `there is no group \`${shown(name)}\``, right })
    }
  }
}

export function namesOf(drafts: readonly Draft[]): readonly string[] {
  return drafts.flatMap((draft) => draft.text('name') ?? [])
}

/** `key` is where the name stands. */
export function unique(drafts: readonly Draft[], kind: string, findings: Findings, key = 'name'): void {
  const seen = new Set<string>()
  for (const draft of drafts) {
    const name = draft.text(key)
    if (name === null) continue
    if (seen.has(name)) {
      findings.mistakes.push(draft.wrong(key, `there is already ${kind} \`${shown(name)}\``, 'a name of its own'))
    }
    // `state.members['constructor']` would be found where no member is.
    if (name in Object.prototype || name === GATE)
      findings.mistakes.push(draft.wrong(key, `\`${shown(name)}\` is a reserved word`, 'another name'))
    seen.add(name)
  }
}

/** `kind` is what the name stands for, and `key` where it stands; often the same word. */
export function refer(
  drafts: readonly Draft[],
  { key, kind = key }: { readonly key: string; readonly kind?: string },
  known: readonly string[],
  findings: Findings,
): void {
  for (const draft of drafts) {
    const name = draft.text(key)
    if (name === null || known.length === 0 || known.includes(name)) continue
    const meant = nearest(name, known)
    const listed = known.slice(0, 12).map(shown).join(', ')
    const right = meant !== null ? `\`${meant}\`?` : `one of ${listed}`
    findings.mistakes.push(draft.wrong(key, `there is no ${kind} \`${shown(name)}\``, right))
  }
}
