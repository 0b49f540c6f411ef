/**
 * The faults a drill does to what stands beside this agent: kill, freeze, block. Allowed only by `drills: allowed` in
 * the description. Each ends by itself: a freeze by its dead-man (another process), a block by the time it is compared
 * with. What is told of a fault is what was seen of it.
 *
 * Invariants: one fault at a time; one that was lifted is never done under its id again, also when its order comes
 * late; before a process is stopped its name, or its engine's folder, stands on the disk, and the next start of the
 * agent lets it run.
 */
import { mkdir, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultOrder, FaultStatus } from '@holdfast/client'
import type { FenceTarget } from '../engines/contract.ts'
import { HoldfastError } from '../errors.ts'
import { type Freeze, prepareFreeze } from '../guard/freeze.ts'
import { type EngineHome, FENCERS_FIRST_MS, processesOf, signalOne } from '../guard/standstill.ts'
import { blockade } from '../io/blockade.ts'
import { readPlain, writeFileDurable } from '../io/files.ts'
import type { Log } from '../io/log.ts'
import { identify, isAlive, isStopped, type ProcessId, treeOf } from '../io/process-tree.ts'
import { freshId } from '../io/random.ts'

export interface DrillFaultOptions {
  readonly allowed: boolean
  readonly agent: string
  /** A note of what is frozen, for the next start. */
  readonly noteFile: string
  /** Members beside this agent and how to find their processes. */
  readonly targets: ReadonlyMap<string, () => FenceTarget>
  readonly guardPid: () => number | null
  readonly storeOrigins: readonly string[]
  readonly peerOrigins: readonly string[]
  readonly door: { readonly host: string; readonly scheme: 'http' | 'https' }
  readonly tls: { readonly cert: string; readonly key: string } | null
  readonly log: Log
}

/** A fault is long over by then. */
const FOR_MS_MAX = 600_000
/** So that the answer to the order is on its way before the agent stands still, on a busy host too. */
const DELAY_MS = 1_000
const LIFTED_IDS_MAX = 256
const NOTE_BYTES_MAX = 1_048_576

interface Fault {
  readonly order: FaultOrder
  status(): Pick<FaultStatus, 'state' | 'proof' | 'leftMs' | 'deadman'>
  lift(): void
}

export class DrillFaults {
  readonly #options: DrillFaultOptions
  #fault: Fault | null = null
  /** The id of the order that is being prepared. */
  #preparing: string | null = null
  readonly #lifted = new Set<string>()

  constructor(options: DrillFaultOptions) {
    this.#options = options
  }

  /** True while the other agents are out of reach, and we are for them. */
  get linksCut(): boolean {
    return this.#fault?.order.kind === 'block-link' && this.#fault.status().state === 'on'
  }

  list(): readonly FaultStatus[] {
    return this.#fault === null ? [] : [statusOf(this.#fault)]
  }

  async begin(order: FaultOrder): Promise<FaultStatus> {
    const known = this.#fault
    if (known !== null && known.order.id === order.id) return statusOf(known)
    this.#check(order)
    this.#preparing = order.id
    try {
      const fault = await this.#make(order)
      // Lifted while it was prepared: the order came first, the word to end it wins.
      if (this.#lifted.has(order.id)) fault.lift()
      this.#fault = fault
      this.#options.log.warn({ ...order }, 'drill-fault-on')
      return statusOf(fault)
    } finally {
      this.#preparing = null
    }
  }

  /** `*`: whatever is on. Harmless when nothing is. */
  lift(id: string, by: string): readonly FaultStatus[] {
    if (id !== '*') this.#remember(id)
    else if (this.#preparing !== null) this.#remember(this.#preparing)
    const fault = this.#fault
    if (fault !== null && (id === '*' || fault.order.id === id)) {
      if (fault.status().state !== 'off') this.#options.log.warn({ id: fault.order.id, by }, 'drill-fault-lifted')
      this.#remember(fault.order.id)
      fault.lift()
    }
    return this.list()
  }

  /** What an earlier life of this agent left stopped, should nobody have let it run. */
  async continueLeftovers(): Promise<void> {
    const { noteFile, log } = this.#options
    const text = await readPlain(noteFile, NOTE_BYTES_MAX).catch(() => null)
    if (text === null) return
    const { fencers, engines } = noted(text.toString('utf8'))
    const isLeft = (one: ProcessId): boolean => isAlive(one) && isStopped(one.pid)
    const first = fencers.filter((one) => isLeft(one) && signalOne(one, 'SIGCONT'))
    if (first.length > 0) await sleep(FENCERS_FIRST_MS)
    const left = processesOf(engines).filter((one) => isLeft(one) && signalOne(one, 'SIGCONT'))
    const pids = [...first, ...left].map((one) => one.pid)
    if (pids.length > 0) log.warn({ pids }, 'drill-leftovers-continued')
    await unlink(noteFile).catch(() => undefined)
  }

  close(): void {
    if (this.#preparing !== null) this.#remember(this.#preparing)
    this.#fault?.lift()
  }

  #check({ id, kind, members, forMs }: FaultOrder): void {
    const { allowed, agent, targets } = this.#options
    const no = (because: string, next: string): HoldfastError => new HoldfastError('HF_DRILL_REFUSED', because, next)
    if (!allowed) {
      throw no(`agent ${agent} allows no drills`, 'write "drills: allowed" for it in the description, restart it')
    }
    if (this.#lifted.has(id)) throw no('this drill was ended already', 'begin a new one')
    if (this.#preparing !== null || (this.#fault !== null && this.#fault.status().state !== 'off')) {
      throw no(`another fault is on at ${agent}`, 'wait for its end, or: holdfast drill abort')
    }
    const strange = members.find((member) => !targets.has(member))
    if (strange !== undefined || members.length === 0) {
      throw no(`${strange ?? 'nobody'} is no member beside ${agent}`, 'compare the descriptions')
    }
    if (kind !== 'kill' && !(forMs >= 100 && forMs <= FOR_MS_MAX)) {
      throw no(`a fault of ${forMs} ms`, `from 100 ms to ${FOR_MS_MAX} ms`)
    }
  }

  async #make(order: FaultOrder): Promise<Fault> {
    if (order.kind === 'kill') return this.#kill(order)
    if (order.kind === 'freeze') return this.#freeze(order)
    return this.#block(order)
  }

  #kill(order: FaultOrder): Fault {
    const main = order.members.flatMap((member) => {
      const target = this.#options.targets.get(member)?.()
      // Only one that works in the folder: the number that was noted may be another program's by now.
      return target === undefined
        ? []
        : treeOf(target.dataDir, target.mainPid).filter((one) => one.pid === target.mainPid)
    })
    if (main.length < order.members.length) {
      throw new HoldfastError('HF_DRILL_REFUSED', 'the engine does not run', 'see holdfast status')
    }
    for (const one of main) signalOne(one, 'SIGKILL')
    const names = main.map((one) => one.pid).join(', ')
    return {
      order,
      status: () => {
        const left = main.filter(isAlive).length
        const proof = left === 0 ? `process ${names} is gone` : `${left} of process ${names} not yet gone`
        return { state: left === 0 ? 'off' : 'on', proof, leftMs: 0, deadman: null }
      },
      lift: () => undefined,
    }
  }

  async #freeze(order: FaultOrder): Promise<Fault> {
    const { noteFile, door, tls } = this.#options
    const { fencers, engines } = this.#frozenBy(order)
    const secret = freshId() + freshId()
    await mkdir(dirname(noteFile), { recursive: true, mode: 0o750 })
    await writeFileDurable(noteFile, JSON.stringify([...fencers, ...engines]), 0o600)
    const freeze = await prepareFreeze({
      fencers,
      engines,
      forMs: order.forMs,
      delayMs: order.what === 'engine' ? 0 : DELAY_MS,
      door: { host: door.host, secret, tls },
    }).catch((error: unknown) => {
      const because = `no dead-man, so nothing was stopped: ${error instanceof Error ? error.message : String(error)}`
      throw new HoldfastError('HF_DRILL_REFUSED', because, 'see that the host has memory and processes to spare', error)
    })
    freeze.go()
    const host = door.host.includes(':') ? `[${door.host}]` : door.host
    const deadman = freeze.port === null ? null : { url: `${door.scheme}://${host}:${freeze.port}`, secret }
    return { order, status: () => ({ ...freezeStatus(freeze, order), deadman }), lift: () => freeze.lift() }
  }

  /** The processes of an engine are looked up when they are stopped: until then it starts others. */
  #frozenBy({ what, members }: FaultOrder): { fencers: readonly ProcessId[]; engines: readonly EngineHome[] } {
    const { targets, guardPid } = this.#options
    const engines = members.flatMap((member) => {
      const target = targets.get(member)?.()
      return target === undefined ? [] : [{ dataDir: target.dataDir, mainPid: target.mainPid }]
    })
    const own = (pid: number | null): readonly ProcessId[] => {
      const id = pid === null ? null : identify(pid)
      return id === null ? [] : [id]
    }
    if (what === 'agent') return { fencers: own(process.pid), engines: [] }
    if (what === 'host') return { fencers: [...own(guardPid()), ...own(process.pid)], engines }
    if (processesOf(engines).length > 0) return { fencers: [], engines }
    throw new HoldfastError('HF_DRILL_REFUSED', 'the engine does not run', 'see holdfast status')
  }

  #block(order: FaultOrder): Fault {
    const { storeOrigins, peerOrigins } = this.#options
    const store = order.kind === 'block-store'
    blockade.block(store ? storeOrigins : peerOrigins, order.forMs)
    return {
      order,
      status: () => {
        const { leftMs, refused } = blockade
        const proof = `${refused} calls met the block; ${leftMs > 0 ? 'it is on' : 'it is over'}`
        return { state: leftMs > 0 ? 'on' : 'off', proof, leftMs, deadman: null }
      },
      lift: () => blockade.lift(),
    }
  }

  #remember(id: string): void {
    this.#lifted.add(id)
    const [oldest] = this.#lifted
    if (this.#lifted.size > LIFTED_IDS_MAX && oldest !== undefined) this.#lifted.delete(oldest)
  }
}

function freezeStatus(freeze: Freeze, { forMs }: FaultOrder): Pick<FaultStatus, 'state' | 'proof' | 'leftMs'> {
  const view = freeze.view()
  if (view === null) return { state: 'waiting', proof: 'the dead-man has the order', leftMs: forMs }
  return { state: view.state, proof: freezeProof(view), leftMs: view.leftMs }
}

/** Of what the dead-man saw. */
export function freezeProof(view: { state: string; stopped: number; running: number; gone: number }): string {
  const { state, stopped, running, gone } = view
  if (state === 'off') return `${running} of ${stopped} processes run again, ${gone} are gone, none is stopped`
  return `${stopped - running - gone} of ${stopped} processes are stopped`
}

function statusOf(fault: Fault): FaultStatus {
  const { id, kind, members, by } = fault.order
  return { id, kind, members, by, ...fault.status() }
}

function noted(text: string): { fencers: readonly ProcessId[]; engines: readonly EngineHome[] } {
  try {
    const value: unknown = JSON.parse(text)
    const list = Array.isArray(value) ? value.filter((one) => typeof one === 'object' && one !== null) : []
    const isOne = (one: object): one is ProcessId => 'pid' in one && 'started' in one && Number(one.pid) > 1
    const isHome = (one: object): one is EngineHome =>
      'dataDir' in one && typeof one.dataDir === 'string' && 'mainPid' in one
    return { fencers: list.filter(isOne), engines: list.filter(isHome) }
  } catch {
    return { fencers: [], engines: [] }
  }
}
