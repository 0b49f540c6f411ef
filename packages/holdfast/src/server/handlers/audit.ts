/** The audit log, for those who may read it. */
import { readFileSync } from 'node:fs'
import { auditEntries, exportLines, verifyDatabase } from '../audit/audit-log.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { leaveTrail } from './trail.ts'

const PAGE = 100

export function auditHandlers(scene: Scene): Pick<Handlers, 'audit' | 'auditVerify' | 'auditExport'> {
  const { database, platform, signer } = scene
  return {
    audit: async ({ query }) => {
      const limit = query.limit ?? PAGE
      const entries = await auditEntries(database.read, { ...query, limit })
      const next = entries.length < limit ? null : (entries.at(-1)?.number ?? null)
      return document({ entries, next })
    },
    auditVerify: async () => {
      // Other servers sign with keys of their own; the export names every key.
      const kept = keptCheckpoints(signer.file)
      const { keys: _keys, ...verdict } = await verifyDatabase(database.read, platform.name, { trusted: null, kept })
      return document(verdict)
    },
    auditExport: async ({ who, address }) => {
      await leaveTrail(scene, { who, address, action: 'auditExport', subject: 'audit log', outcome: 'done' })
      const lines = exportLines(database, signer, scene.clock.wallMs())
      return { kind: 'lines', lines, fileName: `audit-${platform.name}.jsonl` }
    },
  }
}

/** Lines of the file beside the database; none when it is not there. */
export function keptCheckpoints(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  } catch {
    return []
  }
}
