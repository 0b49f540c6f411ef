/** Copies of records by name. States are immutable, so each new fact about a member makes a copy of a small record. */

/**
 * `all` with one entry set. The same as a spread with a computed name, which engines of JavaScript carry out several
 * times as slowly, and this runs with every event.
 */
export function withEntry<V>(all: Readonly<Record<string, V>>, name: string, value: V): Readonly<Record<string, V>> {
  const next: Record<string, V> = Object.assign({}, all)
  next[name] = value
  return next
}
