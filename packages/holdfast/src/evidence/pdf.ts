/** A page as PDF, printed by a Chromium of the machine where there is one. It is asked for nothing but the file. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { HoldfastError } from '../errors.ts'
import { programPath } from '../io/program-path.ts'

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
/** A cold start on a busy machine takes ten seconds. */
const PRINT_MS = 90_000
const WORDS_MAX = 2_000

/** Writes `pdfFile` from `htmlFile`; throws `HF_CHROMIUM_MISSING` where none is installed or it prints nothing. */
export async function printPdf(htmlFile: string, pdfFile: string): Promise<void> {
  const program = PROGRAMS.map(programPath).find((path) => path !== null)
  if (program === undefined || program === null) {
    const next = 'Install it (Debian: apt install chromium), or print the HTML file in any browser.'
    throw new HoldfastError('HF_CHROMIUM_MISSING', 'No Chromium was found to print the PDF.', next)
  }
  const profile = await mkdtemp(join(tmpdir(), 'holdfast-print-'))
  const target = resolve(pdfFile)
  try {
    const words = [
      '--headless',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--no-first-run',
      '--no-pdf-header-footer',
      // The page has no script and no address outside of it; as root Chromium has no sandbox to offer.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      `--user-data-dir=${profile}`,
      `--print-to-pdf=${target}`,
      pathToFileURL(resolve(htmlFile)).href,
    ]
    const said = await run(program, words)
    const size = await stat(target).then(
      (found) => found.size,
      () => 0,
    )
    if (size > 0) return
    const message = `${program} printed no PDF: ${said}`
    throw new HoldfastError('HF_CHROMIUM_MISSING', message, 'Print the HTML file in any browser.')
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

function run(program: string, words: readonly string[]): Promise<string> {
  return new Promise((settle) => {
    let said = ''
    const child = spawn(program, words, {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: PRINT_MS,
      killSignal: 'SIGKILL',
    })
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-WORDS_MAX)
    })
    child.on('error', (error) => settle(error.message))
    child.on('close', () => settle(said.trim()))
  })
}
