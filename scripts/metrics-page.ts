/**
 * Writes docs/reference/metrics.md from the table in core/metric-families.ts. `--check` writes nothing and fails when
 * the page is not what it would write; a test does the same.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type MetricFamily, metricFamilies } from '../packages/holdfast/src/core/metric-families.ts'

export const PAGE = join(import.meta.dirname, '..', 'docs', 'reference', 'metrics.md')
const OPENING = `# Metrics

Agents and servers answer \`/metrics\` at the address they listen on, without a token; routers where the description
says \`metrics:\`. The format is that of Prometheus. Nothing is asked of an engine, a store or a disk for an answer:
it is read from state, so it comes as long as the process turns. Label values are names from the description and fixed
words.

Made from \`packages/holdfast/src/core/metric-families.ts\` by \`npm run metrics-page\`. What to
scrape, rules and a dashboard: [monitoring](../operate/monitoring.md).
`

export function metricsPage(families: ReadonlyMap<string, MetricFamily>): string {
  const of = (source: MetricFamily['source']): string => {
    const rows = [...families]
      .filter(([, family]) => family.source === source)
      .map(([name, { type, labels, unit, help }]) => {
        const words = labels.map((label) => `\`${label}\``).join(', ')
        return `| \`${name}\` | ${type} | ${words} | ${unit} | ${help} |`
      })
    return ['| Name | Type | Labels | Unit | Meaning |', '|---|---|---|---|---|', ...rows, ''].join('\n')
  }
  return `${OPENING}\n## Agents\n\n${of('agent')}\n## Routers\n\n${of('router')}\n## Servers\n\n${of('server')}`
}

function main(): number {
  const page = metricsPage(metricFamilies())
  if (existsSync(PAGE) && readFileSync(PAGE, 'utf8') === page) return 0
  if (process.argv.includes('--check')) {
    console.error('docs/reference/metrics.md is not what the table says; run: npm run metrics-page')
    return 1
  }
  writeFileSync(PAGE, page)
  return 0
}

if (import.meta.main) process.exitCode = main()
