/** Draws what `status-view.ts` put together, at most 80 columns wide for names of usual length. */
import { bytesText, durationText } from '../config/quantities.ts'
import { wrapped } from '../config/report.ts'
import type { Paint } from './paint.ts'
import type { AgentView, GroupView, MemberView, PlatformView, ServiceView } from './status-view.ts'
import { supervisedLines } from './supervised-screen.ts'
import { tableLines } from './table.ts'

const COLUMNS = [
  { title: 'MEMBER', widthMax: 18 },
  { title: 'SITE', widthMax: 10 },
  { title: 'ROLE' },
  { title: 'STATE', widthMax: 16 },
  { title: 'TL', align: 'right' },
  { title: 'LAG', align: 'right' },
  { title: 'WRITABLE', align: 'right' },
] as const

export function statusLines(view: PlatformView, paint: Paint): readonly string[] {
  const services = view.services.flatMap((one) => serviceLines(one, paint))
  return [
    ...view.groups.flatMap((group) => [...groupLines(group, paint), '']),
    ...(services.length === 0 ? [] : [...services, '']),
    ...troubleLines(view.agents, paint),
  ]
}

function serviceLines({ service, home, comeHome, at, groups }: ServiceView, paint: Paint): readonly string[] {
  const each = groups.map(({ group, site }) => `${group} ${site === null ? 'has no primary' : `at ${site}`}`)
  if (at === null)
    return wrapped(`${paint.warn('not at one site')}: ${each.join(', ')}; home is ${home}`, `service ${service}: `)
  if (at === home) return [`service ${service}: at ${at}, its home`]
  const back = {
    ask: `it goes there on a person's word: holdfast move ${service} --home`,
    'when-healthy': 'it goes there by itself once that is whole',
    never: 'it stays',
  }[comeHome]
  return wrapped(`at ${at}; home is ${home}, ${back}`, `service ${service}: `)
}

function groupLines(view: GroupView, paint: Paint): readonly string[] {
  if (view.supervised !== null) return supervisedLines(view, view.supervised, paint)
  const { record, verdict } = view
  const facts =
    record === null
      ? view.observed
        ? 'only observed'
        : 'no record seen'
      : `epoch ${record.epoch}, holder ${record.holder ?? 'none'}, ${record.phase}`
  const rows = view.members.map(cellsOf)
  const table = tableLines(COLUMNS, rows, (text, row, column) => painted(text, view.members[row], column, paint))
  const [head = '', ...body] = table
  const safe = verdict.safe ? paint.good('yes') : paint.bad('no')
  const because = wrapped(verdict.because, `  safe now: ${verdict.safe ? 'yes' : 'no'}, `)
  return [
    `${paint.bold(view.group)}  ${facts}`,
    `  ${paint.dim(head)}`,
    ...body.map((line) => `  ${line}`),
    ...view.members.flatMap(({ member, because }) => (because === '' ? [] : wrapped(because, `  ${member}: `))),
    ...eligibleLines(record),
    (because[0] ?? '').replace(/: (yes|no),/, `: ${safe},`),
    ...because.slice(1),
  ]
}

function eligibleLines(record: GroupView['record']): readonly string[] {
  if (record === null || record.eligible.length === 0) return []
  const confirm = record.need === 0 ? '' : `; ${record.need} of them must confirm a write`
  return wrapped(`${record.eligible.join(', ')}${confirm}`, '  eligible: ')
}

function cellsOf(member: MemberView): readonly string[] {
  return [
    member.member,
    member.site,
    member.role,
    member.state,
    member.timeline === null ? '-' : String(member.timeline),
    member.lagBytes === null ? '-' : bytesText(member.lagBytes),
    member.writableForMs > 0 ? durationText(member.writableForMs) : '-',
  ]
}

function painted(text: string, member: MemberView | undefined, column: number, paint: Paint): string {
  const title = COLUMNS[column]?.title
  if (title === 'ROLE' && text.startsWith('primary')) return paint.good(text)
  const fine = member !== undefined && (member.state === 'open' || member.state === 'streaming')
  return title === 'STATE' && !fine ? paint.warn(text) : text
}

function troubleLines(agents: readonly AgentView[], paint: Paint): readonly string[] {
  return agents.flatMap(({ agent, status, because }) => {
    if (status === null) return wrapped(because, `${paint.warn('agent')} ${agent}: `)
    const guard = status.guard.alive ? [] : [`${paint.warn('agent')} ${agent}: its guard is not running`]
    const store = storeTrouble(status).flatMap((text) => wrapped(text, `${paint.warn('agent')} ${agent}: `))
    // A loop this old answers from what it knew then.
    return status.loopAgeMs < LOOP_AGE_WARN_MS
      ? [...guard, ...store]
      : [...guard, ...store, `${paint.warn('agent')} ${agent}: its loop last ran ${durationText(status.loopAgeMs)} ago`]
  })
}

/** Why it does not reach the store, in the agent's own words. */
function storeTrouble({ store, reasons }: NonNullable<AgentView['status']>): readonly string[] {
  if (store.reachable) return []
  const reason = reasons.findLast(({ code }) => code === 'HF_STORE_NONSENSE' || code === 'HF_STORE_UNREACHABLE')
  if (reason === undefined) return []
  return [`does not reach its store (${reason.code}): ${String(reason.detail.because)}`]
}

const LOOP_AGE_WARN_MS = 2_000
