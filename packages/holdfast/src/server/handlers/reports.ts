/** Reports of drills: read, checked, taken along. */

import type { Principal } from '../access/grants.ts'
import type { DrillReportRow } from '../database/tables.ts'
import { wholeReport } from '../drills/reports.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { seen, unknown } from './platform.ts'

const PAGE = 100

type ReportHandlers = Pick<Handlers, 'drillReports' | 'drillReport' | 'verifyDrillReport' | 'drillReportFile'>

export function reportHandlers(scene: Scene): ReportHandlers {
  const { reports } = scene.drills
  const found = async (who: Principal | null, id: string): Promise<DrillReportRow> => {
    const row = await reports.find(id)
    if (row === undefined || seen(scene, who)?.has(row.group_name) === false) throw unknown('report', id)
    return row
  }
  return {
    drillReports: async ({ query, who }) => {
      await reports.takeIn()
      const groups = seen(scene, who)
      const wanted = query.group
      const shown = wanted === undefined ? groups : new Set(groups?.has(wanted) === false ? [] : [wanted])
      return document(await reports.newest(shown === null ? null : [...shown], query.limit ?? PAGE))
    },
    drillReport: async ({ params, who }) => {
      const report = wholeReport(await found(who, params.id))
      if (report === null) throw unknown('report that still holds together', params.id)
      return document(report)
    },
    verifyDrillReport: async ({ params, who }) => document(await reports.verdict(await found(who, params.id))),
    drillReportFile: async ({ params, who }) => {
      const row = await found(who, params.id)
      const name = `${String(row.seq).padStart(5, '0')}-${row.group_name}-${row.id.slice(0, 8)}`
      if (params.kind === 'json') return file('application/json', `${name}.json`, Buffer.from(row.body))
      if (params.kind === 'html') {
        if (row.page === null) throw unknown('page of report', params.id)
        return file('text/html; charset=utf-8', `${name}.html`, Buffer.from(row.page))
      }
      const { pdf, seal } = await reports.printed(row)
      return params.kind === 'pdf'
        ? file('application/pdf', `${name}.pdf`, pdf)
        : file('application/json', `${name}.pdf.seal.json`, seal)
    },
  }
}

function file(type: string, fileName: string, bytes: Buffer) {
  return { kind: 'file', type, fileName, bytes } as const
}
