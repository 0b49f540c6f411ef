/** All families of commands, in the order in which the help shows them. */
import type { Command } from 'commander'
import { registerAlerts } from './alerts-command.ts'
import { registerAudit } from './audit-command.ts'
import { registerCanary } from './canary-command.ts'
import { registerDiscover } from './discover-command.ts'
import { registerDrill } from './drill/command.ts'
import { registerEvidence } from './evidence-command.ts'
import { registerExplain } from './explain-command.ts'
import { registerExtras } from './extra-commands.ts'
import { registerGenerate } from './generate-command.ts'
import { registerMoves } from './move-command.ts'
import { registerPause } from './pause-command.ts'
import { registerRestart } from './restart-command.ts'
import { registerProcesses } from './run-command.ts'
import { registerServer } from './server-command.ts'
import type { Shell } from './shell.ts'
import { registerSiteMoves } from './site-move-command.ts'
import { registerStatus } from './status-command.ts'
import { registerUp } from './up-command.ts'
import { registerValidate } from './validate-command.ts'

const FAMILIES = [
  registerUp,
  registerStatus,
  registerExplain,
  registerCanary,
  registerMoves,
  registerSiteMoves,
  registerRestart,
  registerPause,
  registerValidate,
  registerDrill,
  registerEvidence,
  registerDiscover,
  registerAlerts,
  registerGenerate,
  registerProcesses,
  registerServer,
  registerAudit,
  registerExtras,
]

export function registerAll(program: Command, shell: Shell): void {
  for (const register of FAMILIES) register(program, shell)
}
