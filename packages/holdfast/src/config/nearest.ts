/** Finds the word somebody meant: the nearest known one by edits (insert, delete, change, swap of neighbours). */

/** Longer words are cut before they are compared; names and keys are far shorter. */
const COMPARED_MAX = 64

/** The nearest word when it is near enough to be what was meant, else null. */
export function nearest(word: string, known: readonly string[]): string | null {
  const wanted = word.toLowerCase().replace(/[-_]/g, '')
  let best: string | null = null
  let bestEdits = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const edits = editDistance(wanted, candidate.toLowerCase().replace(/[-_]/g, ''))
    if (edits < bestEdits) {
      best = candidate
      bestEdits = edits
    }
  }
  return best
}

export function editDistance(left: string, right: string): number {
  const a = left.slice(0, COMPARED_MAX)
  const b = right.slice(0, COMPARED_MAX)
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const change = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      let edits = Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, change)
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) edits = Math.min(edits, (before[column - 2] ?? 0) + 1)
      current.push(edits)
    }
    before = previous
    previous = current
  }
  return previous[b.length] ?? 0
}
