/**
 * Reads one `holdfast.yaml` and gives the platform it describes, or every mistake in it, sorted by position. Never
 * throws for what a file can hold; leaves printing to the caller.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { buildPlatform } from './build.ts'
import { checkAddresses } from './checks/addresses.ts'
import { checkAlerts } from './checks/alerts.ts'
import { checkEngine } from './checks/engine.ts'
import { checkFolders } from './checks/folders.ts'
import { checkGroupSecrets } from './checks/group-secrets.ts'
import { checkHooks } from './checks/hooks.ts'
import { checkManagedParts } from './checks/managed-parts.ts'
import { checkMoves } from './checks/moves.ts'
import { checkNames } from './checks/names.ts'
import { checkObjectives } from './checks/objectives.ts'
import { checkParameters } from './checks/parameters.ts'
import { checkPlacement } from './checks/placement.ts'
import { checkReplication } from './checks/replication.ts'
import { checkSupervised } from './checks/supervised.ts'
import { checkWatchdogs } from './checks/watchdogs.ts'
import { type Check, Draft, type Findings } from './draft.ts'
import { byPosition, type Finding, type Mistake } from './mistake.ts'
import type { Platform } from './platform.ts'
import { descriptionSchema } from './schema.ts'
import { reasonOf, type SecretReader, secretReader } from './secrets.ts'
import { shapeOf } from './shape.ts'
import { FILE_BYTES_MAX, readSource, type Source, wholeFile } from './source.ts'

export type { Mistake } from './mistake.ts'

export interface LoadOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Which secrets must be there: all that processes need (default), those for agents, those of alerts, or none. */
  readonly secrets?: 'all' | 'agents' | 'alerts' | 'none'
}

export type Loaded =
  | { readonly ok: true; readonly platform: Platform; readonly warnings: readonly Mistake[] }
  | { readonly ok: false; readonly mistakes: readonly Mistake[]; readonly warnings: readonly Mistake[] }

const CHECKS: readonly Check[] = [
  checkManagedParts,
  checkNames,
  checkPlacement,
  checkReplication,
  checkAddresses,
  checkFolders,
  checkParameters,
  checkEngine,
  checkGroupSecrets,
  checkWatchdogs,
  checkMoves,
  checkObjectives,
  checkHooks,
  checkSupervised,
  checkAlerts,
]

export function loadPlatform(path: string, options: LoadOptions): Loaded {
  const file = resolve(path)
  const bytes = fileBytes(file)
  if (!(bytes instanceof Uint8Array)) return { ok: false, mistakes: [bytes], warnings: [] }
  return loadBytes(bytes, file, options)
}

/** Same, for bytes that were read elsewhere; `file` is the absolute path relative ones start from. */
export function loadBytes(bytes: Uint8Array, file: string, options: LoadOptions): Loaded {
  const source = readSource(bytes)
  if (!source.readable) return { ok: false, mistakes: [...source.mistakes].sort(byPosition), warnings: [] }
  const findings: Findings = { mistakes: [], warnings: [] }
  const folder = dirname(file)
  const shaped = shapeOf(descriptionSchema, source.value)
  if (!shaped.ok) findings.mistakes.push(...shaped.findings)
  const root = new Draft(source.value)
  for (const check of CHECKS) check(root, findings, folder)
  const secrets = secretReader(folder, options.env)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const context = { file, folder, sha256, secrets, need: options.secrets ?? 'all' }
  const platform = shaped.ok ? buildPlatform(shaped.description, context) : null
  if (platform === null && context.need === 'all') readSecrets(root, secrets)
  findings.mistakes.push(...secrets.mistakes)
  findings.warnings.push(...secrets.warnings)
  const refused = new Set(source.mistakes.map((mistake) => mistake.path))
  const others = placed(findings.mistakes, source).filter(
    (mistake) => !refused.has(mistake.path) || mistake.path === '',
  )
  const mistakes = [...source.mistakes, ...others].sort(byPosition)
  const warnings = placed(findings.warnings, source)
  if (platform === null || mistakes.length > 0) return { ok: false, mistakes, warnings }
  return { ok: true, platform, warnings }
}

/** The secrets of a description that is not right yet, so that a missing one is told now and not at the next try. */
function readSecrets(root: Draft, secrets: SecretReader): void {
  const tokens = [root.get('agentDefaults').get('token'), root.get('store').get('token')]
  const passwords = root.list('groups').flatMap((group) => {
    const block = group.get('secrets')
    const supervised = group.get('supervised')
    const users = [group.get('application'), group.get('observer'), supervised, supervised.get('observer')]
    const roles = users.map((role) => role.get('password'))
    return [...roles, block.get('superuser'), block.get('replication')]
  })
  passwords.push(root.get('server').get('oidc').get('clientSecret'))
  for (const draft of [...tokens, root.get('store').get('password'), ...passwords]) {
    const env = draft.text('env')
    const file = draft.text('file')
    if ((env === null || env === '') === (file === null || file === '')) continue
    secrets.read(
      { ...(env && { env }), ...(file && { file }) },
      draft.path,
      tokens.includes(draft) ? 'token' : 'password',
      true,
    )
  }
}

/** Sorted, and each place told once per thing that is wrong with it. */
export function placed(findings: readonly Finding[], source: Source): Mistake[] {
  const seen = new Set<string>()
  const mistakes: Mistake[] = []
  for (const finding of findings) {
    const key = JSON.stringify([finding.path, finding.what])
    if (seen.has(key)) continue
    seen.add(key)
    mistakes.push(source.place(finding))
  }
  return mistakes.sort(byPosition)
}

export function fileBytes(file: string): Uint8Array | Mistake {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    return wholeFile(`${file} cannot be read: ${reasonOf(error)}`, 'the path of a description')
  }
  try {
    // One byte more than allowed, so that a longer file shows; never the whole of /dev/zero.
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
    let length = 0
    for (;;) {
      const got = readSync(descriptor, buffer, length, buffer.length - length, null)
      length += got
      if (got === 0 || length === buffer.length) return buffer.subarray(0, length)
    }
  } catch (error) {
    return wholeFile(`${file} cannot be read: ${reasonOf(error)}`, 'the path of a description')
  } finally {
    closeSync(descriptor)
  }
}
