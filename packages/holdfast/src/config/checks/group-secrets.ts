/** With which roles a group is led or looked at: what is needed depends on whether it is only observed. */
import { type Draft, type Findings, managedGroups } from '../draft.ts'

export function checkGroupSecrets(root: Draft, findings: Findings): void {
  for (const group of managedGroups(root)) {
    const observed = group.text('failover') === 'observe'
    if (observed && group.text('engine') !== 'redis' && !group.get('observer').present) {
      const what = 'with `failover: observe` Holdfast makes no role of its own, and none is named to look with'
      const right = '`observer: { user: .., password: { env: .. } }`, a role that is a member of pg_monitor'
      findings.mistakes.push({ path: group.get('observer').path, at: 'key', what, right })
    }
    if (!observed && group.keys().length > 0 && !group.get('secrets').present) {
      const right = 'a block with the keys superuser, replication'
      findings.mistakes.push({ path: group.get('secrets').path, at: 'key', what: '`secrets` is missing', right })
    }
  }
}
