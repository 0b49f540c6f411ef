/**
 * Reports in the database: taken from the evidence folder of this host, whoever wrote them there, byte for byte. Only
 * what is a signed report of this platform is taken; a report that is there already stays as it is.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ApiDrillReport, ApiDrillReportLine, ApiDrillReportVerdict } from '@holdfast/client'
import type { Platform } from '../../config/platform.ts'
import { HoldfastError } from '../../errors.ts'
import { breaksIn } from '../../evidence/chain.ts'
import { checkPage } from '../../evidence/page.ts'
import { printPdf } from '../../evidence/pdf.ts'
import { type DrillReport, reportIn } from '../../evidence/report.ts'
import { sealed, unsealed } from '../../evidence/seal.ts'
import { FILE_FORMAT } from '../../evidence/verify.ts'
import { readFileLimited, writeFileDurable } from '../../io/files.ts'
import type { Log } from '../../io/log.ts'
import { openSigningKey, type SigningKey, sha256Hex } from '../../io/signing.ts'
import type { Database } from '../database/database.ts'
import type { DrillReportRow } from '../database/tables.ts'

/** A drill of an hour stays below one megabyte. */
const BYTES_MAX = 4 * 1024 * 1024
const NAME = /^\d{5,}-[a-z0-9-]+-[A-Za-z0-9_-]{1,8}\.json$/
/** Prints that may wait; each takes seconds and a browser. */
const PRINTS_MAX = 4

export interface ReportsOptions {
  readonly platform: Platform
  readonly database: Database
  /** Of the server, for pages that were printed. */
  readonly dir: string
  readonly log: Log
}

export function evidenceFolder({ folder }: Pick<Platform, 'folder'>): string {
  return join(folder, 'holdfast-data', 'evidence')
}

export class DrillReports {
  readonly #options: ReportsOptions
  readonly #seen = new Set<string>()
  /** Taken before their pages were there. */
  readonly #pageless = new Set<string>()
  #printing: Promise<unknown> = Promise.resolve()
  #prints = 0

  constructor(options: ReportsOptions) {
    this.#options = options
  }

  /** The key that drills on this host are signed with. */
  async key(): Promise<SigningKey> {
    const folder = evidenceFolder(this.#options.platform)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return openSigningKey(join(folder, 'evidence.key'))
  }

  async takeIn(): Promise<void> {
    const folder = evidenceFolder(this.#options.platform)
    for (const home of [folder, join(folder, 'practice')]) {
      const names = await readdir(home).catch((): string[] => [])
      for (const name of names.filter((one) => NAME.test(one)).sort()) {
        const path = join(home, name)
        const hasPage = names.includes(pageOf(name))
        if (this.#seen.has(path) || (this.#pageless.has(path) && !hasPage)) continue
        const whole = await this.#take(path)
        if (whole) this.#seen.add(path)
        else this.#pageless.add(path)
      }
    }
  }

  /** False: its page could not be read yet. */
  async #take(path: string): Promise<boolean> {
    const { platform, database, log } = this.#options
    const body = await textOf(path)
    const opened = body === null ? null : unsealed(body)
    const report = opened?.ok === true ? reportIn(opened.body) : null
    if (body === null || opened?.ok !== true || report === null || report.run.platform !== platform.name) {
      log.warn({ path }, 'report-not-taken')
      return true
    }
    const text = await textOf(pageOf(path))
    const page = text !== null && checkPage(text).ok ? text : null
    await database.write((writing) =>
      writing
        .insertInto('drill_reports')
        .values({
          id: report.run.id,
          group_name: report.run.group,
          seq: report.chain.seq,
          practice: report.run.practice ? 1 : 0,
          key_id: opened.keyId,
          ended_ms: Date.parse(report.run.endedAt) || 0,
          sha256: opened.sha256,
          body,
          page,
        })
        // The page of a report is written after it: it may have been taken in between.
        .onConflict((conflict) =>
          conflict
            .column('id')
            .doUpdateSet({ page })
            .where('drill_reports.page', 'is', null)
            .where('drill_reports.sha256', '=', opened.sha256),
        )
        .execute(),
    )
    return text !== null
  }

  async newest(groups: readonly string[] | null, limit: number): Promise<readonly ApiDrillReportLine[]> {
    let query = this.#options.database.read.selectFrom('drill_reports').selectAll()
    if (groups !== null) query = query.where('group_name', 'in', [...groups, ''])
    const rows = await query.orderBy('ended_ms', 'desc').limit(limit).execute()
    return rows.flatMap((row) => {
      const report = reportOf(row)
      return report === null ? [] : [lineOf(row, report)]
    })
  }

  find(id: string): Promise<DrillReportRow | undefined> {
    return this.#options.database.read.selectFrom('drill_reports').selectAll().where('id', '=', id).executeTakeFirst()
  }

  /** Signature, page, and its neighbours of the same series, as far as they are here. */
  async verdict(row: DrillReportRow): Promise<ApiDrillReportVerdict> {
    const opened = unsealed(row.body)
    const fits = opened.ok && opened.sha256 === row.sha256
    const because = opened.ok ? (fits ? `signed by ${opened.keyId}` : 'it is not what was taken in') : opened.because
    const checked = row.page === null ? null : checkPage(row.page)
    const page =
      checked === null ? null : { ok: checked.ok, because: checked.ok ? 'as it was signed' : checked.because }
    const chain = await this.#chainOf(row)
    const keyId = opened.ok ? opened.keyId : null
    const ownKey = opened.ok && opened.publicPem === (await this.key()).publicPem
    return { ok: fits && chain.ok && page?.ok !== false, signature: { ok: fits, because }, page, chain, keyId, ownKey }
  }

  async #chainOf(row: DrillReportRow): Promise<{ ok: boolean; because: string }> {
    const near = await this.#options.database.read
      .selectFrom('drill_reports')
      .selectAll()
      .where('practice', '=', row.practice)
      .where('key_id', '=', row.key_id)
      .where('seq', '>=', row.seq - 1)
      .where('seq', '<=', row.seq + 1)
      .execute()
    const links = near.map((one) => {
      const previousSha256 = reportOf(one)?.chain.previousSha256 ?? null
      return { file: one.id, seq: one.seq, previousSha256, sha256: one.sha256 }
    })
    const found = breaksIn(links)[0]
    if (found !== undefined) return { ok: false, because: found.because }
    const has = (seq: number): boolean => near.some((one) => one.seq === seq)
    if (row.seq === 1) return { ok: true, because: 'the first of its series' }
    if (has(row.seq - 1)) return { ok: true, because: `it was made after report ${row.seq - 1}` }
    return { ok: true, because: `report ${row.seq - 1} is not on this server: verify both files together` }
  }

  /** The page as PDF and the seal of that file; printed once, kept beside the database. */
  async printed(row: DrillReportRow): Promise<{ readonly pdf: Buffer; readonly seal: Buffer }> {
    const home = join(this.#options.dir, 'printed')
    const base = join(home, `${row.sha256.slice(0, 32)}`)
    const files = async () => ({
      pdf: await readFileLimited(`${base}.pdf`, 8 * BYTES_MAX),
      seal: await readFileLimited(`${base}.pdf.seal.json`, BYTES_MAX),
    })
    const there = await files().catch(() => null)
    if (there !== null) return there
    if (row.page === null) throw new HoldfastError('HF_DRILL_UNKNOWN', 'this report has no page', 'take its JSON')
    if (this.#prints >= PRINTS_MAX) throw new HoldfastError('HF_BUSY', 'others are being printed', 'try again soon')
    const { page } = row
    this.#prints += 1
    const print = this.#printing.then(async () => {
      await mkdir(home, { recursive: true, mode: 0o700 })
      await writeFile(`${base}.html`, page, { mode: 0o600 })
      await printPdf(`${base}.html`, `${base}.pdf`)
      const sha256 = sha256Hex(await readFileLimited(`${base}.pdf`, 8 * BYTES_MAX))
      const body = sealed({ format: FILE_FORMAT, sha256, of: row.sha256 }, await this.key())
      await writeFileDurable(`${base}.pdf.seal.json`, body, 0o600)
    })
    this.#printing = print.catch(() => undefined)
    try {
      await print
    } finally {
      this.#prints -= 1
    }
    return files()
  }
}

function pageOf(name: string): string {
  return name.replace(/\.json$/, '.html')
}

async function textOf(path: string): Promise<string | null> {
  const bytes = await readFileLimited(path, BYTES_MAX).catch(() => null)
  if (bytes === null) return null
  const text = bytes.toString('utf8')
  // Other bytes of the same text would have another signature.
  return Buffer.from(text, 'utf8').equals(bytes) ? text : null
}

function reportOf({ body }: DrillReportRow): DrillReport | null {
  const opened = unsealed(body)
  return opened.ok ? reportIn(opened.body) : null
}

function lineOf(row: DrillReportRow, { run, outcome, because, objective, measured }: DrillReport): ApiDrillReportLine {
  return {
    id: row.id,
    drill: run.drill,
    group: run.group,
    practice: run.practice,
    outcome,
    because,
    startedMs: Date.parse(run.startedAt) || 0,
    endedMs: row.ended_ms,
    by: run.by,
    seq: row.seq,
    sha256: row.sha256,
    keyId: row.key_id,
    objective: { rtoMs: objective.rtoMs, rpoMs: objective.rpoMs },
    measured: measured === null ? null : measuredOf(measured),
  }
}

function measuredOf(measured: NonNullable<DrillReport['measured']>) {
  const { rtoMs, rpoMs, acked, failed, lost, doubled } = measured
  return { rtoMs, rpoMs, acked, failed, lost, doubled }
}

/** Null for a row that was changed behind our back: it is no report any more; its verdict says why. */
export function wholeReport(row: DrillReportRow): ApiDrillReport | null {
  const report = reportOf(row)
  if (report === null) return null
  const { run, chain, scope, prediction, measured, rate } = report
  return {
    ...lineOf(row, report),
    platform: run.platform,
    engine: run.engine,
    tool: run.tool,
    configSha256: run.configSha256,
    drillSha256: run.drillSha256,
    previousSha256: chain.previousSha256,
    description: report.description,
    statement: report.statement,
    fault: scope.fault,
    members: [...scope.members],
    blastRadius: { ...scope.blastRadius },
    abortConditions: scope.abortConditions,
    approvals: report.approvals.map((one) => ({ ...one })),
    prediction: prediction === null ? null : { ...prediction },
    method: measured?.method ?? '',
    deviations: [...report.deviations],
    checks: report.checks.map((one) => ({ ...one })),
    timeline: report.timeline.map((one) => ({ ...one })),
    rate: { stepMs: rate.stepMs, acked: [...rate.acked] },
    controls: report.controls.map((one) => ({ ...one })),
    files: row.page === null ? ['json'] : ['json', 'html', 'pdf', 'seal'],
  }
}
