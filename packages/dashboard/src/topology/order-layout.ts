/**
 * Where the groups of a service stand: a column for each step of its order, what others need first; where the screen is
 * narrow one below the other, with words instead of arrows. Who is left over by a circle stands last. Pure.
 */
import type { ApiService } from '@holdfast/client'
import type { Box } from './layout.ts'

export interface OrderBox extends Box {
  readonly group: string
  /** What must be up before, told in words where there is no room for arrows. */
  readonly needs: readonly string[]
}

export interface OrderArrow {
  readonly from: string
  readonly to: string
  readonly path: string
}

export interface OrderLayout {
  readonly width: number
  readonly height: number
  readonly boxes: readonly OrderBox[]
  readonly arrows: readonly OrderArrow[]
}

export const NARROW_ORDER = 520
const HEIGHT = 64
const WIDTH_MAX = 230
/** Narrower is not yet laid out. */
const WIDTH_MIN = 260
const LINE = 20
const GAP = 56
const GAP_ROW = 18
const EDGE = 2

type Places = ApiService['places']

/** Groups by how many others must be up before, along the longest way. */
export function layersOf(places: Places): readonly (readonly string[])[] {
  const known = new Set(places.map(({ group }) => group))
  const layers: string[][] = []
  let left = [...places]
  const placed = new Set<string>()
  while (left.length > 0) {
    const ready = left.filter(({ after }) => after.every((name) => !known.has(name) || placed.has(name)))
    const next = ready.length === 0 ? left : ready
    layers.push(next.map(({ group }) => group))
    for (const { group } of next) placed.add(group)
    left = left.filter((place) => !next.includes(place))
  }
  return layers
}

export function orderLayout(places: Places, given: number): OrderLayout {
  const width = Math.max(WIDTH_MIN, given)
  const layers = layersOf(places)
  const narrow = width < NARROW_ORDER
  const columns = narrow ? 1 : Math.max(1, layers.length)
  const boxWidth = Math.min(narrow ? width : WIDTH_MAX, (width - 2 * EDGE - GAP * (columns - 1)) / columns)
  const needsOf = new Map(places.map(({ group, after }) => [group, narrow ? after : []]))
  let y = EDGE
  const boxes = layers.flatMap((layer, depth) =>
    layer.map((group, index): OrderBox => {
      const needs = needsOf.get(group) ?? []
      const height = HEIGHT + (needs.length > 0 ? LINE : 0)
      const top = narrow ? y : EDGE + index * (HEIGHT + GAP_ROW)
      y += height + GAP_ROW
      return { group, needs, x: EDGE + (narrow ? 0 : depth * (boxWidth + GAP)), y: top, width: boxWidth, height }
    }),
  )
  const height = Math.max(0, ...boxes.map((box) => box.y + box.height)) + EDGE
  return { width, height, boxes, arrows: narrow ? [] : arrowsOf(places, boxes) }
}

function arrowsOf(places: Places, boxes: readonly OrderBox[]): readonly OrderArrow[] {
  const boxOf = new Map(boxes.map((box) => [box.group, box]))
  return places.flatMap(({ group, after }) =>
    after.flatMap((before) => {
      const from = boxOf.get(before)
      const to = boxOf.get(group)
      return from === undefined || to === undefined ? [] : [{ from: before, to: group, path: across(from, to) }]
    }),
  )
}

function across(from: Box, to: Box): string {
  const [x1, y1, x2, y2] = [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2]
  const bend = (x2 - x1) / 2
  return `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
}
