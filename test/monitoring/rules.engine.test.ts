/** The generated files before the real programs: their check tools, a Prometheus that scrapes every trouble at once. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { alertmanagerConfig } from '../../packages/holdfast/src/alerts/generate/alertmanager.ts'
import { grafanaDashboard } from '../../packages/holdfast/src/alerts/generate/grafana.ts'
import { prometheusConfig, prometheusRules } from '../../packages/holdfast/src/alerts/generate/prometheus.ts'
import { startAlerts } from '../../packages/holdfast/src/alerts/wire.ts'
import type { Platform } from '../../packages/holdfast/src/config/platform.ts'
import { keyOf } from '../../packages/holdfast/src/core/alerts/look.ts'
import { RULE_IDS, type RuleId, ruleRow } from '../../packages/holdfast/src/core/alerts/rules.ts'
import { systemClock } from '../../packages/holdfast/src/io/clock.ts'
import { createLog } from '../../packages/holdfast/src/io/log.ts'
import { temporaryFolder, until } from '../platform.ts'
import { ask, missing, prometheus, type Server, tool } from './programs.ts'
import { openScene, type Scene } from './scene.ts'

const folder = temporaryFolder('monitoring')
let scene: Scene
let platform: Platform
before(async () => {
  scene = await openScene(folder)
  platform = scene.platform
  writeFileSync(join(folder, 'holdfast-rules.yml'), prometheusRules(platform))
  writeFileSync(join(folder, 'prometheus.yml'), prometheusConfig(platform, { alertmanager: '127.0.0.1:9093' }))
  writeFileSync(join(folder, 'alertmanager.yml'), alertmanagerConfig(platform))
})
after(async () => {
  await scene.close()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
})

test('the tools of Prometheus and Alertmanager find nothing to complain of', { skip: missing }, () => {
  for (const [name, ...words] of [
    ['promtool', 'check', 'rules', join(folder, 'holdfast-rules.yml')],
    ['promtool', 'check', 'config', join(folder, 'prometheus.yml')],
    ['amtool', 'check-config', join(folder, 'alertmanager.yml')],
  ] as const) {
    const { code, out } = tool(name, ...words)
    assert.equal(code, 0, out)
    assert.doesNotMatch(out, /FAILED|WARNING/i)
  }
})

test('Alertmanager sends each severity where our own routes send it', { skip: missing }, () => {
  const file = `--config.file=${join(folder, 'alertmanager.yml')}`
  for (const [labels, receiver] of [
    [['severity=critical', 'group=orders'], 'holdfast-critical'],
    [['severity=warning', 'site=x'], 'holdfast-warning'],
    [['severity=info'], 'holdfast-info'],
    [['severity=other'], 'nobody'],
  ] as const) {
    assert.equal(tool('amtool', 'config', 'routes', 'test', file, ...labels).out.split('\n')[0], receiver)
  }
})

/** The rules as they stand without overrides, by series that come and go. */
const UNIT = `rule_files: [usual-rules.yml]
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series:
      - { series: 'up{job="holdfast-agents",agent="a1",site="x"}', values: '1x3 0x16 1x20' }
      - { series: 'up{job="holdfast-agents",agent="a2",site="x"}', values: '1x40' }
      - { series: 'holdfast_disk_free_bytes{group="orders",member="m1",site="x"}', values: '12x40' }
      - { series: 'holdfast_disk_free_bytes{group="cache",member="c1",site="x"}', values: '25x40' }
      - { series: 'holdfast_disk_free_bytes{group="billing",member="b1",site="x"}', values: '25x40' }
      - { series: 'holdfast_disk_size_bytes{group="orders",member="m1",site="x"}', values: '100x40' }
      - { series: 'holdfast_disk_size_bytes{group="cache",member="c1",site="x"}', values: '100x40' }
      - { series: 'holdfast_disk_size_bytes{group="billing",member="b1",site="x"}', values: '100x40' }
    alert_rule_test:
      - { eval_time: 45s, alertname: HoldfastAgentSilent, exp_alerts: [] }
      - eval_time: 60s
        alertname: HoldfastAgentSilent
        exp_alerts: &silent
          - exp_labels: { severity: warning, rule: agent-silent, platform: troubled, agent: a1, site: x }
            exp_annotations:
              summary: Agent a1 does not answer
              next: 'look at its host and its log; start it: holdfast agent --name a1'
              runbook_url: docs/operate/runbook.md#agent-silent
      - { eval_time: 120s, alertname: HoldfastAgentSilent, exp_alerts: *silent }
      - { eval_time: 150s, alertname: HoldfastAgentSilent, exp_alerts: [] }
      - { eval_time: 150s, alertname: HoldfastSiteLost, exp_alerts: [] }
      - { eval_time: 55s, alertname: HoldfastDiskFilling, exp_alerts: [] }
      - eval_time: 65s
        alertname: HoldfastDiskFilling
        exp_alerts:
          - exp_labels: { severity: warning, rule: disk-filling, platform: troubled, engine: postgres,
              group: orders, member: m1, site: x }
            exp_annotations:
              summary: 12% of the disk of m1 in group orders is free (limit 15 %)
              next: df -h on its host; see what fills it before you delete anything
              runbook_url: docs/operate/runbook.md#disk-filling
          - exp_labels: { severity: warning, rule: disk-filling, platform: troubled, engine: redis,
              group: cache, member: c1, site: x }
            exp_annotations:
              summary: 25% of the disk of c1 in group cache is free (limit 30 %)
              next: df -h on its host; see what fills it before you delete anything
              runbook_url: docs/operate/runbook.md#disk-filling
`

test('rules wait as long as they say, carry numbers, and have the limits of their engine', {
  skip: missing,
}, () => {
  const usual: Platform = { ...platform, alerts: { ...platform.alerts, rules: {}, everyMs: 5_000 } }
  writeFileSync(join(folder, 'usual-rules.yml'), prometheusRules(usual))
  writeFileSync(join(folder, 'unit.yml'), UNIT)
  const { code, out } = tool('promtool', 'test', 'rules', join(folder, 'unit.yml'))
  assert.equal(code, 0, out)
})

/** Without what Prometheus adds to tell its rules apart. */
function only(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const added = ['alertname', 'severity', 'platform', 'engine', 'rule']
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !added.includes(name)))
}

interface Told {
  readonly state: string
  readonly labels: Readonly<Record<string, string>>
}

describe('a real Prometheus', { skip: missing }, () => {
  let server: Server
  before(async () => {
    server = await prometheus(folder)
  })
  after(() => server.stop())

  async function firingThere(): Promise<readonly string[]> {
    const { alerts } = await ask<{ alerts: readonly Told[] }>(server, 'alerts')
    return alerts
      .filter(({ state }) => state === 'firing')
      .map(({ labels }) => keyOf(labels.rule ?? '', only(labels)))
      .sort()
  }

  test('fires exactly what our own evaluation fires, and there is a trouble for every rule', async () => {
    const log = createLog({ level: 'silent', name: 'test' })
    const nobody = {
      ...platform.alerts,
      channels: [],
      routes: { critical: [], warning: [], info: [] },
      escalation: null,
    }
    const alone = { ...platform, alerts: { ...nobody, dir: join(folder, 'alerts') } }
    const runner = startAlerts({ platform: alone, clock: systemClock, log, onReplaced: () => undefined })
    try {
      let here: readonly string[] = []
      let there: readonly string[] = []
      const firingHere = (): readonly string[] =>
        Object.values(runner.state.alerts)
          .filter(({ phase }) => phase === 'firing')
          .map(({ rule, labels }) => keyOf(rule, labels))
          .sort()
      await until('both to fire the same', async () => {
        here = firingHere()
        there = await firingThere()
        const rules = new Set(here.map((key) => key.slice(0, key.indexOf('{'))))
        return rules.size === RULE_IDS.length && here.join() === there.join()
      }).catch(() => assert.deepEqual(here, there))
      assert.ok(here.includes('lag-near-bound{group=cache,member=c1,site=x}'), 'Redis has a limit of its own')
      assert.ok(!here.some((key) => key.includes('member=b2')), 'what Redis minds PostgreSQL does not')
      assert.ok(here.includes('no-writer{group=cache}'), 'nobody tells of its members')
      assert.ok(here.includes('disk-full-soon{group=orders,member=m1,site=x}'))
    } finally {
      await runner.close()
    }
  })

  test('answers every question of the dashboard, with something to show', async () => {
    const { panels } = grafanaDashboard(platform) as { panels: { title: string; targets: { expr: string }[] }[] }
    for (const { title, targets } of panels) {
      for (const { expr } of targets) {
        const query = expr
          .replaceAll(/\$(group|site)/g, '.*')
          .replaceAll('$__range', '1m')
          .replaceAll('$__rate_interval', '30s')
        const { result } = await until(`${title}: ${query}`, async () => {
          const found = await ask<{ result: unknown[] }>(server, 'query', { query })
          return found.result.length > 0 ? found : null
        })
        assert.ok(result.length > 0)
      }
    }
  })
})

test('the rules carry the sentence, the next step and the section of each rule', () => {
  const text = readFileSync(join(folder, 'holdfast-rules.yml'), 'utf8')
  for (const id of RULE_IDS) {
    assert.match(text, new RegExp(`rule: ${id}\n`))
    assert.match(text, new RegExp(`runbook_url: docs/operate/runbook.md#${id}\n`))
    assert.match(text, new RegExp(`severity: ${ruleRow(id as RuleId).severity}\n`))
  }
})
