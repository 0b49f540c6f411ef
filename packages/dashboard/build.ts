/**
 * Builds the dashboard into `dist`, from where the server reads it: `npm run dashboard`; with `--when-old` only if its
 * sources changed since. Everything it needs is in
 * there; nothing is fetched from elsewhere and nothing is inline, so that the server's content policy can forbid both.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

export const DASHBOARD_ROOT = fileURLToPath(new URL('.', import.meta.url))
export const DASHBOARD_DIST = fileURLToPath(new URL('./dist', import.meta.url))

export async function buildDashboard(outDir: string = DASHBOARD_DIST): Promise<void> {
  await build({
    root: DASHBOARD_ROOT,
    configFile: false,
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2022',
      // Files under their own address, also small ones.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  })
}

/** What it is made of is newer than what was made, or nothing was. */
export function isOld(): boolean {
  const made = join(DASHBOARD_DIST, 'index.html')
  if (!existsSync(made)) return true
  const madeMs = statSync(made).mtimeMs
  const sources = [join(DASHBOARD_ROOT, 'src'), join(DASHBOARD_ROOT, '..', 'client', 'src')].flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  const all = [...sources, fileURLToPath(import.meta.url), join(DASHBOARD_ROOT, 'index.html')]
  return all.some((path) => statSync(path).mtimeMs > madeMs)
}

if (import.meta.main && (!process.argv.includes('--when-old') || isOld())) await buildDashboard()
