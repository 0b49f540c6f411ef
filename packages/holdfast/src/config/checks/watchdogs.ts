/** Watchdogs (R4): one device serves one agent, and it must be able to bite before others may take over. */
import { PROFILES, type Timing, watchdogMaxMs } from '../../core/settings.ts'
import { timingOfGroup } from '../build-group.ts'
import { type Draft, type Findings, managedGroups } from '../draft.ts'
import { isLoopback } from '../quantities.ts'

/** Devices count in whole seconds. */
const SHORTEST_MS = 1_000

export function checkWatchdogs(root: Draft, findings: Findings): void {
  const owners = new Map<string, string>()
  for (const agent of root.list('agents')) {
    const dog = agent.get('watchdog')
    const device = dog.text('device')
    const name = agent.text('name') ?? ''
    if (device === null) continue
    const host = agent.address('listen')?.host ?? ''
    const place = `${isLoopback(host) ? 'loopback' : host} ${device}`
    const other = owners.get(place)
    if (other !== undefined) {
      const what = `\`${device}\` is already the watchdog of agent \`${other}\` on this host`
      findings.mistakes.push(dog.wrong('device', what, 'a device of its own: only one process can open it'))
    }
    owners.set(place, name)
    const short = shortestOf(root, name)
    if (short === null || watchdogMaxMs(short.timing) >= SHORTEST_MS) continue
    const what = `no watchdog can bite within the lease of group \`${short.group}\`: they count in whole seconds`
    const finding = dog.wrong('device', what, '`profile: normal` or `wan` for that group')
    if (dog.get('required').value === true) findings.mistakes.push(finding)
    else findings.warnings.push(finding)
  }
}

/** The group of this agent with the shortest lease. */
function shortestOf(root: Draft, agent: string): { readonly group: string; readonly timing: Timing } | null {
  let found: { group: string; timing: Timing } | null = null
  for (const group of managedGroups(root)) {
    if (!group.list('members').some((member) => member.text('agent') === agent)) continue
    const profile = group.text('profile') ?? 'normal'
    if (profile !== 'fast' && profile !== 'normal' && profile !== 'wan') continue
    const overrides = group.get('timing')
    const timing = timingOfGroup(PROFILES[profile], (key) => overrides.durationMs(key))
    if (found === null || timing.ttlMs < found.timing.ttlMs) found = { group: group.text('name') ?? '', timing }
  }
  return found
}
