/**
 * PostgreSQL 15 to 18 as an engine that Holdfast manages: the door of this folder. One operation at a time, each with
 * its deadline; a fence waits for nobody and cancels what runs. What each operation does is in its own file.
 */
import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { DataState, EngineView, Epoch, SyncSet } from '../../core/model.ts'
import type { CallOptions, Done, EngineAdapter, EngineCapabilities, EngineEndpoint, FenceTarget } from '../contract.ts'
import { type FindOptions, findPostgres } from './binaries.ts'
import { askOnce, localTarget } from './connection.ts'
import { create } from './creation.ts'
import { Course, done, Engine, failed } from './engine.ts'
import { type FollowAt, follow } from './follow.ts'
import type { PostgresOptions } from './options.ts'
import { Probe } from './probe.ts'
import { freeze, promote, restart } from './promotion.ts'
import { stop } from './shutdown.ts'
import { applySync } from './sync-names.ts'

export type { Log, PostgresOptions, PostgresSecrets, PostgresTls } from './options.ts'

/** The kernel needs a moment to end what was aborted; then a fence looks once more. */
const SETTLE_MS = 100

export function createPostgresAdapter(o: PostgresOptions): EngineAdapter {
  return new PostgresAdapter(o)
}

type Work = (engine: Engine, course: Course) => Promise<Done>

interface Opened {
  readonly engine: Engine
  readonly probe: Probe
}

class PostgresAdapter implements EngineAdapter {
  readonly #o: PostgresOptions
  readonly #callbacks: (() => void)[] = []
  readonly #opening: Promise<Opened>
  #opened: Engine | null = null
  #rewind = false
  #running: Promise<unknown> | null = null
  #closed = false

  constructor(o: PostgresOptions) {
    this.#o = o
    this.#opening = this.#open()
    // Each call sees the failure for itself.
    this.#opening.catch(() => undefined)
    void findPostgres(searchOf(o)).then((found) => {
      this.#rewind = found.ok && found.binaries.hasRewind
    })
  }

  get capabilities(): EngineCapabilities {
    return { syncReplication: true, rewind: this.#rewind }
  }

  async view(options: CallOptions): Promise<EngineView> {
    return (await this.#opening).probe.view(options)
  }

  async dataState(): Promise<DataState> {
    return (await (await this.#opening).engine.refresh()).state
  }

  create(epoch: Epoch, sync: SyncSet, options: CallOptions): Promise<Done> {
    return this.#operate('create', options, async (engine, course) => {
      await endCopy(engine)
      return create(engine, epoch, sync, course)
    })
  }

  follow(upstream: EngineEndpoint | null, at: FollowAt, options: CallOptions): Promise<Done> {
    return this.#operate('follow', options, (engine, course) => follow(engine, upstream, at, course))
  }

  freeze(_epoch: Epoch, options: CallOptions): Promise<Done> {
    return this.#operate('freeze', options, freeze)
  }

  promote(epoch: Epoch, sync: SyncSet, options: CallOptions): Promise<Done> {
    return this.#operate('promote', options, (engine, course) => promote(engine, epoch, sync, course))
  }

  restart(epoch: Epoch, sync: SyncSet, options: CallOptions): Promise<Done> {
    return this.#operate('restart', options, async (engine, course) => {
      await endCopy(engine)
      return restart(engine, epoch, sync, course)
    })
  }

  applySync(sync: SyncSet, options: CallOptions): Promise<Done> {
    return this.#operate('apply-sync', options, (engine, course) => applySync(engine, sync, course))
  }

  checkpoint(options: CallOptions): Promise<Done> {
    return this.#operate('checkpoint', options, checkpoint)
  }

  stop(options: CallOptions): Promise<Done> {
    return this.#operate('stop', options, async (engine, course) => {
      await endCopy(engine)
      return stop(engine, course)
    })
  }

  async fence(options: CallOptions): Promise<Done> {
    return fence((await this.#opening).engine, options, this.#running)
  }

  fenceTarget(): FenceTarget {
    return {
      member: this.#o.member,
      dataDir: this.#opened?.home.dataDir ?? realDir(this.#o.dataDir),
      mainPid: this.#opened?.postmaster.pid ?? null,
    }
  }

  mainProcess(): string | null {
    return this.#opened?.postmaster.name ?? null
  }

  onExit(callback: () => void): void {
    this.#callbacks.push(callback)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#callbacks.length = 0
    const engine = (await this.#opening.catch(() => null))?.engine ?? null
    if (engine === null) return
    await endCopy(engine)
    engine.close()
  }

  async #open(): Promise<Opened> {
    const engine = await Engine.open(this.#o)
    this.#opened = engine
    engine.postmaster.onExit(() => {
      for (const callback of [...this.#callbacks]) callback()
    })
    if (this.#closed) engine.close()
    return { engine, probe: new Probe(engine) }
  }

  /** One at a time: the next waits for the one before within its own deadline. */
  async #operate(name: string, options: CallOptions, work: Work): Promise<Done> {
    const { engine } = await this.#opening
    const course = new Course(engine, options)
    while (this.#running !== null) {
      if (!(await endsWithin(this.#running, course))) return failed(`${name}: another operation is running`)
    }
    if (course.over) return course.late(name)
    const mine = work(engine, course)
    this.#running = mine
    try {
      return await mine
    } finally {
      if (this.#running === mine) this.#running = null
    }
  }
}

function searchOf(o: PostgresOptions): FindOptions {
  return {
    ...(o.version === undefined ? {} : { version: o.version }),
    ...(o.binDir === undefined ? {} : { binDir: o.binDir }),
  }
}

/** Kills first and asks later: what was cancelled may have started something in the last moment. */
async function fence(engine: Engine, options: CallOptions, running: Promise<unknown> | null): Promise<Done> {
  // Whatever runs in somebody else's directory is not ours to kill, and nothing of ours can run there.
  if (engine.look.state === 'foreign' && engine.postmaster.pid === null) return done(null)
  engine.cancelAll()
  engine.copy?.abort.abort(new Error('fenced'))
  engine.postmaster.expectEnd()
  const first = await engine.postmaster.kill(options.deadlineMs)
  engine.eye.drop()
  engine.hand.drop()
  if (running !== null) {
    await Promise.race([running.catch(() => undefined), new Promise((r) => setTimeout(r, SETTLE_MS))])
    await engine.postmaster.kill(options.deadlineMs)
  }
  if (first.alive > 0 && engine.postmaster.anyAlive()) return failed(`fence: ${first.alive} processes are still alive`)
  return done(null)
}

async function checkpoint(engine: Engine, course: Course): Promise<Done> {
  // It can take minutes, and a promotion that comes in between must not wait for it.
  const answer = await askOnce(localTarget(engine.home, engine.o), 'checkpoint', course.leftMs(), course.signal)
  return answer.ok ? done(null) : failed(`checkpoint: ${answer.because}`)
}

async function endCopy(engine: Engine): Promise<void> {
  const { copy } = engine
  if (copy === null) return
  copy.abort.abort(new Error('superseded'))
  await copy.result
}

async function endsWithin(running: Promise<unknown>, course: Course): Promise<boolean> {
  let ended = false
  const finish = (): void => {
    ended = true
  }
  running.then(finish, finish)
  while (!ended && (await course.pause(2)));
  return ended
}

/** Before the adapter is open: the same path the kernel will tell. */
function realDir(dataDir: string): string {
  const asked = resolve(dataDir)
  try {
    return realpathSync(asked)
  } catch {
    try {
      return join(realpathSync(dirname(asked)), basename(asked))
    } catch {
      return asked
    }
  }
}
