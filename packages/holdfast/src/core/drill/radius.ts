/**
 * Who is hit, and whether that is too much. Refuses what would leave the group unable to go on, whatever the drill file
 * allows: the point of a drill is a group that survives it.
 */
import type { FaultSpec, Target } from './model.ts'

export interface Place {
  readonly member: string
  readonly agent: string
  readonly site: string
  /** Groups whose members stand beside the same agent, this one included. */
  readonly groups: readonly string[]
  /** Open or following. */
  readonly well: boolean
  /** May take over without loss. */
  readonly eligible: boolean
}

export interface Scene {
  readonly places: readonly Place[]
  readonly primary: string | null
  /** Standbys that must have a write before it is acknowledged. */
  readonly need: number
}

export type Hit =
  | { readonly ok: true; readonly members: readonly string[] }
  | { readonly ok: false; readonly because: string }

export interface Radius {
  readonly members: number
  readonly sites: number
  readonly groups: number
}

/** The members the fault is done to, in the order of the description. */
export function hitOf(fault: FaultSpec, scene: Scene, radius: Radius): Hit {
  if (scene.primary === null) return no('there is no primary')
  if (fault.kind === 'switchover') return moveOf(fault.to, scene)
  const chosen = chosenBy(fault.target, scene)
  if (!chosen.ok) return chosen
  const hit = scene.places.filter((place) => chosen.members.includes(place.member))
  const sites = new Set(hit.map((place) => place.site)).size
  if (hit.length > radius.members) return no(`it would hit ${hit.length} members; blastRadius allows ${radius.members}`)
  if (sites > radius.sites) return no(`it would hit ${sites} sites; blastRadius allows ${radius.sites}`)
  const groups = fault.kind === 'kill' || (fault.kind === 'freeze' && fault.what === 'engine') ? 1 : groupsOf(hit)
  if (groups > radius.groups) {
    return no(`its agents stand beside ${groups} groups; blastRadius allows ${radius.groups}`)
  }
  return survives(hit, scene) ?? { ok: true, members: hit.map((place) => place.member) }
}

function moveOf(to: string | null, scene: Scene): Hit {
  if (to !== null && !scene.places.some((place) => place.member === to)) return no(`${to} is no member of the group`)
  if (to === scene.primary) return no(`${to} is the primary already`)
  return { ok: true, members: scene.primary === null ? [] : [scene.primary] }
}

function chosenBy(target: Target, { places, primary }: Scene): Hit {
  if (target === 'primary') return { ok: true, members: primary === null ? [] : [primary] }
  if (target === 'replica') {
    // The same one each time, so that two runs are one experiment.
    const replica = places.find((place) => place.member !== primary && place.well)
    return replica === undefined ? no('no replica is well') : { ok: true, members: [replica.member] }
  }
  if ('member' in target) {
    const known = places.some((place) => place.member === target.member)
    return known ? { ok: true, members: [target.member] } : no(`${target.member} is no member of the group`)
  }
  const there = places.filter((place) => place.site === target.site)
  return there.length === 0
    ? no(`no member of the group stands at ${target.site}`)
    : { ok: true, members: there.map((place) => place.member) }
}

function groupsOf(hit: readonly Place[]): number {
  return new Set(hit.flatMap((place) => place.groups)).size
}

/** Null: what is left can lead and confirm. */
function survives(hit: readonly Place[], { places, primary, need }: Scene): Hit | null {
  const left = places.filter((place) => place.well && !hit.includes(place))
  if (left.length < need + 1) {
    return no(`${left.length} well members would be left; ${need + 1} are needed to write and confirm`)
  }
  if (!hit.some((place) => place.member === primary)) return null
  if (left.some((place) => place.eligible)) return null
  return no('nobody would be left that may take over without loss')
}

/** Whether acknowledged writes could be lost: then it is practised on a copy unless the file says otherwise. */
export function couldLose(fault: FaultSpec, scene: Pick<Scene, 'need'>): boolean {
  if (fault.kind === 'switchover') return false
  const hitsPrimary = fault.target !== 'replica'
  return scene.need === 0 && hitsPrimary
}

function no(because: string): Hit {
  return { ok: false, because }
}
