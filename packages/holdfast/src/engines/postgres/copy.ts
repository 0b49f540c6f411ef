/** The long work of getting a usable copy: rewinding a diverged one, or cloning anew. One at a time per member. */
import { chmod, chown, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { freshId } from '../../io/random.ts'
import type { Done, EngineEndpoint, Progress } from '../contract.ts'
import { cloneFrom } from './base-backup.ts'
import { slotOf } from './config.ts'
import { readControlFile } from './control-file.ts'
import { done, type Engine, failed, refused } from './engine.ts'
import { type MemberFile, markUnfinished, readMemberFile, text, unmark, wipe, writeMemberFile } from './home.ts'
import type { RejoinDecision } from './rejoin.ts'
import { rewindOrPrepareClone } from './rewind.ts'

export function startCopy(
  engine: Engine,
  upstream: EngineEndpoint,
  systemId: string | null,
  decision: RejoinDecision | null,
): void {
  const abort = new AbortController()
  const watchers = new Set<Progress>()
  let step = 'copying'
  const progress: Progress = (name, at, total) => {
    step = total === null || total === 0 ? name : `${name} (${Math.floor((100 * at) / total)} %)`
    for (const watcher of watchers) watcher(name, at, total)
  }
  const job = { engine, upstream, systemId, decision, signal: abort.signal, progress }
  const result = obtain(job)
    .catch((error: unknown) => failed(`copy: ${text(error)}`))
    .then(async (outcome) => {
      await engine.refresh().catch(() => undefined)
      engine.copy = null
      return outcome
    })
  engine.copy = {
    upstream,
    abort,
    result,
    get step() {
      return step
    },
    watch(one) {
      if (one !== undefined) watchers.add(one)
      return () => {
        if (one !== undefined) watchers.delete(one)
      }
    },
  }
}

interface Job {
  readonly engine: Engine
  readonly upstream: EngineEndpoint
  readonly systemId: string | null
  readonly decision: RejoinDecision | null
  readonly signal: AbortSignal
  readonly progress: Progress
}

async function obtain(job: Job): Promise<Done> {
  const { engine, decision } = job
  const { home } = engine
  const left = await engine.postmaster.kill()
  if (left.alive > 0) return failed(`copy: ${left.alive} processes of the former server do not end`)
  if (decision !== null) {
    const ready = await engine.ready()
    if (!ready.ok) return ready
    const before = await readMemberFile(home)
    const { upstream: at, signal, progress } = job
    const rewound = await rewindOrPrepareClone({
      dataDir: home.dataDir,
      binaries: ready.binaries,
      upstream: await engine.source(at),
      decision,
      keepDir: join(dirname(home.dataDir), `${engine.o.member}.kept`),
      owner: home.owner,
      signal,
      progress,
    })
    if (!rewound.ok) return { ok: false, because: rewound.because, retryable: rewound.retryable }
    if (rewound.keptTail !== null) {
      engine.o.log.warn({ member: engine.o.member, keptTail: rewound.keptTail }, 'a lost tail of the log was kept')
    }
    if (rewound.did === 'rewind' && before !== null) return finish(job, 'rewind', before.systemId)
  }
  return clone(job)
}

async function clone(job: Job): Promise<Done> {
  const { engine, upstream, signal, progress } = job
  const { home, o } = engine
  await markUnfinished(home, o)
  const kept = await wipe(home, o)
  if (kept !== null) return refused(kept)
  await mkdir(home.dataDir, { recursive: true, mode: 0o700 })
  const cloned = await cloneFrom({
    source: await engine.source(upstream),
    dataDir: home.dataDir,
    slot: slotOf(o.member),
    owner: home.owner,
    signal,
    progress,
  })
  if (!cloned.ok) return { ok: false, because: `clone: ${cloned.because}`, retryable: cloned.retryable }
  await chmod(home.dataDir, 0o700)
  if (home.owner !== null) await chown(home.dataDir, home.owner.uid, home.owner.gid)
  return finish(job, 'clone', cloned.systemId)
}

/** Makes the copy ours: only the member file makes it count as complete. */
async function finish(job: Job, madeBy: MemberFile['madeBy'], systemId: string): Promise<Done> {
  const { home, o } = job.engine
  const control = await readControlFile(home.dataDir)
  if (control === null || control.systemId !== systemId) return failed(`${madeBy}: the copy has no sound control file`)
  if (job.systemId !== null && systemId !== job.systemId) {
    return refused(`${madeBy}: the copy has system identifier ${systemId}, the group is ${job.systemId}`)
  }
  const who = { v: 1, group: o.group, member: o.member, systemId } as const
  await writeMemberFile(home, { ...who, diskId: freshId(), madeBy, unopenedEpoch: null })
  await unmark(home)
  return done(null)
}
