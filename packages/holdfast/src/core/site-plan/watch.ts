/**
 * When a service moves without a person: its site is lost and `siteLoss` says `automatic`, or home is whole again and
 * `comeHome` says `when-healthy`. Pure: what is seen in, what is to be done out. Every surviving agent asks it; the
 * compare-and-set of the plan lets one of them act.
 */
import { isOver, type PlanRecord } from './plan.ts'

export interface WatchRules {
  readonly home: string
  readonly comeHome: 'never' | 'when-healthy' | 'ask'
  readonly siteLoss: 'automatic' | 'ask'
  /** No agent of a site answered for this long: it is lost. As long as the longest ttl of the groups. */
  readonly lostAfterMs: number
  /** Home must have been whole for this long, so that a site that flickers is not moved to. */
  readonly calmMs: number
  /** After a plan of this watch that did not end well nothing is tried again for this long (R25). */
  readonly patienceMs: number
}

export interface SiteSeen {
  readonly site: string
  /** Time for which no agent of it that stands beside the service answered; 0: one did. The own site never is. */
  readonly silentMs: number
  /** Each group of the service has a member here that could lead. */
  readonly able: boolean
}

export interface ServiceSeen {
  readonly sites: readonly SiteSeen[]
  /** Site of each group's primary, and whether it is open and answers. */
  readonly groups: readonly { readonly group: string; readonly site: string | null; readonly open: boolean }[]
  /** The last plan; null: there was none. */
  readonly plan: PlanRecord | null
  /** Time for which home was whole and every group could go there. */
  readonly homeCalmMs: number
  /** Time since a plan of this watch was undone or stopped. */
  readonly sinceFailedMs: number
}

export type WatchVerdict =
  | { readonly kind: 'nothing'; readonly because: string }
  | { readonly kind: 'failover' | 'failback'; readonly from: string; readonly to: string }
  /** A plan of this watch whose runner may be gone. */
  | { readonly kind: 'resume' }

/** Where the service was last: where the last plan took it, or left it; before there was any, home. */
export function lastPlace(plan: PlanRecord | null, home: string): string {
  if (plan === null) return home
  return (plan.phase === 'done' ? (plan.to ?? plan.from) : plan.from) ?? home
}

export function judge(seen: ServiceSeen, rules: WatchRules): WatchVerdict {
  const { plan } = seen
  if (plan !== null && !isOver(plan)) {
    if (plan.origin === 'automatic') return { kind: 'resume' }
    return { kind: 'nothing', because: `${plan.by} moves it` }
  }
  if (seen.sinceFailedMs < rules.patienceMs) return { kind: 'nothing', because: 'the last plan did not end well' }
  const place = lastPlace(plan, rules.home)
  const lost = seen.sites.find(({ site }) => site === place)
  if (lost !== undefined && lost.silentMs > 0) return siteLost(seen, rules, lost)
  return comingHome(seen, rules, place)
}

function siteLost(seen: ServiceSeen, rules: WatchRules, lost: SiteSeen): WatchVerdict {
  if (rules.siteLoss !== 'automatic') return { kind: 'nothing', because: 'a person decides about a lost site' }
  if (lost.silentMs < rules.lostAfterMs) return { kind: 'nothing', because: `${lost.site} is silent, not for long` }
  if (seen.groups.some(({ site, open }) => site === lost.site && open))
    return { kind: 'nothing', because: `a primary at ${lost.site} is heard` }
  // A host that is slow to answer still holds its leases. What was taken from it is proof; without any, nobody moves.
  if (seen.groups.every(({ site }) => site === lost.site))
    return { kind: 'nothing', because: `${lost.site} is silent and holds every lease` }
  const led = (site: string): number => seen.groups.filter((group) => group.site === site && group.open).length
  const able = seen.sites.filter((one) => one.site !== lost.site && one.silentMs === 0 && one.able)
  const best = [...able].sort((a, b) => led(b.site) - led(a.site))[0]
  if (best === undefined) return { kind: 'nothing', because: 'no other site has a member of every group' }
  return { kind: 'failover', from: lost.site, to: best.site }
}

function comingHome(seen: ServiceSeen, rules: WatchRules, place: string): WatchVerdict {
  const away = seen.groups.filter(({ site }) => site !== rules.home)
  if (away.length === 0) return { kind: 'nothing', because: 'at home' }
  if (rules.comeHome !== 'when-healthy') return { kind: 'nothing', because: `comeHome is ${rules.comeHome}` }
  if (seen.groups.some(({ open }) => !open)) return { kind: 'nothing', because: 'a group has no primary' }
  const home = seen.sites.find(({ site }) => site === rules.home)
  if (home === undefined || home.silentMs > 0 || !home.able) return { kind: 'nothing', because: 'home is not whole' }
  if (seen.homeCalmMs < rules.calmMs) return { kind: 'nothing', because: 'home is not whole for long enough' }
  return { kind: 'failback', from: place, to: rules.home }
}
