/** Aligned columns, two blanks between them. */
import { visibleLine } from '../io/visible-text.ts'

export interface Column {
  readonly title: string
  readonly align?: 'right'
  /** Longer cells are cut with `~`. */
  readonly widthMax?: number
}

/** Paints a cell after it was padded, so that colours do not shift columns. */
export type CellPaint = (text: string, row: number, column: number) => string

export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paint: CellPaint = (text) => text,
): readonly string[] {
  const cut = (text: string, column: Column) =>
    column.widthMax !== undefined && text.length > column.widthMax ? `${text.slice(0, column.widthMax - 1)}~` : text
  const cells = rows.map((row) => columns.map((column, index) => cut(visibleLine(row[index] ?? ''), column)))
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((row) => row[index]?.length ?? 0)),
  )
  const padded = (text: string, index: number) =>
    columns[index]?.align === 'right' ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0)
  const line = (row: readonly string[], painted: (text: string, column: number) => string) =>
    row
      .map((text, index) => painted(padded(text, index), index))
      .join('  ')
      .trimEnd()
  return [
    line(
      columns.map((column) => column.title),
      (text) => text,
    ),
    ...cells.map((row, at) => line(row, (text, column) => paint(text, at, column))),
  ]
}
