/** What a platform needs as soon as Holdfast leads one group itself: a store, agents, their token. */
import { type Draft, type Findings, supervisedGroups } from '../draft.ts'
import { nearest } from '../nearest.ts'

const NEEDED: Readonly<Record<string, string>> = {
  store: 'embedded or etcd, as `kind: embedded`',
  agentDefaults: 'a block with the keys token, tls',
  agents: 'a list of 1 to 256 agents, each starting with "- "',
}

export function checkManagedParts(root: Draft, findings: Findings): void {
  const groups = root.list('groups')
  const supervised = supervisedGroups(root)
  if (!root.present || typeof root.value !== 'object' || Array.isArray(root.value)) return
  if (groups.length > 0 && supervised.length === groups.length && !root.get('routers').present) return
  for (const [key, right] of Object.entries(NEEDED)) {
    if (root.keys().some((one) => one === key || nearest(one, [key]) !== null)) continue
    findings.mistakes.push({ path: [key], at: 'key', what: `\`${key}\` is missing`, right })
  }
}
