/** One group while a run goes: its tables, probes and workloads, what is seen of its writes, its verdicts. */
import type { ArtefactFolder } from './artefacts.ts'
import type { FinalState, HistoryLine, Lane, Promotion, Verdict } from './contract.ts'
import { mergeHistories } from './history.ts'
import { LiveHistory } from './live.ts'
import {
  check,
  checkWithoutFinal,
  makeTables,
  type Running,
  readMembers,
  runProbes,
  runWorkloads,
  type Stage,
} from './pieces.ts'

export interface RunningLane {
  readonly lane: Lane
  readonly live: LiveHistory
  readonly running: readonly Running[]
  /** May be called twice. */
  stop(): Promise<void>
}

export interface JudgedLane {
  readonly history: readonly HistoryLine[]
  readonly promotions: readonly Promotion[]
  readonly verdicts: readonly Verdict[]
  /** What could not be read. */
  readonly unread: readonly string[]
}

/** What the names of a group's files, and of its verdicts, begin with; nothing where there is one group only. */
export function tagOf(lanes: readonly Lane[], { group }: Lane): string {
  return lanes.length === 1 ? '' : `-${group}`
}

/** `undo` learns at once what has to be stopped, however far the start comes. */
export async function startLane(stage: Stage, undo: (() => Promise<void> | void)[]): Promise<RunningLane> {
  const { lane } = stage
  await makeTables(lane)
  const running: Running[] = []
  const stop = async (): Promise<void> => void (await Promise.all(running.map((one) => one.stop())))
  undo.push(stop)
  const workloads = await runWorkloads(stage)
  running.push(workloads)
  running.push(await runProbes(stage))
  const live = new LiveHistory(workloads.file)
  undo.push(() => live.close())
  return { lane, live, running, stop }
}

/** After everything has stopped. */
export async function judgeLane(one: RunningLane, folder: ArtefactFolder, tag: string): Promise<JudgedLane> {
  const { lane, running } = one
  const { mode, bound } = lane
  const promotions = await lane.promotions()
  const { final, unread } = await finalOf(lane)
  const history = mergeHistories([folder.file('nemesis.jsonl'), ...running.map(({ file }) => file)])
  folder.write(`history${tag}.jsonl`, history.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const input = { history, mode, bound, promotions }
  folder.write(`final${tag}.json`, `${JSON.stringify({ ...input, final, history: undefined })}\n`)
  const judged = final === null ? checkWithoutFinal(input) : check({ ...input, final })
  const verdicts = judged.map((verdict) => ({ ...verdict, checker: `${tag.slice(1)} ${verdict.checker}`.trim() }))
  return { history, promotions, verdicts, unread }
}

/** Null when no primary can be read at all. What cannot be read is a finding of its own. */
async function finalOf(lane: Lane): Promise<{ readonly final: FinalState | null; readonly unread: readonly string[] }> {
  try {
    return await readMembers(lane, (await lane.primary()) ?? '')
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error)
    return { final: null, unread: [`the primary of ${lane.group} could not be read: ${because}`] }
  }
}
