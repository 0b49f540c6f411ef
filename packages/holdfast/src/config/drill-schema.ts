/**
 * The shape of a drill file, version 1. As `schema.ts` for `holdfast.yaml`: the only place that lists its keys; the
 * JSON Schema and the reference come from here. What a drill may do is bounded here; what it does stands in core/drill.
 */
import { z } from 'zod'
import { block, bytes, choice, duration, list, matching, name, reference, whole } from './schema-parts.ts'

const APPROVER = /^[^\s@]{1,64}(?:@[^\s@]{1,128})?$/
const DAY = /^\d{4}-\d{2}-\d{2}$/

/** A sentence, or a query of several lines. */
function words(right: string) {
  return matching(/^[\s\S]{1,4000}$/, right)
}

function kind<const T extends string>(value: T, description: string) {
  return z.literal(value, { error: value }).describe(description)
}

const PROBES = 'writable, readable, one-primary, members, lag, sql, http or command, as `probe: writable`'

const probe = z
  .discriminatedUnion(
    'probe',
    [
      block({ probe: kind('writable', 'A write through the door was acknowledged just now.') }, 'Writable.'),
      block({ probe: kind('readable', 'A read through the door was answered just now.') }, 'Readable.'),
      block({ probe: kind('one-primary', 'Exactly one member says that it may write.') }, 'One primary.'),
      block(
        {
          probe: kind('members', 'So many members are open or follow.'),
          atLeast: whole(1, 256, 'Members. Default: all.').optional(),
        },
        'Healthy members.',
      ),
      block(
        {
          probe: kind('lag', 'No replica that follows is further behind, by its own counters.'),
          below: bytes('The bound.'),
        },
        'Lag.',
      ),
      block(
        {
          probe: kind('sql', 'A query through the door, in a transaction that only reads (PostgreSQL).'),
          query: words('one SQL query').describe('The query.'),
          expect: words('the first column of the first row, as text').describe('First column of the first row.'),
        },
        'A query of yours.',
      ),
      block(
        {
          probe: kind('http', 'An address answers with this status.'),
          url: matching(/^https?:\/\/\S{1,2000}$/, 'a URL that starts with http:// or https://').describe('Address.'),
          status: whole(100, 599, 'Status. Default: 200.').optional(),
        },
        'An address of yours.',
      ),
      block(
        {
          probe: kind('command', 'A program, run where the drill runs, ends with 0.'),
          run: list(words('a word of the command'), 'words: the program and its arguments').describe('Its words.'),
        },
        'A program of yours.',
      ),
    ],
    { error: PROBES },
  )
  .describe('One thing that is looked at.')

const probes = z.array(probe, { error: 'a list of probes, each starting with "- "' }).max(32, { error: 'at most 32' })

const hypothesis = block(
  {
    statement: words('a sentence').describe('What is believed, in a sentence; stands in the report.').optional(),
    before: probes
      .describe('Must hold before anything is done. Default: writable, one-primary, all members.')
      .optional(),
    during: probes.describe('Looked at while the fault is on; counted, and held against `within`.').optional(),
    after: probes
      .describe('Must hold within `within` after the fault is gone. Default: writable, one-primary, all members.')
      .optional(),
    within: duration('How long recovery may take. Default: 60s.').optional(),
  },
  'What is believed, and how it is seen.',
)

const TARGET_RIGHT = 'primary, replica, { member: name } or { site: name }'
const target = z
  .union(
    [
      z.enum(['primary', 'replica'], { error: TARGET_RIGHT }),
      z.strictObject({ member: reference('a member of the group') }, { error: TARGET_RIGHT }),
      z.strictObject({ site: reference('a site; all members of the group there') }, { error: TARGET_RIGHT }),
    ],
    { error: TARGET_RIGHT },
  )
  .describe('Who suffers it: primary, replica, { member: name } or { site: name }. Default: primary.')

const timer = duration('The dead-man timer: the fault ends by itself after this, at most 10m.')

const fault = z
  .discriminatedUnion(
    'kind',
    [
      block(
        {
          kind: kind('switchover', 'A planned change of primary, without loss.'),
          to: reference('the member that becomes primary').optional(),
        },
        'A switchover.',
      ),
      block(
        {
          kind: kind('kill', "SIGKILL of the engine's main process."),
          target: target.optional(),
        },
        'The engine dies.',
      ),
      block(
        {
          kind: kind('freeze', 'SIGSTOP: it is there and answers nobody.'),
          what: choice(['engine', 'agent', 'host'], 'The engine, its agent alone, or both with the guard.'),
          target: target.optional(),
          for: timer,
        },
        'Something freezes.',
      ),
      block(
        {
          kind: kind('block-store', 'The agent of the target no longer reaches the store.'),
          target: target.optional(),
          for: timer,
        },
        'The store is out of reach.',
      ),
      block(
        {
          kind: kind('block-link', 'The agent of the target no longer reaches the agents of the other members.'),
          target: target.optional(),
          for: timer,
        },
        'Its peers are out of reach.',
      ),
    ],
    { error: 'switchover, kill, freeze, block-store or block-link, as `kind: switchover`' },
  )
  .describe('What is done.')

const blastRadius = block(
  {
    members: whole(1, 16, 'Members that may suffer it. Default: 1.').optional(),
    sites: whole(1, 16, 'Sites that may suffer it. Default: 1.').optional(),
    groups: whole(1, 16, 'Groups that may suffer it, e.g. because they share an agent. Default: 1.').optional(),
  },
  'The most that may suffer; never more than leaves the group able to go on.',
)

const abort = block(
  {
    canaryGap: duration('Longest time without an acknowledged write. Default: 30s.').optional(),
    errorBudget: whole(1, 1_000_000, 'Most writes that may fail. Default: 1000.').optional(),
    lag: bytes('A replica that follows and is further behind aborts. Default: none.').optional(),
  },
  'What ends the drill at once; so does anybody with `holdfast drill abort`.',
)

const objectives = block(
  {
    rto: duration(
      'Longest time without an acknowledged write, as clients see it. Default: that of the service.',
    ).optional(),
    rpo: duration(
      'Of acknowledged writes, at most the last so long may be lost; 0s: none. Default: that of the service.',
    ).optional(),
  },
  'What is promised; never looser than what the services of the group promise. Default: what they promise.',
)

const approval = block(
  {
    before: choice(['start', 'fault'], 'Waits before anything is looked at, or right before the fault.'),
    by: list(matching(APPROVER, 'a name, or name@host, without blanks'), 'names').describe(
      'Who may approve, as `holdfast drill approve` names them; not who runs the drill.',
    ),
    within: duration('How long is waited. Default: 15m.').optional(),
  },
  'Somebody else says yes before it goes on.',
)

const freezeWindow = block(
  {
    from: matching(DAY, 'a day, e.g. 2027-12-20').describe('First day.'),
    to: matching(DAY, 'a day, e.g. 2028-01-03').describe('Last day.'),
    because: words('why').describe('Why; shown.').optional(),
  },
  'Days on which it is never due.',
)

const schedule = block(
  {
    cron: words('five fields: minute hour day month weekday').describe('When, e.g. "0 10 * * 2".'),
    timeZone: matching(/^[A-Za-z0-9_+/-]{1,64}$/, 'a time zone, e.g. Europe/Berlin')
      .describe('Whose clock. Default: UTC.')
      .optional(),
    freezes: list(freezeWindow, 'freeze windows').describe('Days on which it does not run.').optional(),
    overdueAfter: duration('Overdue when it last passed longer ago. Default: 90d.').optional(),
  },
  'When it is due.',
)

export const drillSchema = block(
  {
    version: z.literal(1, { error: '1, the only version there is' }).describe('Version of this format.'),
    drill: name('drill'),
    group: reference('the group'),
    description: words('a sentence').describe('What it is for.').optional(),
    hypothesis: hypothesis.optional(),
    fault,
    blastRadius: blastRadius.optional(),
    abort: abort.optional(),
    objectives: objectives.optional(),
    practice: choice(
      ['auto', 'always', 'never'],
      'On a copy: always, never, or when the fault could lose data. Default: auto.',
    ).optional(),
    approvals: list(approval, 'approvals').describe('Who must say yes, and when.').optional(),
    schedule: schedule.optional(),
  },
  'One drill: a planned fault with a hypothesis.',
)

export type DrillDescription = z.output<typeof drillSchema>
