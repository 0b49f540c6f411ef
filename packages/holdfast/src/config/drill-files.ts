/**
 * The drill files that a description names, as they are now: each with its drill, or with its mistakes. Read on demand
 * and not with the description, so that a mistake in a drill keeps no agent from starting.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type DrillSpec, loadDrill } from './drill.ts'
import { completedDrill } from './drill-objectives.ts'
import type { Mistake } from './mistake.ts'
import type { Platform } from './platform.ts'

/** More than a platform has groups. */
const FILES_MAX = 256

export type DrillEntry =
  | { readonly ok: true; readonly file: string; readonly drill: DrillSpec }
  | { readonly ok: false; readonly file: string; readonly mistakes: readonly Mistake[] }

type Described = Pick<Platform, 'drills' | 'groups' | 'services'>

export function drillEntries(platform: Described): readonly DrillEntry[] {
  const seen = new Map<string, string>()
  return filesOf(platform.drills).map((file): DrillEntry => {
    const loaded = loadDrill(file)
    if (!loaded.ok) return { ok: false, file, mistakes: loaded.mistakes }
    const { drill: name, group } = loaded.drill.settings
    const wrong = (path: 'drill' | 'group', what: string, right: string): DrillEntry => {
      return { ok: false, file, mistakes: [loaded.place({ path: [path], at: 'value', what, right })] }
    }
    const groups = platform.groups.map((one) => one.name)
    if (!groups.includes(group)) return wrong('group', `there is no group \`${group}\``, `one of ${groups.join(', ')}`)
    const other = seen.get(name)
    if (other !== undefined) return wrong('drill', `${other} is called \`${name}\`, too`, 'a name of its own')
    seen.set(name, file)
    const completed = completedDrill(loaded, platform)
    return completed.ok ? { ok: true, file, drill: completed.drill } : { ok: false, file, mistakes: completed.mistakes }
  })
}

/** A path that is not there stays in the list, and is told when it is read. */
function filesOf(paths: readonly string[]): readonly string[] {
  const files = paths.flatMap((path) => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path]
    const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name))
    return names.sort().map((name) => join(path, name))
  })
  return [...new Set(files)].slice(0, FILES_MAX)
}
