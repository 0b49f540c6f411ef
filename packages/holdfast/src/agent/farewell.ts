/**
 * The end of an agent that was asked to stop. A primary is handed over first, when somebody can take it; what is still
 * held after that is stopped cleanly and released with its final position, so that nobody has to wait out a ttl (R9).
 */
import type { GroupRecord, MemberName } from '../core/model.ts'
import type { MemberSettings } from '../core/settings.ts'
import type { EngineAdapter } from '../engines/contract.ts'
import type { Log } from '../io/log.ts'
import { freshId } from '../io/random.ts'
import type { Loop } from './loop.ts'
import type { StorePort } from './store-port.ts'

export interface FarewellOptions {
  readonly loop: Loop
  readonly store: StorePort
  readonly settings: readonly MemberSettings[]
  readonly adapters: ReadonlyMap<MemberName, EngineAdapter>
  readonly nowMs: () => number
  readonly log: Pick<Log, 'info' | 'warn'>
}

const LOOK_EVERY_MS = 10
const RELEASE_ATTEMPTS_MAX = 3

/** Asks for a switchover of every group held here and waits, within a bound, until it is done or refused. */
export async function handOver(options: FarewellOptions): Promise<void> {
  await Promise.all(options.settings.filter((m) => holds(options, m)).map((m) => handOverOne(options, m)))
}

async function handOverOne(options: FarewellOptions, settings: MemberSettings): Promise<void> {
  const { loop, store, nowMs, log } = options
  const { self, group, timing } = settings
  if (settings.members.length < 2 || settings.failover === 'observe') return
  const id = freshId()
  const asked = await edit(store, group, (record) => {
    if (record.phase !== 'open' || record.holder !== self.member || record.intent !== null) return null
    const by = `agent ${self.agent} stops`
    const intent = { id, kind: 'switchover', to: null, allowDataLoss: false, by, validMs: timing.stopMs } as const
    return { ...record, intent }
  })
  if (!asked) return
  const untilMs = nowMs() + timing.stopMs + timing.ttlMs
  for (;;) {
    const state = loop.state.members[self.member]
    const refused = state?.record?.value?.lastIntent
    if (!holds(options, settings)) break
    if (refused?.id === id && !refused.ok) {
      log.info({ group, because: refused.because }, 'hand-over-refused')
      return
    }
    if (nowMs() > untilMs) {
      log.warn({ group, waitedMs: timing.stopMs + timing.ttlMs }, 'hand-over-too-slow')
      return
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  log.info({ group, member: self.member }, 'handed-over')
}

/** After the loop has stopped: stops the engine and releases what is still held. True when nothing of it runs. */
export async function stopMember(options: FarewellOptions, settings: MemberSettings): Promise<boolean> {
  const { loop, store, adapters, log } = options
  const { self, group, timing } = settings
  const adapter = adapters.get(self.member)
  const held = loop.state.members[self.member]?.hold ?? null
  if (adapter === undefined) return true
  const call = { deadlineMs: timing.stopMs, signal: new AbortController().signal }
  let done = await adapter.stop(call)
  const clean = done.ok
  if (!done.ok) {
    log.warn({ member: self.member, because: done.because }, 'clean-stop-failed')
    done = await adapter.fence({ ...call, deadlineMs: timing.promoteMs })
  }
  if (!done.ok || held === null) return done.ok
  const { position } = done
  const release = { position: clean ? position : null, clean: clean && position !== null, to: null }
  const released = await edit(store, group, (record) => {
    if (record.holder !== self.member || record.session !== held.session || record.epoch !== held.epoch) return null
    if (record.phase === 'released' || record.phase === 'creating') return null
    return { ...record, phase: 'released', release: { ...release, because: `agent ${self.agent} stopped` } }
  })
  if (released) log.info({ group, member: self.member, clean: release.clean }, 'released')
  return true
}

function holds(options: FarewellOptions, settings: MemberSettings): boolean {
  return (options.loop.state.members[settings.self.member]?.hold ?? null) !== null
}

/** Null from `change`: nothing to do. An outcome that stays unknown is left to the ttl. */
async function edit(
  store: StorePort,
  group: string,
  change: (record: GroupRecord) => GroupRecord | null,
): Promise<boolean> {
  for (let attempt = 0; attempt < RELEASE_ATTEMPTS_MAX; attempt++) {
    const { outcome } = await store.readGroup(group)
    if (outcome.kind !== 'ok' || outcome.value === null) continue
    const next = change(outcome.value)
    if (next === null) return false
    const written = await store.writeGroup({ ...next, stamp: `farewell:${freshId()}` }, outcome.revision)
    if (written.outcome.kind === 'ok') return true
  }
  return false
}
