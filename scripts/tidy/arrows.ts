/** Rules about imports: arrows between rooms, walls between adapters, packages from outside, cycles. */
import { posix } from 'node:path'
import type { Finding } from './finding.ts'
import { adapterOf, OWN_PACKAGES, type Room, roomOf } from './rooms.ts'
import { isTest } from './source-files.ts'
import type { FileFacts, ImportFact } from './syntax.ts'

export function checkArrows(facts: readonly FileFacts[]): readonly Finding[] {
  return [...facts.flatMap((file) => file.imports.flatMap((one) => checkImport(file.path, one))), ...checkCycles(facts)]
}

/** Path of the file an import leads to, or null when it leads outside the repository. */
export function targetOf(from: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier))
  return OWN_PACKAGES[specifier] ?? null
}

function checkImport(path: string, one: ImportFact): readonly Finding[] {
  const at = { path, line: one.line }
  const room = roomOf(path)
  if (room === null) return []
  const target = targetOf(path, one.specifier)
  if (target === null) return checkPackage(room, path, one)
  if (one.specifier.startsWith('.') && !/\.[a-z]+$/.test(one.specifier)) {
    return [{ ...at, rule: 'extension', message: `write the file's ending: '${one.specifier}.ts'` }]
  }
  if (isTest(path)) return []
  if (/\.test\.ts$/.test(target)) {
    const message = `${target} is a test; move what is shared into a file of its own and import that`
    return [{ ...at, rule: 'arrows', message }]
  }
  return [...checkRooms(room, target, at), ...checkAdapters(path, target, at)]
}

function checkRooms(room: Room, target: string, at: Pick<Finding, 'path' | 'line'>): readonly Finding[] {
  const to = roomOf(target)
  if (to === null || to.name === room.name) return []
  if (room.mayImport.includes('*') || room.mayImport.includes(to.name)) return []
  const may = room.mayImport.length === 0 ? 'imports nothing' : `may import ${room.mayImport.join(', ')}`
  const message =
    `'${room.name}' may not import '${to.name}' (${target}); it ${may}. ` +
    'Move the shared part to a room both may import, or pass it in as a parameter'
  return [{ ...at, rule: 'arrows', message, subject: to.name }]
}

function checkAdapters(path: string, target: string, at: Pick<Finding, 'path' | 'line'>): readonly Finding[] {
  const from = adapterOf(path)
  const to = adapterOf(target)
  if (to === null || from === to) return []
  if (from !== null && roomOf(path)?.name === roomOf(target)?.name) {
    const message = `adapter ${from} may not import adapter ${to}; what both need belongs to the contract or to io`
    return [{ ...at, rule: 'adapters', message }]
  }
  if (/\/contract\.ts$/.test(path)) {
    const message = `a contract may not know an adapter (${to}); adapters import the contract`
    return [{ ...at, rule: 'adapters', message }]
  }
  return []
}

function checkPackage(room: Room, path: string, one: ImportFact): readonly Finding[] {
  if (room.packages === 'any' || isTest(path)) return []
  if (one.specifier.startsWith('node:') && room.packages === 'node') return []
  const wanted = room.packages === 'node' ? "only Node's own modules (node:...)" : 'no package at all'
  const message = `'${room.name}' may import ${wanted}, not '${one.specifier}'; take what it gives as a parameter`
  return [{ path, line: one.line, rule: 'packages', message, subject: one.specifier }]
}

/** Finds groups of files that import each other at load time (types included: they tie the files all the same). */
function checkCycles(facts: readonly FileFacts[]): readonly Finding[] {
  const known = new Map(facts.map((file) => [file.path, file]))
  const finished = new Set<string>()
  const findings: Finding[] = []
  const trail: string[] = []
  const visit = (path: string): void => {
    trail.push(path)
    for (const one of known.get(path)?.imports ?? []) {
      const target = one.dynamic ? null : targetOf(path, one.specifier)
      if (target === null || !known.has(target) || finished.has(target)) continue
      const start = trail.indexOf(target)
      if (start === -1) visit(target)
      else findings.push(cycleFinding(trail.slice(start), one.line))
    }
    trail.pop()
    finished.add(path)
  }
  for (const file of facts) if (!finished.has(file.path)) visit(file.path)
  return findings
}

function cycleFinding(files: readonly string[], line: number): Finding {
  const last = files.at(-1) ?? ''
  const round = [...files, files[0]].join(' -> ')
  const message = `import cycle ${round}; move what both sides need into a third file`
  return { path: last, line, rule: 'cycles', message }
}
