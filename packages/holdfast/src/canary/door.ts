/**
 * Connections as an application opens them: its account, the authority that signed the members' certificates, bounds on
 * every wait. Shared by everything of ours that measures as a client does.
 */
import pg from 'pg'
import { pemText } from '../config/pem.ts'
import type { Address, GroupSpec, Platform } from '../config/platform.ts'
import { replicationOf } from '../config/settings.ts'
import { demandScram } from '../engines/postgres/scram.ts'
import { Line } from '../engines/redis/connection.ts'

export interface Bounds {
  /** For people who look at the server's list of sessions. */
  readonly name: string
  readonly connectMs: number
  readonly answerMs: number
}

/** A connection that proved to be to our own server; throws when it cannot be had. */
export async function connectPostgres(group: GroupSpec, at: Address, bounds: Bounds): Promise<pg.Client> {
  const client = postgresClient(group, at, bounds)
  // A server that others set up may ask for the password in the form it likes.
  const assertProven = group.failover === 'observe' ? null : demandScram(client)
  try {
    await client.connect()
    assertProven?.()
    return client
  } catch (error) {
    void client.end().catch(() => {})
    throw error
  }
}

function postgresClient(group: GroupSpec, at: Address, { name, connectMs, answerMs }: Bounds): pg.Client {
  const client = new pg.Client({
    ...at,
    user: group.application?.user,
    database: group.application?.database,
    password: group.application?.password.reveal(),
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    application_name: name,
    // The certificate names the member behind the door, whichever it is.
    ...(group.tls === null ? {} : { ssl: { ca: pemText(group.tls.caFile), checkServerIdentity: () => undefined } }),
  })
  // Without a listener a broken connection would end the process.
  client.on('error', () => {})
  return client
}

/** Opens itself with the first question. */
export function redisLine(group: GroupSpec, at: Address): Line {
  return new Line({
    ...at,
    user: group.application?.user ?? 'default',
    password: group.application?.password.reveal() ?? '',
    ...(group.tls === null ? {} : { tls: { ca: pemText(group.tls.caFile) } }),
  })
}

/** Replicas that must confirm before a write to Redis counts (engines/redis/SPEC.md). */
export function confirmationsOf(group: GroupSpec): number {
  const replication = replicationOf(group)
  return group.engine === 'redis' && replication.kind === 'quorum' ? replication.need : 0
}

/** A way to a group, and what to call it. */
export interface Way {
  readonly at: Address
  readonly words: string
}

/** The doors applications use, in the order of the description; none: no router leads to it. */
export function doorsOf({ routers }: Platform, group: GroupSpec): { readonly write: Way[]; readonly read: Way[] } {
  const doors = routers.flatMap(({ name, doors: all }) =>
    all.filter((door) => door.group === group.name).map((door) => ({ router: name, ...door })),
  )
  return {
    write: doors.map(({ router, listen }) => ({ at: listen, words: `door of router ${router}` })),
    read: doors.flatMap(({ router, read }) =>
      read === null ? [] : [{ at: read.listen, words: `read door of router ${router}` }],
    ),
  }
}
