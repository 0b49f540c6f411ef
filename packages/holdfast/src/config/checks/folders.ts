/** Folders that would overwrite each other. Only folders of one host are compared. */
import { isAbsolute, relative, resolve } from 'node:path'
import { type Draft, type Findings, managedGroups } from '../draft.ts'
import { shown } from '../mistake.ts'
import { isLoopback } from '../quantities.ts'

interface Place {
  readonly draft: Draft
  readonly key: string
  readonly owner: string
  readonly host: string
  readonly dir: string
}

/** PostgreSQL refuses a longer path of its data folder (MAXPGPATH is 1024, some paths below it are 200 long). */
const PATH_MAX = 800

export function checkFolders(root: Draft, findings: Findings, folder: string): void {
  const places = allPlaces(root, folder)
  for (const [index, place] of places.entries()) {
    const before = places.slice(0, index).filter((other) => other.host === place.host)
    const clash = before.find((other) => isWithin(place.dir, other.dir) || isWithin(other.dir, place.dir))
    if (clash !== undefined) {
      const how = clash.dir === place.dir ? 'is the folder of' : 'lies within, or around, the folder of'
      const what = `\`${shown(place.draft.text(place.key))}\` ${how} ${clash.owner}`
      findings.mistakes.push(place.draft.wrong(place.key, what, 'a folder of its own'))
    }
    if (place.dir.length > PATH_MAX) {
      const what = `the path has ${place.dir.length} letters`
      findings.mistakes.push(place.draft.wrong(place.key, what, `at most ${PATH_MAX}`))
    }
    if (place.dir === '/') {
      findings.mistakes.push(
        place.draft.wrong(place.key, 'the root of the file system is no data folder', 'a folder in it'),
      )
    }
  }
}

function allPlaces(root: Draft, folder: string): readonly Place[] {
  const hosts = new Map(root.list('agents').map((agent) => [agent.text('name'), hostOf(agent)]))
  const place = (draft: Draft, key: string, owner: string, host: string): readonly Place[] => {
    const dir = draft.text(key)
    return dir === null || dir === '' || host === '' ? [] : [{ draft, key, owner, host, dir: resolve(folder, dir) }]
  }
  const store = root.get('store')
  const server = root.get('server')
  return [
    ...place(store, 'dir', 'the store', hostOf(store)),
    ...place(server, 'dir', 'the server', hostOf(server)),
    ...root.list('agents').flatMap((agent) => place(agent, 'dir', `agent \`${agent.text('name')}\``, hostOf(agent))),
    ...managedGroups(root).flatMap((group) =>
      group.list('members').flatMap((member) => {
        const host = hosts.get(member.text('agent')) ?? ''
        return place(member, 'dataDir', `member \`${member.text('name')}\``, host)
      }),
    ),
  ]
}

function hostOf(draft: Draft): string {
  const host = draft.address('listen')?.host ?? ''
  return isLoopback(host) ? 'loopback' : host
}

function isWithin(inner: string, outer: string): boolean {
  const way = relative(outer, inner)
  return way === '' || (!way.startsWith('..') && !isAbsolute(way))
}
