/**
 * Where the boxes and arrows of one group stand: a column for each site (one below the other where the screen is
 * narrow), its members in it, and an arrow from whom a replica follows to the replica. The sites give the layout, so a
 * reader finds the same site at the same place in every group; nothing is left for a graph algorithm to decide. Pure.
 */
import type { ApiGroup, ApiMember } from '@holdfast/client'
import { bytesText } from '../words.ts'

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface SiteBox extends Box {
  readonly site: string
  readonly witness: boolean
  /** The store of leases stands here. */
  readonly store: Box | null
}

export interface MemberBox extends Box {
  readonly member: ApiMember
  readonly writes: boolean
}

export interface Arrow {
  readonly from: string
  readonly to: string
  readonly path: string
  readonly label: string
  readonly labelAt: { readonly x: number; readonly y: number }
  /** The copy flows. */
  readonly flows: boolean
}

export interface Layout {
  readonly width: number
  readonly height: number
  readonly sites: readonly SiteBox[]
  readonly members: readonly MemberBox[]
  readonly arrows: readonly Arrow[]
}

export interface Ground {
  readonly sites: readonly { readonly site: string; readonly witness: boolean }[]
  readonly storeSite: string | null
  readonly width: number
}

/** Below it, sites stand one below the other. */
export const NARROW = 620
/** Narrower is not yet laid out. */
const WIDTH_MIN = 260
const GAP = 112
const GAP_NARROW = 40
const PAD = 14
const HEAD = 34
const MEMBER_HEIGHT = 62
const MEMBER_GAP = 38
const EDGE = 2

export function layoutOf(group: ApiGroup, { sites: known, storeSite, width: given }: Ground): Layout {
  const ground = { sites: known, storeSite, width: Math.max(WIDTH_MIN, given) }
  const narrow = ground.width < NARROW
  // Side by side every site keeps its place in every group; one below the other, the empty ones only cost room.
  const shown = ground.sites.filter(
    ({ site }) => !narrow || site === ground.storeSite || group.members.some((member) => member.site === site),
  )
  const counts = shown.map(({ site }) => rowsOf(group, site, ground.storeSite))
  const heights = counts.map((rows) => HEAD + PAD + Math.max(1, rows) * (MEMBER_HEIGHT + MEMBER_GAP) - MEMBER_GAP)
  const tallest = Math.max(0, ...heights)
  const width = narrow
    ? ground.width - 2 * EDGE
    : (ground.width - 2 * EDGE - GAP * Math.max(0, shown.length - 1)) / Math.max(1, shown.length)
  let y = EDGE
  const sites = shown.map(({ site, witness }, index): SiteBox => {
    const height = narrow ? (heights[index] ?? 0) : tallest
    const box = { x: narrow ? EDGE : EDGE + index * (width + GAP), y, width, height }
    if (narrow) y += height + GAP_NARROW
    const store = site === ground.storeSite ? rowBox(box, rowsOf(group, site, null)) : null
    return { ...box, site, witness, store }
  })
  const members = sites.flatMap((site) =>
    group.members
      .filter((member) => member.site === site.site)
      .map((member, row): MemberBox => ({ ...rowBox(site, row), member, writes: member.member === group.writer })),
  )
  const height = narrow ? y - GAP_NARROW + EDGE : tallest + 2 * EDGE
  return { width: ground.width, height, sites, members, arrows: arrowsOf(group, members) }
}

function rowsOf(group: ApiGroup, site: string, storeSite: string | null): number {
  return group.members.filter((member) => member.site === site).length + (site === storeSite ? 1 : 0)
}

function rowBox(site: Box, row: number): Box {
  return {
    x: site.x + PAD,
    y: site.y + HEAD + row * (MEMBER_HEIGHT + MEMBER_GAP),
    width: site.width - 2 * PAD,
    height: MEMBER_HEIGHT,
  }
}

function arrowsOf(group: ApiGroup, boxes: readonly MemberBox[]): readonly Arrow[] {
  return boxes.flatMap((to) => {
    const source = sourceOf(group, to.member)
    const from = boxes.find(({ member }) => member.member === source)
    if (from === undefined || from === to) return []
    const { member } = to
    const label = member.streaming ? lagLabel(member) : 'not copying'
    return [{ from: from.member.member, to: member.member, flows: member.streaming, label, ...pathOf(from, to) }]
  })
}

function lagLabel({ lagBytes }: ApiMember): string {
  if (lagBytes === null) return 'lag unknown'
  return lagBytes === 0 ? 'in step' : `${bytesText(lagBytes)} behind`
}

/** Engines tell a host and a port, or a member's name; who tells nothing is taken to follow the writer. */
function sourceOf(group: ApiGroup, member: ApiMember): string | null {
  const leads = group.writer ?? group.holder ?? group.members.find(({ role }) => role === 'primary')?.member ?? null
  if (member.member === leads || member.member === group.holder) return null
  const named = group.members.find(
    ({ member: name, address }) => name === member.upstream || `${address.host}:${address.port}` === member.upstream,
  )
  return named?.member ?? leads
}

function pathOf(from: MemberBox, to: MemberBox): Pick<Arrow, 'path' | 'labelAt'> {
  const fromMiddle = from.y + from.height / 2
  const toMiddle = to.y + to.height / 2
  if (from.x !== to.x) {
    const right = to.x > from.x
    const x1 = right ? from.x + from.width : from.x
    const x2 = right ? to.x : to.x + to.width
    if (Math.abs(x2 - x1) > GAP + 2 * PAD + 1)
      return overPath({ x1, y1: fromMiddle, x2, y2: toMiddle, top: Math.min(from.y, to.y) })
    const bend = (x2 - x1) / 2
    const path = `M${x1} ${fromMiddle} C${x1 + bend} ${fromMiddle} ${x2 - bend} ${toMiddle} ${x2} ${toMiddle}`
    return { path, labelAt: { x: (x1 + x2) / 2, y: (fromMiddle + toMiddle) / 2 } }
  }
  const down = to.y > from.y
  const x = from.x + from.width / 2
  const y1 = down ? from.y + from.height : from.y
  const y2 = down ? to.y : to.y + to.height
  const between = Math.abs(y2 - y1) > MEMBER_GAP + GAP_NARROW + HEAD + PAD
  if (!between) return { path: `M${x} ${y1} L${x} ${y2}`, labelAt: { x, y: down ? y2 - 18 : y2 + 18 } }
  // Past the boxes between them, along the inner edge of the column.
  const side = from.x + from.width
  const out = side + PAD - 3
  const path = `M${side} ${fromMiddle} C${out + 8} ${fromMiddle} ${out + 8} ${toMiddle} ${side} ${toMiddle}`
  return { path, labelAt: { x, y: down ? to.y - 18 : to.y + to.height + 18 } }
}

interface Ends {
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
  readonly top: number
}

/** Past a site that stands between: over its boxes, told in the gap before where it ends. */
function overPath({ x1, y1, x2, y2, top }: Ends): Pick<Arrow, 'path' | 'labelAt'> {
  const over = top - HEAD - PAD
  const lean = (x2 - x1) / 6
  const [c1, c2] = [x1 + lean, x2 - lean]
  const path = `M${x1} ${y1} C${c1} ${over} ${c2} ${over} ${x2} ${y2}`
  const x = x2 - Math.sign(x2 - x1) * (GAP / 2 + PAD)
  // Along the curve, from where it starts to where it ends, x only grows, or only shrinks.
  let [low, high] = [0, 1]
  for (let halvings = 0; halvings < 20; halvings++) {
    const middle = (low + high) / 2
    if ((bezier(middle, [x1, c1, c2, x2]) - x) * Math.sign(x2 - x1) < 0) low = middle
    else high = middle
  }
  return { path, labelAt: { x, y: bezier(low, [y1, over, over, y2]) } }
}

function bezier(at: number, [a, b, c, d]: readonly [number, number, number, number]): number {
  const rest = 1 - at
  return rest ** 3 * a + 3 * rest ** 2 * at * b + 3 * rest * at ** 2 * c + at ** 3 * d
}
