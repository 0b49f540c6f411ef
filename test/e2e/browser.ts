/** A real browser on the dashboard: opens pages, hears complaints, looks for what WCAG AA forbids, takes pictures. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { PATIENCE_MS } from '../platform.ts'

/** Pictures of every screen, kept after the run; ignored by git. */
const PICTURES = join(import.meta.dirname, 'out')
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']
export const WIDTHS = { desk: { width: 1_280, height: 860 }, phone: { width: 390, height: 844 } } as const
export const THEMES = ['light', 'dark'] as const

export interface Tab {
  readonly context: BrowserContext
  readonly page: Page
  /** What the page complained about: errors, and whatever the content policy forbade. */
  readonly complaints: string[]
}

export async function openBrowser(executablePath: string): Promise<Browser> {
  // Chromium refuses its sandbox to root; what is opened here is ours.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath, args: [...args, '--disable-gpu', '--disable-dev-shm-usage'] })
}

export async function openTab(browser: Browser, baseURL: string): Promise<Tab> {
  const context = await browser.newContext({ baseURL, viewport: WIDTHS.desk, reducedMotion: 'reduce' })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // A refusal the test asks for is told by the browser as well.
    const expected = /Failed to load resource|net::ERR_/.test(message.text())
    if (message.type() === 'error' && !expected) complaints.push(message.text())
  })
  return { context, page, complaints }
}

export async function logIn({ page }: Tab, user: string, password: string): Promise<void> {
  await page.goto('/')
  await page.getByLabel('Name').fill(user)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Log out' }).waitFor()
}

/** The screen as it stands, in both themes and widths: pictures, no sideways scrolling, nothing that AA forbids. */
export async function lookAt({ page }: Tab, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true })
  await page.evaluate(readFileSync(AXE, 'utf8'))
  for (const [kind, size] of Object.entries(WIDTHS)) {
    await page.setViewportSize(size)
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
      await page.screenshot({ path: join(PICTURES, `${name}-${theme}-${kind}.png`), fullPage: true })
      const found = await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then((result) =>
        result.violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' | ').slice(0, 400)))`)
      assert.deepEqual(found, [], `${name}, ${theme}, ${kind}`)
    }
    const wider = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.equal(wider, 0, `${name} does not scroll sideways at ${size.width} pixels`)
  }
  await page.setViewportSize(WIDTHS.desk)
}
