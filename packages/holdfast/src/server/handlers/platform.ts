/** What is so now, and what happened. Everything is narrowed to the groups the asker may read. */
import type { ApiFigures, ApiGroup, ApiIncident, ApiPlatform, ApiSupervisedGroup } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import { type Principal, readable } from '../access/grants.ts'
import { eventsAfter, eventsOf, oldestEventNumber } from '../events.ts'
import { BACKLOG_BYTES_MAX, eventText, LISTENERS_MAX, type Listener, messageText } from '../follow/hub.ts'
import { serviceOf } from '../follow/standing.ts'
import { document, type Handlers, type StreamSink } from '../http/request.ts'
import { planOf } from '../plans/plan-view.ts'
import { groupNames, type Scene } from '../scene.ts'
import { agentAnswer, groupOr404 } from './agents.ts'

const PAGE = 100
const REPLAY_PAGE = 500
/** Who was away for longer gets the state and reads the rest by pages. */
const REPLAY_MAX = 20_000
/** What comes while the missed is sent; who takes longer than this lasts comes again. */
const HELD_MAX = 5_000
const REPLAY_LOOK_MS = 50
const REPLAY_MS_MAX = 60_000

type PlatformHandlers = Pick<
  Handlers,
  'platform' | 'group' | 'explainGroup' | 'supervised' | 'events' | 'stream' | 'incidents' | 'incident'
>

export function platformHandlers(scene: Scene): PlatformHandlers {
  const { database, watch } = scene
  return {
    platform: async ({ who }) => document(platformDocument(scene, seen(scene, who))),
    group: async ({ params }) => document(groupOr404(watch.group(params.group), params.group)),
    explainGroup: async ({ params }) => document(agentAnswer(await scene.agentsOf(params.group).explain(params.group))),
    supervised: async ({ who }) => document(supervisedFor(scene, seen(scene, who))),
    events: async ({ query, who }) => {
      const limit = query.limit ?? PAGE
      const groups = seen(scene, who)
      const events = await eventsOf(database.read, { ...query, limit, groups: groups === null ? null : [...groups] })
      const next = events.length < limit ? null : (events.at(-1)?.number ?? null)
      return document({ events, next, oldestKept: await oldestEventNumber(database.read) })
    },
    incidents: async ({ query, who }) => {
      const groups = seen(scene, who)
      const found = await incidentsOf(scene, query, groups)
      return document(found)
    },
    incident: async ({ params, who }) => {
      const row = await database.read
        .selectFrom('incidents')
        .select('body')
        .where('id', '=', params.id)
        .executeTakeFirst()
      const incident = row === undefined ? null : incidentIn(row.body)
      const groups = seen(scene, who)
      if (incident === null || groups?.has(incident.group) === false) throw unknown('incident', params.id)
      return document(incident)
    },
    stream: async ({ who, lastEventId }) => {
      if (scene.hub.size >= LISTENERS_MAX) {
        throw new HoldfastError('HF_BUSY', `${LISTENERS_MAX} listen already`, 'close some pages, or ask another server')
      }
      const groups = seen(scene, who)
      return {
        kind: 'stream',
        open: (sink) => openStream(scene, { sink, groups, lastEventId }),
        still: (now) => sameGroups(groups, seen(scene, now)),
      }
    },
  }
}

export function unknown(kind: string, id: string): HoldfastError {
  return new HoldfastError('HF_THING_UNKNOWN', `no ${kind} ${id.slice(0, 64)}`, `see the list of ${kind}s`)
}

export function seen(scene: Scene, who: Principal | null): ReadonlySet<string> | null {
  return who === null ? new Set() : readable(who, groupNames(scene), scene.services())
}

function sameGroups(a: ReadonlySet<string> | null, b: ReadonlySet<string> | null): boolean {
  if (a === null || b === null) return a === b
  return a.size === b.size && [...a].every((group) => b.has(group))
}

export function platformDocument(scene: Scene, groups: ReadonlySet<string> | null): ApiPlatform {
  const { platform, watch, leader, clock, feed } = scene
  const shown = watch.groups().filter(({ group }) => groups?.has(group) !== false)
  const { leading, holder } = leader.state
  const paused = shown.filter((group) => group.paused !== null).length
  return {
    platform: platform.name,
    version: scene.version,
    wallMs: Math.round(clock.wallMs()),
    lastEvent: feed.last,
    server: { name: scene.name, leading, leader: holder, followsMsAgo: Math.round(watch.ageMs()) },
    automation: paused === 0 ? 'on' : paused === shown.length ? 'off' : 'some',
    sites: platform.sites.map(({ name, witness }) => ({ site: name, witness })),
    store: { kind: platform.store.kind, site: platform.store.kind === 'embedded' ? platform.store.site : null },
    agents: watch.agents(),
    groups: shown,
    supervised: supervisedFor(scene, groups),
    services: platform.services.flatMap((service) => serviceOf(service, shown) ?? []),
    plans: scene.plans.follower
      .all()
      .flatMap((sight) => (seesAll(scene, groups, sight.record.scope) ? planOf(sight) : [])),
  }
}

function supervisedFor({ supervised }: Scene, groups: ReadonlySet<string> | null): ApiSupervisedGroup[] {
  return supervised.watch.groups().filter(({ group }) => groups?.has(group) !== false)
}

/** Only for who may read all groups of it. */
function seesAll({ scopes }: Scene, groups: ReadonlySet<string> | null, scope: string): boolean {
  return groups === null || (scopes.get(scope)?.every((group) => groups.has(group)) ?? false)
}

export function figuresOf(groups: readonly ApiGroup[], wallMs: number): ApiFigures {
  return {
    wallMs: Math.round(wallMs),
    members: groups.flatMap(({ members }) =>
      members.map(({ member, lsn, lagBytes, writableForMs }) => ({ member, lsn, lagBytes, writableForMs })),
    ),
    groups: groups.map(({ group, loss }) => ({ group, lossBytes: loss.bytes })),
  }
}

async function incidentsOf(
  { database }: Scene,
  query: {
    readonly group?: string | undefined
    readonly state?: string | undefined
    readonly limit?: number | undefined
  },
  groups: ReadonlySet<string> | null,
): Promise<readonly ApiIncident[]> {
  let found = database.read.selectFrom('incidents').select('body')
  if (query.group !== undefined) found = found.where('group_name', '=', query.group)
  if (query.state !== undefined) found = found.where('state', '=', query.state)
  if (groups !== null) found = found.where('group_name', 'in', [...groups, ''])
  const rows = await found
    .orderBy('opened_ms', 'desc')
    .limit(query.limit ?? PAGE)
    .execute()
  return rows.map(({ body }) => incidentIn(body))
}

/** Those of earlier versions had no canary. */
function incidentIn(body: string): ApiIncident {
  return { canary: null, ...(JSON.parse(body) as Omit<ApiIncident, 'canary'>) }
}

interface Opening {
  readonly sink: StreamSink
  readonly groups: ReadonlySet<string> | null
  readonly lastEventId: number | null
}

/** The state first, then what was missed, then what comes; nothing twice and nothing left out. */
function openStream(scene: Scene, { sink, groups, lastEventId }: Opening): () => void {
  const { hub, feed, log } = scene
  let held: string[] | null = []
  const listener: Listener = {
    groups,
    backlog: sink.backlog,
    write: (text) => {
      if (held === null) sink.write(text)
      else if (held.push(text) > HELD_MAX) sink.end()
    },
    cut: sink.end,
  }
  const remove = hub.add(listener)
  // Events up to here were told before this listener came; all later ones are held.
  const known = feed.last
  sink.write(messageText('platform', platformDocument(scene, groups)))
  replay(scene, { sink, groups, lastEventId }, known)
    .then(() => {
      for (const text of held ?? []) sink.write(text)
      held = null
    })
    .catch((error: unknown) => {
      log.warn({ error }, 'stream-not-replayed')
      sink.end()
    })
  return () => {
    held = []
    remove()
  }
}

async function replay({ database }: Scene, { sink, groups, lastEventId }: Opening, known: number): Promise<void> {
  if (lastEventId === null) return
  for (let after = Math.max(lastEventId, known - REPLAY_MAX); after < known; ) {
    const events = await eventsAfter(database.read, after, REPLAY_PAGE)
    for (const event of events) {
      if (event.number > known) return
      if (groups === null || event.group === null || groups.has(event.group)) sink.write(eventText(event))
    }
    const last = events.at(-1)?.number
    if (last === undefined) return
    after = last
    await taken(sink)
  }
}

/** Until the reader has taken most of it; throws when he does not. */
async function taken(sink: StreamSink): Promise<void> {
  for (let waitedMs = 0; sink.backlog() > BACKLOG_BYTES_MAX / 2; waitedMs += REPLAY_LOOK_MS) {
    if (waitedMs >= REPLAY_MS_MAX) throw new Error('the reader of a stream does not read')
    await new Promise((resolve) => setTimeout(resolve, REPLAY_LOOK_MS))
  }
}
