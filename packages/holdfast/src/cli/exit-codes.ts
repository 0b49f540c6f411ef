/** What the process ends with. Scripts rely on these; the reference and `--help` list them. */
export const EXIT = {
  ok: 0,
  /** Failed, or refused by a rule. */
  failed: 1,
  /** Wrong arguments, or mistakes in the description. */
  usage: 2,
  /** No agent, or no store, could be reached; nothing was changed. */
  unreachable: 3,
  /** No answer in time; what was asked for may still happen. */
  uncertain: 4,
  /** Ctrl-C. */
  interrupted: 130,
} as const

export type ExitCode = number

export const EXIT_HELP = `Exit codes:
  0    done
  1    failed, or refused by a rule
  2    wrong arguments, or mistakes in the description
  3    no agent or no store could be reached; nothing was changed
  4    no answer in time; what was asked for may still happen
  130  interrupted`
