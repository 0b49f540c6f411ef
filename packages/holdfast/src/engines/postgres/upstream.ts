/** Questions to the member we follow, and the replication slots that keep the log for those who follow us. */
import type { EngineEndpoint } from '../contract.ts'
import { shown, slotOf } from './config.ts'
import { askOnce, Line, localTarget } from './connection.ts'
import type { Course, Engine } from './engine.ts'

const ASK_MS = 2_000
/** Somebody else made the same slot in the same moment. */
const DUPLICATE = '42710'

export type Peek =
  | { readonly ok: true; readonly primary: boolean; readonly systemId: string }
  | { readonly ok: false; readonly because: string }

/** Reaches the upstream, sees who it is, and makes sure that it keeps the log for us. */
export async function greetUpstream(engine: Engine, at: EngineEndpoint, course: Course): Promise<Peek> {
  const line = new Line(await engine.target(at), engine.o.member)
  try {
    const sql = 'select pg_is_in_recovery() as replica, system_identifier::text as id from pg_control_system()'
    const who = await line.ask(sql, course.leftMs(ASK_MS))
    const row = who.ok ? who.rows[0] : undefined
    if (row === undefined) return { ok: false, because: `${shown(at)}: ${who.ok ? 'no answer' : who.because}` }
    const slot = await line.ask(slotSql([slotOf(engine.o.member)]), course.leftMs(ASK_MS))
    if (!slot.ok && slot.code !== DUPLICATE) return { ok: false, because: `${shown(at)}: no slot: ${slot.because}` }
    return { ok: true, primary: row.replica !== true, systemId: String(row.id) }
  } finally {
    line.close()
  }
}

/** On a new primary: every other member gets its slot, so that none needs a copy after a short absence. */
export async function makeSlots(engine: Engine): Promise<void> {
  const names = engine.o.members.filter((m) => m.member !== engine.o.member).map((m) => slotOf(m.member))
  if (names.length === 0) return
  const own = slotOf(engine.o.member)
  const drop = `select pg_drop_replication_slot(slot_name) from pg_replication_slots
    where not active and slot_name = '${own}'`
  const target = localTarget(engine.home, engine.o)
  let made = await askOnce(target, slotSql(names), ASK_MS)
  // A follower may make its own in the same moment.
  if (!made.ok && made.code === DUPLICATE) made = await askOnce(target, slotSql(names), ASK_MS)
  if (!made.ok) engine.o.log.warn({ because: made.because }, 'replication slots could not be made; followers retry')
  await askOnce(target, drop, ASK_MS)
}

/** On a replica: slots from a former life as primary would hold its log for ever. */
export async function dropSlots(engine: Engine): Promise<void> {
  const names = engine.o.members.map((m) => `'${slotOf(m.member)}'`)
  const sql = `select pg_drop_replication_slot(slot_name) from pg_replication_slots
    where not active and slot_name in (${names.join(', ')})`
  await askOnce(localTarget(engine.home, engine.o), sql, ASK_MS)
}

/** A slot that lost its log (`max_slot_wal_keep_size`) is made anew; its member is copied. */
function slotSql(names: readonly string[]): string {
  const list = names.map((n) => `'${n}'`).join(', ')
  return `select pg_drop_replication_slot(slot_name) from pg_replication_slots
      where slot_name in (${list}) and wal_status = 'lost' and not active;
    select pg_create_physical_replication_slot(n, true) from unnest(array[${list}]) n
      where not exists (select from pg_replication_slots where slot_name = n)`
}
