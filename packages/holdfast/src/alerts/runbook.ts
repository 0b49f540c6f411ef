/** Where the section of a rule stands: in your own copy of the runbook, or in the page that comes with Holdfast. */
import type { Platform } from '../config/platform.ts'

export function runbookOf(platform: Platform): (rule: string) => string {
  const base = platform.alerts.runbook ?? 'docs/operate/runbook.md'
  return (rule) => `${base}#${rule}`
}
