/** `holdfast generate`: files for Prometheus, Alertmanager and Grafana that fit one description. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Platform } from '../config/platform.ts'
import { ADDRESS_PATTERN } from '../config/quantities.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, commonOf, fail, platformFor, type Shell, withFile, withOutput } from './shell.ts'

const KINDS = ['prometheus', 'scrape', 'alertmanager', 'grafana'] as const
type Kind = (typeof KINDS)[number]

const FILES: Readonly<Record<Kind, string>> = {
  prometheus: 'holdfast-rules.yml',
  scrape: 'prometheus.yml',
  alertmanager: 'alertmanager.yml',
  grafana: 'holdfast-dashboard.json',
}

const HELP = `
  prometheus    alert rules, the same as those of: holdfast alerts run
  scrape        a prometheus.yml that scrapes every agent and router
  alertmanager  channels, routes, grouping and inhibition as an alertmanager.yml
  grafana       a dashboard

No secret is read and none is written: Alertmanager reads them from their files.

Examples:
  holdfast generate prometheus > /etc/prometheus/holdfast-rules.yml
  holdfast generate scrape --alertmanager 127.0.0.1:9093 --out /etc/prometheus`

export function registerGenerate(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('generate')))
    .summary('files for Prometheus, Alertmanager and Grafana')
    .description('Makes files for Prometheus, Alertmanager and Grafana that fit the description.')
    .argument('<what>', KINDS.join(', '))
    .option('--out <folder>', 'write a file there instead of printing it')
    .option('--alertmanager <address>', 'host:port to which Prometheus sends alerts (scrape)')
    .addHelpText('after', HELP)
    .action(async (what: string, options: Record<string, unknown>) => {
      const common = commonOf(shell, options)
      shell.finish(await generate(common, what, options))
    })
}

async function generate(common: Common, what: string, options: Record<string, unknown>): Promise<ExitCode> {
  const kind = KINDS.find((one) => one === what)
  if (kind === undefined) {
    fail(common, 'HF_BODY_INVALID', `${what} is nothing that can be generated`, `one of ${KINDS.join(', ')}`)
    return EXIT.usage
  }
  const { alertmanager, out } = options
  if (typeof alertmanager === 'string' && !ADDRESS_PATTERN.test(alertmanager)) {
    fail(common, 'HF_BODY_INVALID', `${alertmanager} is no address`, 'host:port, e.g. 127.0.0.1:9093')
    return EXIT.usage
  }
  const platform = platformFor(common, 'none')
  if (platform === null) return EXIT.usage
  const text = await textOf(kind, platform, typeof alertmanager === 'string' ? alertmanager : null)
  if (typeof out !== 'string') {
    common.terminal.out(text)
    return EXIT.ok
  }
  const path = join(out, FILES[kind])
  try {
    mkdirSync(out, { recursive: true })
    writeFileSync(path, text)
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error)
    fail(
      common,
      'HF_FILE_UNWRITABLE',
      `cannot write ${path}: ${because}`,
      'give this user the right to, or another --out',
    )
    return EXIT.failed
  }
  common.terminal.out(common.output === 'json' ? `${JSON.stringify({ ok: true, path })}\n` : `wrote ${path}\n`)
  return EXIT.ok
}

async function textOf(kind: Kind, platform: Platform, alertmanager: string | null): Promise<string> {
  if (kind === 'grafana') {
    const { grafanaDashboard } = await import('../alerts/generate/grafana.ts')
    return `${JSON.stringify(grafanaDashboard(platform), null, 2)}\n`
  }
  if (kind === 'alertmanager') return (await import('../alerts/generate/alertmanager.ts')).alertmanagerConfig(platform)
  const { prometheusConfig, prometheusRules } = await import('../alerts/generate/prometheus.ts')
  return kind === 'prometheus' ? prometheusRules(platform) : prometheusConfig(platform, { alertmanager })
}
