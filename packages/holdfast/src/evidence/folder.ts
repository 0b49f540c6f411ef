/**
 * The folder of reports: `<seq>-<drill>-<id>.json`, sealed, and the page beside it. A report is written before the
 * chain in the store moves to it, under a name that says so; whoever comes next finishes what a crash left.
 */
import { access, mkdir, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { readFileLimited, syncDirectory, writeFileDurable } from '../io/files.ts'
import { type SigningKey, sha256Hex } from '../io/signing.ts'
import { signedPage } from './page.ts'
import { type DrillReport, reportIn } from './report.ts'
import { sealed, unsealed } from './seal.ts'

/** The end of the chain, wherever that is kept. */
export interface ChainEnd {
  readonly seq: number
  readonly sha256: string
}

export interface Chain {
  end(): Promise<ChainEnd | null>
  /** False: somebody else's report came in between. */
  extend(from: ChainEnd | null, to: ChainEnd): Promise<boolean>
}

export interface Written extends ChainEnd {
  readonly json: string
  readonly html: string
}

const PENDING = '.pending.json'
/** Other runners that end in the same moment. */
const ATTEMPTS_MAX = 20
export const REPORT_BYTES_MAX = 32 * 1024 * 1024

/** Seals the report as the next of the chain and writes it; `make` is told its place. */
export async function writeReport(
  folder: string,
  key: SigningKey,
  chain: Chain,
  make: (place: DrillReport['chain']) => DrillReport,
): Promise<Written> {
  await mkdir(folder, { recursive: true, mode: 0o750 })
  await finishPending(folder, key, chain)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const from = await chain.end()
    const seq = (from?.seq ?? 0) + 1
    const report = make({ seq, previousSha256: from?.sha256 ?? null })
    const text = sealed(report, key)
    const sha256 = sha256Hex(text)
    const name = nameOf(report)
    const pending = join(folder, `${name}${PENDING}`)
    await writeFileDurable(pending, text, 0o640)
    if (await chain.extend(from, { seq, sha256 })) return finish(folder, name, { report, text }, key)
    // Somebody who finds it overtaken removes it as well.
    await unlink(pending).catch(() => undefined)
  }
  throw new Error('the chain of reports moves on all the time')
}

/** A crash between the chain and the last name: the report that the chain names gets it now, any other goes. */
async function finishPending(folder: string, key: SigningKey, chain: Chain): Promise<void> {
  const left = (await readdir(folder)).filter((name) => name.endsWith(PENDING))
  if (left.length === 0) return
  const end = await chain.end()
  for (const file of left) {
    const path = join(folder, file)
    // Its own runner may have finished it meanwhile.
    const bytes = await readFileLimited(path, REPORT_BYTES_MAX).catch(() => null)
    if (bytes === null) continue
    const text = bytes.toString('utf8')
    const result = unsealed(text)
    const report = result.ok ? reportIn(result.body) : null
    if (report !== null && sha256Hex(text) === end?.sha256) {
      await finish(folder, file.slice(0, -PENDING.length), { report, text }, key)
    } else if (report === null || report.chain.seq <= (end?.seq ?? 0)) await unlink(path).catch(() => undefined)
  }
}

async function finish(
  folder: string,
  name: string,
  { report, text }: { readonly report: DrillReport; readonly text: string },
  key: SigningKey,
): Promise<Written> {
  const json = join(folder, `${name}.json`)
  const html = join(folder, `${name}.html`)
  const sha256 = sha256Hex(text)
  await rename(join(folder, `${name}${PENDING}`), json).catch(async (error: unknown) => {
    // Somebody else finished it for us.
    if (!(await isThere(json))) throw error
  })
  await syncDirectory(folder)
  await writeFileDurable(html, signedPage(report, sha256, key), 0o640)
  return { json, html, seq: report.chain.seq, sha256 }
}

function nameOf({ chain, run }: DrillReport): string {
  return `${String(chain.seq).padStart(5, '0')}-${run.drill}-${run.id.slice(0, 8)}`
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
