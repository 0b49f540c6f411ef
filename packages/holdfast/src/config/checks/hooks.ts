/** Hooks: each does one thing, within a bound, and gives no secret away. */
import type { Draft, Findings } from '../draft.ts'
import { shown } from '../mistake.ts'
import { isLoopback } from '../quantities.ts'
import { unique } from './names.ts'

/** A move waits for its hooks; what takes longer is work of another kind. */
const DEADLINE_MAX_MS = 600_000

export function checkHooks(root: Draft, findings: Findings): void {
  for (const one of root.list('services')) {
    const groups = one.list('groups').flatMap((entry) => entry.text('group') ?? [])
    unique(one.list('hooks'), 'hook', findings)
    for (const hook of one.list('hooks')) {
      oneAction(hook, findings)
      if (hook.get('undo').present) oneAction(hook.get('undo'), findings)
      bounded(hook, findings)
      const group = hook.text('group')
      if (group === null || groups.includes(group)) continue
      const what = `\`${shown(group)}\` is no group of this service`
      findings.mistakes.push(hook.wrong('group', what, `one of ${groups.map(shown).join(', ')}, or no \`group\``))
    }
  }
}

function oneAction(draft: Draft, findings: Findings): void {
  const given = (['run', 'http'] as const).filter((key) => draft.get(key).present)
  const right = '`run: [command, word, ..]` or `http: { url: .. }`'
  if (given.length === 0 && typeof draft.value === 'object') {
    findings.mistakes.push({ path: draft.path, at: 'key', what: 'it says not what is to be done', right })
  }
  if (given.length === 2) findings.mistakes.push(draft.wrong('http', 'it names both `run` and `http`', right))
  if (draft.get('env').present && !draft.get('run').present) {
    findings.mistakes.push(draft.wrong('env', 'an HTTP call has no environment', '`env` beside `run`'))
  }
  const http = draft.get('http')
  const url = http.text('url') ?? ''
  const host = /^http:\/\/(\[[^\]]*\]|[^:/]*)/.exec(url)?.[1]?.replace(/^\[|\]$/g, '')
  if (host === undefined || isLoopback(host) || !http.get('token').present) return
  findings.mistakes.push(http.wrong('url', 'its token would be sent readable over a network', 'https://..'))
}

function bounded(hook: Draft, findings: Findings): void {
  const ms = hook.durationMs('deadline')
  if (ms === null || (ms > 0 && ms <= DEADLINE_MAX_MS)) return
  findings.mistakes.push(hook.wrong('deadline', 'a move cannot wait like that', 'more than 0, and at most 10m'))
}
