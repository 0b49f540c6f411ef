/** The dashboard as people use it: a real browser, the real server, a real group of three. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { buildDashboard } from '../../packages/dashboard/build.ts'
import { findPostgres } from '../../packages/holdfast/src/engines/postgres/binaries.ts'
import { chromiumPath } from '../../scripts/engines/wanted.ts'
import { freePorts, PATIENCE_MS, type Running, TestPlatform } from '../platform.ts'
import { logIn, lookAt, openBrowser, openTab, type Tab } from './browser.ts'

const PASSWORD = 'correct horse battery'
/** From the moment a member opened for writes to the moment the page says so. */
const SEEN_MS_MAX = 1_000
/** A crowded machine gets the processor late; what is promised is promised for one that is not. */
const SEEN_MS_CROWDED = 10_000

const ASKED_AGAIN_MAX = 3
/** Looks, moves, waits until it has held for a lease, counts; on a crowded machine. */
const RUN_MS = 120_000

const chromium = chromiumPath()
const postgres = await findPostgres()
const missing = chromium === null ? 'chromium' : postgres.ok ? null : 'postgresql'
const skip = missing === null ? false : `needs ${missing}: npm run engines`

describe('the dashboard in a browser', { skip, timeout: 700_000 }, () => {
  let platform: TestPlatform
  let browser: Browser
  let server: Running
  let url = ''
  let port = 0
  let code = ''
  let admin: Tab
  const agents = new Map<string, Running>()

  const startServer = async (): Promise<void> => {
    server = platform.run(['server', '--file', platform.file])
    await server.says(/ready at (\S+)/)
    url = /ready at (\S+)/.exec(server.text)?.[1] ?? ''
  }

  before(async () => {
    await buildDashboard()
    platform = await TestPlatform.describe({ members: 3, groupLines: '    antiFlap: { free: 50, window: 60s }\n' })
    port = (await freePorts(1))[0] ?? 0
    describeDrills(platform)
    platform.write(described(platform, port))
    await platform.store().says(/ready at/)
    for (const [at, member] of platform.members.entries()) agents.set(member, platform.agent(`a${at + 1}`))
    for (const agent of agents.values()) await agent.says(/ready at/)
    await platform.router().says(/ready at/)
    await startServer()
    code = /one-time code[^:]*: (\S+)/.exec(server.text)?.[1] ?? ''
    browser = await openBrowser(chromium ?? '')
    admin = await openTab(browser, url)
    await platform.whole()
  })

  after(async () => {
    await browser?.close()
    await platform?.destroy()
  })

  test('the one-time code makes the first admin, who then sees the group', async () => {
    const { page } = admin
    await page.goto('/')
    await page.getByLabel('One-time code').waitFor()
    await lookAt(admin, 'first-admin')
    await page.getByLabel('One-time code').fill(code)
    await page.getByLabel('Your name').fill('ada')
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Make the first admin' }).click()
    const writer = await platform.primary()
    await page.locator(`[data-group="orders"] [data-writer="${writer}"]`).waitFor()
    await page.getByText('The group is safe.').waitFor()
  })

  test('a failover appears without a reload, within a second of its happening', async (t) => {
    const { page } = admin
    const before = await platform.primary()
    await page.evaluate(`window.stayed = true; window.seen = {};
      new MutationObserver(() => {
        const writer = document.querySelector('[data-group="orders"] [data-writer]')?.dataset.writer
        if (writer) window.seen[writer] ??= Date.now()
        window.told ||= document.querySelector('.ways')?.innerText.includes('1 open')
      }).observe(document.body, { subtree: true, childList: true, attributes: true })`)
    agents.get(before)?.child.kill('SIGKILL')
    const next = await platform.primary(before)
    const opened = await platform.reason(next, /"code":"opens"/)
    await page.locator(`[data-group="orders"] [data-writer="${next}"]`).waitFor()
    const seen = Number(await page.evaluate(`window.seen['${next}']`))
    assert.equal(await page.evaluate('window.stayed'), true, 'the page was not loaded again')
    const tookMs = seen - opened.wallMs
    const crowded = (loadavg()[0] ?? 0) > availableParallelism()
    t.diagnostic(
      `${next} opened, ${Math.round(tookMs)} ms later the page said so${crowded ? ' (crowded machine)' : ''}`,
    )
    assert.ok(tookMs <= (crowded ? SEEN_MS_CROWDED : SEEN_MS_MAX), `${tookMs} ms`)
    assert.equal(await page.evaluate('window.told'), true, 'the open incident was counted')
    await lookAt(admin, 'overview-after-failover')
    agents.set(before, platform.agent(`a${platform.members.indexOf(before) + 1}`))
    await platform.whole()
    await page.getByText('The group is safe.').waitFor()
  })

  test('its incident tells the phases with their times', async () => {
    const { page } = admin
    await page.getByRole('link', { name: 'Incidents', exact: false }).first().click()
    await page.locator('[data-incident] a').first().click()
    for (const phase of ['detect', 'decide', 'promote', 'route', 'healthy']) {
      await page.locator(`[data-phase="${phase}"].reached`).waitFor()
    }
    await page.locator('.events li').first().waitFor()
    // What clients saw of it stands beneath, and with a figure once the primary was looked through.
    await page.locator('.attempts svg[role="img"]').waitFor()
    await page.getByText(/^[\d.]+ m?s \(± 500 ms\)$/).waitFor()
  })

  test('an operator asks for a switchover, an approver agrees, both see it happen', async (t) => {
    await addUser(admin.page, 'opal', 'operator')
    await addUser(admin.page, 'april', 'approver')
    const operator = await openTab(browser, url)
    await logIn(operator, 'opal', PASSWORD)
    const before = await platform.whole()
    await operator.page.goto('/groups/orders')
    await operator.page.getByRole('button', { name: 'Switch over…' }).click()
    await operator.page.getByLabel('Wait until an approver agrees').check()
    await lookAt(operator, 'switchover-dialog')
    const approver = await openTab(browser, url)
    await logIn(approver, 'april', PASSWORD)
    await approver.page.getByRole('link', { name: 'Approvals' }).click()
    await approver.page.getByText('Nothing waits.').waitFor()
    await operator.page.getByRole('button', { name: 'Ask for approval' }).click()
    await operator.page.getByText('It waits for an approver.').waitFor()
    await approver.page.getByRole('button', { name: 'Approve…' }).waitFor()
    await lookAt(approver, 'approvals')
    await approve(approver.page)
    // A crowded machine may have no candidate that is near enough just then; it says so, and is asked again.
    for (let more = ASKED_AGAIN_MAX; more > 0 && (await outcomeOf(approver.page)) === 'refused'; more--) {
      t.diagnostic(`refused: ${await approver.page.locator('[data-intent]').textContent()}`)
      await platform.whole()
      await operator.page.getByRole('button', { name: 'Switch over…' }).click()
      await operator.page.getByLabel('Wait until an approver agrees').check()
      await operator.page.getByRole('button', { name: 'Ask for approval' }).click()
      await approver.page.getByRole('button', { name: 'Approve…' }).waitFor()
      await approve(approver.page)
    }
    assert.equal(await outcomeOf(approver.page), 'done')
    const next = await platform.primary(before)
    await operator.page.locator(`tr[data-member="${next}"][data-role="primary"]`).waitFor()
    assert.deepEqual([...operator.complaints, ...approver.complaints], [])
    await operator.context.close()
    await approver.context.close()
    await platform.whole()
  })

  test('a service is moved by an operator and an approver, and each step is seen without a reload', async (t) => {
    await addUser(admin.page, 'moira', 'operator')
    await addUser(admin.page, 'amos', 'approver')
    const operator = await openTab(browser, url)
    await logIn(operator, 'moira', PASSWORD)
    const approver = await openTab(browser, url)
    await logIn(approver, 'amos', PASSWORD)
    await approver.page.getByRole('link', { name: 'Approvals' }).click()
    const { page } = operator
    await page.goto('/services/shop')
    // Wherever the tests before left it.
    const at = (await page.locator('[data-at]').first().getAttribute('data-at')) ?? ''
    const to = at === 'here' ? 'there' : 'here'
    await page.evaluate(`window.stayed = true; window.steps = {};
      new MutationObserver(() => {
        for (const row of document.querySelectorAll('[data-plan] [data-step]'))
          (window.steps[row.dataset.step] ??= new Set()).add(row.dataset.state)
      }).observe(document.body, { subtree: true, childList: true, attributes: true })`)
    const moved = page.locator('[data-plan][data-phase="done"]').first()
    for (let tries = 1; ; tries++) {
      await platform.whole()
      await page.getByLabel('Where to').selectOption(`to ${to}`)
      await page.locator('[data-dry-run="fits"]').waitFor()
      await page.getByText('Nothing acknowledged can be lost.').waitFor()
      if (tries === 1) await lookAt(operator, 'service-dry-run')
      await page.getByRole('button', { name: /^Move .*shop.*…$/ }).click()
      await page.getByLabel('Wait until an approver agrees').check()
      await page.getByRole('button', { name: 'Ask for approval' }).click()
      await page.getByText('It waits for an approver').waitFor()
      await approver.page.getByRole('button', { name: 'Approve…' }).waitFor()
      if (tries === 1) await lookAt(approver, 'approval-of-a-plan')
      await approve(approver.page)
      await page.locator('[data-plan][data-phase="done"], [data-plan][data-phase="undone"]').first().waitFor()
      if ((await moved.count()) > 0 || tries >= ASKED_AGAIN_MAX) break
      // A crowded machine may have no candidate that is near enough just then; it is taken back, and asked again.
      t.diagnostic((await page.locator('[data-plan]').first().textContent()) ?? '')
    }
    await moved.waitFor()
    await page.locator(`[data-at="${to}"]`).first().waitFor()
    for (const step of ['hook:note', 'hold:orders', 'move:orders', 'release:orders']) {
      await page
        .locator(`[data-plan] [data-step="${step}"][data-state="done"] td[data-label="Measured"]`)
        .first()
        .waitFor()
    }
    const seen = JSON.parse(
      String(
        await page.evaluate(
          'JSON.stringify(Object.fromEntries(Object.entries(window.steps).map(([k, v]) => [k, [...v]])))',
        ),
      ),
    ) as Record<string, string[]>
    t.diagnostic(JSON.stringify(seen))
    assert.ok(seen['hook:note']?.includes('running'), 'it was seen at work before it was done')
    assert.equal(await page.evaluate('window.stayed'), true, 'the page was not loaded again')
    await page.locator('[data-past-plan]').first().waitFor()
    await page.getByText('It waits for an approver').waitFor({ state: 'detached' })
    await lookAt(operator, 'service-moved')
    assert.deepEqual([...operator.complaints, ...approver.complaints], [])
    await operator.context.close()
    await approver.context.close()
    await platform.whole()
  })

  test('a viewer sees and may not: no lever is offered, and the server refuses one that is pulled', async () => {
    await addUser(admin.page, 'vera', 'viewer')
    const viewer = await openTab(browser, url)
    await logIn(viewer, 'vera', PASSWORD)
    await viewer.page.locator('[data-group="orders"] [data-writer]').waitFor()
    assert.equal(await viewer.page.getByRole('button', { name: /automation/ }).count(), 0)
    await viewer.page.goto('/groups/orders')
    await viewer.page.getByText('You may look at this group').waitFor()
    assert.equal(await viewer.page.getByRole('button', { name: 'Switch over…' }).count(), 0)
    await viewer.page.goto('/services/shop')
    await viewer.page.getByText('To move it takes the role of an operator').waitFor()
    await viewer.page.goto('/drills')
    await viewer.page.locator('tr[data-drill="quiet"]').waitFor()
    assert.equal(await viewer.page.getByRole('button', { name: /Run|Stop/ }).count(), 0)
    const levers = ['groups/orders/drills', 'groups/orders/drills/abort', 'drills/days', 'faults/stop']
    const moves = ['switchover', 'failover', 'resume'].map((verb) => `groups/orders/${verb}`)
    for (const path of [...moves, 'services/shop/plans', ...levers]) {
      assert.equal(await post(viewer.page, path, {}), 403, path)
    }
    await viewer.context.close()
  })

  test('a drill runs from here, is seen while it runs, and its report verifies', async () => {
    const { page } = admin
    await platform.whole()
    await page.goto('/drills')
    await page.getByRole('button', { name: 'Run quiet…' }).click()
    await page.getByRole('dialog').getByText('Blast radius').waitFor()
    await lookAt(admin, 'drill-dialog')
    await page.getByRole('dialog').getByRole('button', { name: 'Run it live' }).click()
    await page.locator('[data-active-drill="quiet"]').waitFor()
    await page.locator('[data-running="quiet"]').waitFor()
    await page.locator('tr[data-report] th a').first().click({ timeout: RUN_MS })
    await page.locator('[data-verdict="ok"]').waitFor()
    const kept = await page.evaluate(`[...document.querySelectorAll('[data-figure]')].map((row) => row.dataset.kept)`)
    assert.deepEqual(kept, ['kept', 'kept'])
    await lookAt(admin, 'report')
    const answer = await page.evaluate(`fetch(document.querySelector('a[href$="/json"]').href)
      .then((answer) => answer.text())`)
    const file = join(platform.folder, 'taken.json')
    writeFileSync(file, String(answer))
    const verified = platform.run(['evidence', 'verify', file])
    assert.equal(await verified.end(), 0, verified.text)
    assert.deepEqual(admin.complaints, [])
  })

  test('the lever stops the drill that runs and every fault, and each agent says that none is left', async () => {
    const { page } = admin
    await platform.whole()
    await page.goto('/drills')
    await page.getByRole('button', { name: 'Run frozen…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Run it live' }).click()
    await page.locator('[data-active-drill="frozen"][data-phase="faulted"]').waitFor()
    await lookAt(admin, 'drill-running')
    await page.getByRole('button', { name: 'Stop all faults…' }).click()
    await page.getByRole('dialog').getByLabel('Reason').fill('customers call')
    await page.getByRole('button', { name: 'Stop them now' }).click()
    await page.locator('[data-faults="off"]').waitFor()
    await lookAt(admin, 'stop-faults')
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await page.locator('[data-active-drill]').waitFor({ state: 'detached' })
    const row = page.locator('tr[data-report]').filter({ hasText: 'frozen' })
    await row.getByText('aborted', { exact: true }).waitFor()
    await page.goto('/audit')
    await page.getByLabel('Search').fill('stop-faults')
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('cell', { name: 'customers call' }).first().waitFor()
    await platform.whole()
  })

  test('automation is turned off with a reason and on again', async () => {
    const { page } = admin
    await page.goto('/')
    await page.getByRole('button', { name: 'Turn automation off…' }).click()
    await page.getByLabel('Reason').fill('trying the lever')
    await page.getByRole('button', { name: 'Turn it off' }).click()
    await page.getByText('Automation off', { exact: true }).waitFor()
    await page
      .getByText(/paused by .*trying the lever/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: 'Turn automation on…' }).click()
    await page.getByRole('button', { name: 'Turn it on' }).click()
    await page.getByText('Automation on', { exact: true }).waitFor()
  })

  test('every screen, light and dark, on a desk and on a phone', async () => {
    const screens = { overview: '/', topology: '/topology', group: '/groups/orders', incidents: '/incidents' }
    const more = { drills: '/drills', alerts: '/alerts', audit: '/audit', access: '/access', account: '/account' }
    for (const [name, path] of Object.entries({ ...screens, ...more })) {
      await admin.page.goto(path)
      await admin.page.locator('h1').first().waitFor()
      await admin.page.getByText('Live', { exact: true }).first().waitFor()
      if (path === '/groups/orders')
        await admin.page
          .getByText(/ closed$/)
          .first()
          .waitFor()
      if (path === '/groups/orders') await admin.page.locator('[data-replica]').first().waitFor()
      await lookAt(admin, name)
    }
    await admin.page.goto('/incidents')
    await admin.page.locator('[data-incident] a').first().click()
    await admin.page.locator('.events li').first().waitFor()
    await lookAt(admin, 'incident')
    assert.deepEqual(admin.complaints, [])
  })

  test('the audit log holds what was done, and verifies', async () => {
    const { page } = admin
    await page.goto('/audit')
    await page.getByRole('button', { name: 'Verify the whole log' }).click()
    await page.locator('[data-verdict="ok"]').waitFor()
    await page.getByLabel('Search').fill('vera')
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('cell', { name: 'user vera' }).first().waitFor()
  })

  test('a lost server is said plainly, and when it is back the page goes on by itself', async () => {
    const { page } = admin
    await page.goto('/')
    await page.getByText('Live', { exact: true }).waitFor()
    await page.evaluate('window.stayed = true')
    await server.stop('SIGKILL')
    await page.getByText(/No connection to the server since/).waitFor()
    await page.getByText(/Everything below is as it was then/).waitFor()
    await lookAt(admin, 'lost')
    await startServer()
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByText(/No connection to the server/).waitFor({ state: 'detached' })
    assert.equal(await page.evaluate('window.stayed'), true)
  })

  test('who is logged out elsewhere is asked to log in again', async () => {
    const { page } = admin
    const left = await openTab(browser, url)
    await left.context.addCookies(await admin.context.cookies())
    await left.page.goto('/')
    await left.page.getByRole('button', { name: 'Log out' }).click()
    await left.page.getByRole('button', { name: 'Log in' }).waitFor()
    await page.goto('/')
    await page.getByRole('button', { name: 'Log in' }).waitFor()
    await lookAt(admin, 'login')
    await left.context.close()
  })
})

/** Two sites and a witness, and a server. */
function described(platform: TestPlatform, port: number): string {
  return `${platform
    .text()
    .replace('sites: [{ name: here }]', 'sites: [{ name: here }, { name: there }, { name: hill, witness: true }]')
    .replace('store: { kind: embedded,', 'store: { kind: embedded, site: hill,')
    .replace('agentDefaults: {', 'agentDefaults: { drills: allowed,')
    .replace(
      'name: a3, site: here',
      'name: a3, site: there',
    )}${SERVICE}drills: [drills]\nserver: { listen: 127.0.0.1:${port} }\n`
}

function describeDrills({ folder }: TestPlatform): void {
  mkdirSync(join(folder, 'drills'))
  const objectives = 'objectives: { rto: 30s, rpo: 0s }\nhypothesis: { within: 90s }\n'
  const write = (name: string, fault: string, more = ''): void =>
    writeFileSync(
      join(folder, 'drills', `${name}.yaml`),
      `version: 1\ndrill: ${name}\ngroup: orders\nfault: ${fault}\n${objectives}${more}`,
    )
  // Nothing that a crowded machine would make an outage of.
  const quiet = '{ kind: freeze, what: agent, target: replica, for: 4s }'
  write('quiet', quiet, `description: The agent of a replica stands still.\n${SCHEDULE}`)
  write('frozen', '{ kind: freeze, what: engine, target: replica, for: 90s }')
}

/** Twice a month, in the night. */
const SCHEDULE = `schedule:
  cron: "0 3 1,15 * *"
  timeZone: Europe/Berlin
  freezes: [{ from: "2027-12-20", to: "2028-01-03", because: year end }]
`

/** One group, and a hook that takes long enough to be seen at work. */
const SERVICE = `services:
  - name: shop
    home: here
    objectives: { rto: 30s, rpo: 0s }
    groups: [{ group: orders }]
    hooks: [{ name: note, when: before, run: [sleep, "1"], deadline: 20s }]
`

async function addUser(page: Page, user: string, role: string): Promise<void> {
  await page.goto('/access')
  await page.getByRole('button', { name: 'Add a user…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill(user)
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByLabel('Role').selectOption(role)
  await dialog.getByRole('button', { name: 'Add', exact: true }).click()
  await page.locator(`tr[data-user="${user}"]`).waitFor({ timeout: PATIENCE_MS })
}

async function approve(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Approve…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}

/** Of what was approved last, once it is known. */
async function outcomeOf(page: Page): Promise<string | null> {
  const told = page.locator('[data-intent="done"], [data-intent="refused"]')
  await told.waitFor({ timeout: PATIENCE_MS })
  return told.getAttribute('data-intent')
}

/** As the page itself would ask, with its session and its word against forgery. */
async function post(page: Page, path: string, body: object): Promise<number> {
  const status = await page.evaluate(`fetch('/api/v1/session').then((answer) => answer.json()).then(({ csrf }) =>
    fetch('/api/v1/${path}', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'holdfast-csrf': csrf },
      body: ${JSON.stringify(JSON.stringify(body))},
    })).then(({ status }) => status)`)
  return Number(status)
}
