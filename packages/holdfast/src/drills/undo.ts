/** Ends a drill whose runner is gone: lifts what its agents still have on, shows that it is off, frees the group. */
import type { AgentClient } from '@holdfast/client'
import type { AgentSpec } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import type { Written } from '../evidence/folder.ts'
import type { DrillReport } from '../evidence/report.ts'
import type { Clock } from '../io/clock.ts'
import { type ActiveDrill, type DrillLedger, SILENT_MS } from './ledger.ts'
import { orphanReport } from './orphan-report.ts'

export interface UndoOptions {
  readonly group: string
  readonly by: string
  readonly because: string
  readonly ledger: DrillLedger
  readonly agents: readonly AgentSpec[]
  readonly clientOf: (agent: AgentSpec) => AgentClient
  readonly clock: Clock
  readonly say: (line: string) => void
  /** How long to wait for the end. */
  readonly timeoutMs: number
  readonly interrupted: AbortSignal
  /** Writes the report of a drill that had no runner any more. Throws when it cannot. */
  readonly write: (make: (chain: DrillReport['chain']) => DrillReport) => Promise<Written>
}

export type Undone =
  | { readonly kind: 'none' }
  /** Its runner heard it and ended it. */
  | { readonly kind: 'aborted'; readonly drill: string }
  /** Its runner was silent; we ended it. */
  | { readonly kind: 'undone'; readonly drill: string; readonly proof: string }
  | { readonly kind: 'not-yet'; readonly drill: string; readonly because: string }

const LOOK_MS = 250

export async function abortDrill(options: UndoOptions): Promise<Undone> {
  const { ledger, group, by, because, clock, say } = options
  const told = await ledger.change(group, (record) => {
    const { active } = record
    if (active === null || active.abort !== null) return null
    return { ...record, active: { ...active, abort: { by, because } } }
  })
  if (told.active === null) return { kind: 'none' }
  const { id, drill } = told.active
  say(`drill ${drill} was told to stop`)
  let beat = told.active.beat
  let beatAtMs = clock.nowMs()
  const endMs = clock.nowMs() + options.timeoutMs
  while (clock.nowMs() < endMs && !options.interrupted.aborted) {
    const { active } = await ledger.read(group)
    if (active?.id !== id) return { kind: 'aborted', drill }
    if (active.beat !== beat) {
      beat = active.beat
      beatAtMs = clock.nowMs()
    } else if (clock.nowMs() - beatAtMs > SILENT_MS) return undo(options, active)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  return { kind: 'not-yet', drill, because: 'it has not ended yet; its runner lives and is ending it' }
}

async function undo(options: UndoOptions, active: ActiveDrill): Promise<Undone> {
  const { agents, clientOf, group, ledger, by, clock, say } = options
  say(`its runner (${active.by}) has been silent for ${SILENT_MS / 1_000} s; ending the fault from here`)
  const answers = await Promise.all(
    agents.map(async (agent) => {
      const client = clientOf(agent)
      await client.liftFault({ id: active.id, by })
      const result = await client.faults()
      if (!result.ok) return { agent: agent.name, off: false, proof: 'does not answer' }
      const mine = result.value.faults.find((fault) => fault.id === active.id)
      return { agent: agent.name, off: mine === undefined || mine.state === 'off', proof: mine?.proof ?? 'no fault' }
    }),
  )
  const proof = answers.map((one) => `${one.agent}: ${one.proof}`).join('; ')
  if (!answers.every((one) => one.off)) {
    const because = `${proof}; a fault ends at its own timer at the latest, then: holdfast drill abort ${group}`
    return { kind: 'not-yet', drill: active.drill, because }
  }
  const endedWallMs = clock.wallMs()
  const because = `its runner was gone; ended by ${by}: ${proof}`
  const written = await evidence(options, active, { because, endedWallMs })
  await ledger.change(group, (record) => {
    if (record.active?.id !== active.id) return null
    const ended = {
      id: active.id,
      drill: active.drill,
      outcome: 'aborted' as const,
      because,
      practice: false,
      startedWallMs: active.startedWallMs,
      endedWallMs,
      rtoMs: null,
      rpoMs: null,
      seq: written?.seq ?? null,
      sha256: written?.sha256 ?? null,
    }
    return { ...record, active: null, past: [...record.past, ended] }
  })
  return { kind: 'undone', drill: active.drill, proof }
}

/** Null when there is none to be had: the group's place is freed all the same. */
async function evidence(
  { write, say }: UndoOptions,
  active: ActiveDrill,
  end: { readonly because: string; readonly endedWallMs: number },
): Promise<Written | null> {
  const { head } = active
  if (head === undefined) return null
  try {
    return await write((chain) => orphanReport(active, head, { ...end, chain }))
  } catch (error) {
    if (!(error instanceof HoldfastError) && !(error instanceof Error)) throw error
    say(`no report of it could be written: ${error.message}`)
    return null
  }
}
