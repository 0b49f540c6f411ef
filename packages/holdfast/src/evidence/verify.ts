/**
 * Verifies signed files with nothing but the files: sealed documents, pages, and other files by the seal beside them
 * (`report.pdf` by `report.pdf.seal.json`). Reports of one series are also held against each other.
 */
import { HoldfastError } from '../errors.ts'
import { readFileLimited } from '../io/files.ts'
import { sha256Hex } from '../io/signing.ts'
import { breaksIn, type Link } from './chain.ts'
import { checkPage, isPage } from './page.ts'
import { reportIn } from './report.ts'
import { unsealed } from './seal.ts'

export interface Verdict {
  readonly file: string
  readonly ok: boolean
  readonly because: string
  readonly keyId: string | null
}

/** A report with a timeline of hours stays below a megabyte. */
const DOCUMENT_BYTES_MAX = 32 * 1024 * 1024
export const SEALED_SUFFIX = '.seal.json'
export const FILE_FORMAT = 'holdfast-file/1'

interface Examined {
  readonly verdict: Verdict
  /** Of a report: its series and its place there. */
  readonly series: string | null
  readonly link: Link | null
}

/** `wantedPem`: the public key that must have signed them; null takes any and says which. */
export async function verifyFiles(files: readonly string[], wantedPem: string | null): Promise<readonly Verdict[]> {
  const examined: Examined[] = []
  for (const file of files) examined.push(await examine(file, wantedPem))
  const breaks = new Map<string, string>()
  for (const series of new Set(examined.flatMap((one) => one.series ?? []))) {
    const links = examined.flatMap((one) => (one.series === series && one.link !== null ? [one.link] : []))
    for (const { file, because } of breaksIn(links)) breaks.set(file, because)
  }
  return examined.map(({ verdict }) => {
    const broken = breaks.get(verdict.file)
    return broken === undefined ? verdict : { ...verdict, ok: false, because: broken }
  })
}

async function examine(file: string, wantedPem: string | null): Promise<Examined> {
  const no = (because: string, keyId: string | null = null): Examined => ({
    verdict: { file, ok: false, because, keyId },
    series: null,
    link: null,
  })
  let bytes: Buffer
  try {
    bytes = await readFileLimited(file, DOCUMENT_BYTES_MAX)
    if (bytes.subarray(0, 5).toString('latin1') === '%PDF-') return await besideItsSeal(file, bytes, wantedPem)
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    return no(error.message)
  }
  const text = bytes.toString('utf8')
  // Bytes that are no UTF-8 all become the same sign, so two files could have one text.
  if (!Buffer.from(text, 'utf8').equals(bytes)) return no('it is no UTF-8 text')
  const result = isPage(text) ? checkPage(text) : unsealed(text)
  if (!result.ok) return no(result.because)
  const { keyId, publicPem, sha256 } = result
  if (wantedPem !== null && publicPem !== wantedPem) return no(`signed by another key, ${keyId}`, keyId)
  const report = 'body' in result ? reportIn(result.body) : null
  const trust = wantedPem === null ? '; give --key to see that it is the right one' : ', the key that was given'
  const what = report === null ? '' : `report ${report.chain.seq}, ${report.run.drill} ${report.outcome}; `
  const verdict = { file, ok: true, because: `${what}signed by ${keyId}${trust}`, keyId }
  if (report === null) return { verdict, series: null, link: null }
  const { seq, previousSha256 } = report.chain
  const series = JSON.stringify([report.run.platform, report.run.practice, keyId])
  return { verdict, series, link: { file, seq, previousSha256, sha256 } }
}

async function besideItsSeal(file: string, bytes: Buffer, wantedPem: string | null): Promise<Examined> {
  const beside = await examine(`${file}${SEALED_SUFFIX}`, wantedPem)
  if (!beside.verdict.ok) return { ...beside, verdict: { ...beside.verdict, file } }
  const text = (await readFileLimited(`${file}${SEALED_SUFFIX}`, DOCUMENT_BYTES_MAX)).toString('utf8')
  const seal = unsealed(text)
  const body = seal.ok ? (seal.body as { readonly format?: unknown; readonly sha256?: unknown }) : {}
  const fits = body.format === FILE_FORMAT && body.sha256 === sha256Hex(bytes)
  const because = fits ? beside.verdict.because : `it is not the file that ${file}${SEALED_SUFFIX} was made for`
  return { verdict: { ...beside.verdict, file, ok: fits, because }, series: null, link: null }
}
