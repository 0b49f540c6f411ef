/** Draws a group that another program leads: its members, what that program and the engines say, what is wrong. */
import { bytesText, durationText } from '../config/quantities.ts'
import { wrapped } from '../config/report.ts'
import type { Concern } from '../core/supervision/model.ts'
import type { Paint } from './paint.ts'
import type { GroupView, MemberView } from './status-view.ts'
import type { SupervisedView } from './supervised-facts.ts'
import { tableLines } from './table.ts'

const COLUMNS = [
  { title: 'MEMBER', widthMax: 22 },
  { title: 'SITE', widthMax: 10 },
  { title: 'ROLE' },
  { title: 'STATE', widthMax: 16 },
  { title: 'TL', align: 'right' },
  { title: 'LAG', align: 'right' },
] as const
const SHARD_COLUMN = { title: 'SLOTS', widthMax: 12 } as const
const ROLE_AT = 2
const STATE_AT = 3
const WELL = new Set(['running', 'streaming', 'up'])
/** Facts beyond these are for machines. */
const FACTS_MAX = 4

export function supervisedLines(view: GroupView, supervised: SupervisedView, paint: Paint): readonly string[] {
  const sharded = view.members.some((member) => member.shard !== undefined)
  const columns = sharded ? [...COLUMNS, SHARD_COLUMN] : COLUMNS
  const rows = view.members.map((member) => [...cellsOf(member), ...(sharded ? [member.shard ?? '-'] : [])])
  const table = tableLines(columns, rows, (text, row, column) => painted(text, view.members[row], { column, paint }))
  const [head = '', ...body] = table
  const { safe, because } = view.verdict
  const verdict = wrapped(because, `  safe now: ${safe ? 'yes' : 'no'}, `)
  const colour = safe ? paint.good('yes') : paint.bad('no')
  return [
    ...headLines(view, supervised, paint),
    `  ${paint.dim(head)}`,
    ...body.map((line) => `  ${line}`),
    ...view.members.flatMap(({ member, because: why }) => (why === '' ? [] : wrapped(why, `  ${member}: `))),
    ...supervised.concerns.flatMap((concern) => concernLines(concern)),
    (verdict[0] ?? '').replace(/: (yes|no),/, `: ${colour},`),
    ...verdict.slice(1),
  ]
}

function headLines({ group }: GroupView, supervised: SupervisedView, paint: Paint): readonly string[] {
  const { by, manager, called, epoch, paused, moving, heard, asked, facts } = supervised
  const words = [
    `supervised by ${by}`,
    ...(called === '' || called === group ? [] : [`there called ${called}`]),
    ...(paused ? ['PAUSED'] : []),
    ...(epoch === null ? [] : [`epoch ${epoch}`]),
    ...(moving === null ? [] : [moving]),
  ]
  const told = Object.entries(facts).slice(0, FACTS_MAX)
  const manages = [manager, `${heard} of ${asked} answer`, ...told.map(([name, value]) => factText(name, value))]
  const [first = '', ...rest] = wrapped(words.join(', '), `${group}  `)
  return [first.replace(group, paint.bold(group)), ...rest, ...wrapped(manages.join(', '), '  manager: ')]
}

/** `downAfterMs 5000` -> `down after 5 s`. */
export function factText(name: string, value: string | number | boolean | null): string {
  const words = name
    .replace(/(Ms|Bytes|BytesMax)$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
  if (typeof value === 'boolean') return `${words} ${value ? 'yes' : 'no'}`
  if (typeof value === 'number' && name.endsWith('Ms')) return `${words} ${durationText(value)}`
  if (typeof value === 'number' && /Bytes(Max)?$/.test(name)) return `${words} ${bytesText(value)}`
  return `${words} ${value ?? 'unknown'}`
}

export function concernLines(
  { code, grave, detail }: Concern,
  lead = grave ? '  wrong: ' : '  note: ',
): readonly string[] {
  const facts = Object.entries(detail).map(([name, value]) => factText(name, value))
  return wrapped([code.replaceAll('-', ' '), ...facts].join(', '), lead)
}

function cellsOf(member: MemberView): readonly string[] {
  return [
    member.member,
    member.site,
    member.role,
    member.state,
    member.timeline === null ? '-' : String(member.timeline),
    member.lagBytes === null ? '-' : bytesText(member.lagBytes),
  ]
}

function painted(
  text: string,
  member: MemberView | undefined,
  at: { readonly column: number; readonly paint: Paint },
): string {
  const { column, paint } = at
  if (column === ROLE_AT && text.startsWith('primary')) return paint.good(text)
  return column === STATE_AT && member !== undefined && !WELL.has(member.state) ? paint.warn(text) : text
}
