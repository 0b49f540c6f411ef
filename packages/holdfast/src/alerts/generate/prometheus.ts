/** Prometheus' own files: the rules, from the same rows as our own evaluation, and what it scrapes. */
import { stringify } from 'yaml'
import type { Platform } from '../../config/platform.ts'
import { durationWord, promql } from '../../core/alerts/promql.ts'
import type { Rule } from '../../core/alerts/state.ts'
import { prometheusSentence } from '../../core/alerts/text.ts'
import { runbookOf } from '../runbook.ts'
import { rulesOf } from '../settings.ts'
import { type Target, targetsOf } from '../targets.ts'

export const RULES_FILE = 'holdfast-rules.yml'

export function prometheusRules(platform: Platform): string {
  const rules = rulesOf(platform).map((rule) => ruleFor(platform, rule))
  const interval = durationWord(platform.alerts.everyMs)
  const head = `# Alert rules of ${platform.name}, made by: holdfast generate prometheus`
  return `${head}\n${yaml({ groups: [{ name: `holdfast-${platform.name}`, interval, rules }] })}`
}

/** `no-writer` is `HoldfastNoWriter` there. */
export function alertName(id: string): string {
  const words = id.split('-').map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`)
  return `Holdfast${words.join('')}`
}

function ruleFor(platform: Platform, rule: Rule): object {
  const { id, severity, by, forMs, keepMs, limit, engine, asks, summary, next } = rule
  return {
    alert: alertName(id),
    expr: promql({ kind: 'fold', how: 'max', by, of: asks }),
    ...(forMs === 0 ? {} : { for: durationWord(forMs) }),
    ...(keepMs === 0 ? {} : { keep_firing_for: durationWord(keepMs) }),
    // Prometheus wants rules of one name to differ in a label.
    labels: { severity, rule: id, platform: platform.name, ...(engine === '' ? {} : { engine }) },
    annotations: {
      summary: prometheusSentence(summary, limit),
      next: prometheusSentence(next, limit),
      runbook_url: runbookOf(platform)(id),
    },
  }
}

export interface ScrapeOptions {
  /** `host:port` of Alertmanager; null: none. */
  readonly alertmanager: string | null
}

/** `/metrics` asks for no token, so Prometheus gets none: whoever has the agents' token may move primaries. */
export function prometheusConfig(platform: Platform, { alertmanager }: ScrapeOptions): string {
  const every = durationWord(platform.alerts.everyMs)
  const config = {
    global: { scrape_interval: every, evaluation_interval: every, scrape_timeout: every },
    rule_files: [RULES_FILE],
    ...(alertmanager === null
      ? {}
      : { alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] } }),
    scrape_configs: jobs(targetsOf(platform)),
  }
  const head = `# What Prometheus scrapes of ${platform.name}, made by: holdfast generate scrape`
  return `${head}\n${yaml(config)}`
}

/** One job for each way of asking; the label `job` is the same for all agents whatever signs their certificates. */
function jobs(targets: readonly Target[]): readonly object[] {
  const ways = new Map<string, Target[]>()
  for (const target of targets) {
    const way = [target.job, target.scheme, target.caFile].join(' ')
    const known = ways.get(way)
    if (known === undefined) ways.set(way, [target])
    else known.push(target)
  }
  const used = new Map<string, number>()
  return [...ways.values()].map((alike) => {
    const [{ job, scheme, caFile } = { job: '', scheme: 'http', caFile: null }] = alike
    const count = (used.get(job) ?? 0) + 1
    used.set(job, count)
    return {
      job_name: count === 1 ? job : `${job}-${count}`,
      honor_labels: true,
      scheme,
      ...(caFile === null ? {} : { tls_config: { ca_file: caFile } }),
      static_configs: alike.map(({ instance, labels }) => ({ targets: [instance], labels })),
      ...(count === 1 ? {} : { relabel_configs: [{ target_label: 'job', replacement: job }] }),
    }
  })
}

export function yaml(value: object): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
}
