/** The block `alerts` of `holdfast.yaml`: who is told of what, and where the rules differ from their defaults. */
import { z } from 'zod'
import { SEVERITIES } from '../core/alerts/rules.ts'
import {
  address,
  block,
  choice,
  duration,
  flag,
  list,
  matching,
  name,
  path,
  reference,
  secret,
} from './schema-parts.ts'

const URL_PATTERN = /^https?:\/\/[^\s/?#@]+(?:[/?][^\s#]*)?$/
const MAIL_PATTERN = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$/

function url(description: string) {
  return matching(URL_PATTERN, 'a URL without user and password, e.g. https://hooks.example.com/holdfast').describe(
    description,
  )
}

function mail(description: string) {
  return matching(MAIL_PATTERN, 'a mail address, e.g. ops@example.com').describe(description)
}

function kind<const K extends string>(value: K, description: string) {
  return z.literal(value, { error: 'slack, webhook, pagerduty or mail' }).describe(description)
}

const slack = block(
  {
    name: name('channel'),
    kind: kind('slack', 'Slack, or what understands its incoming webhooks (Mattermost, Rocket.Chat, Discord).'),
    url: secret('The address of the incoming webhook; whoever knows it can post.'),
  },
  'A chat room.',
)

const webhook = block(
  {
    name: name('channel'),
    kind: kind('webhook', 'JSON by POST to an address of your own.'),
    url: url('Where it is sent.'),
    secret: secret('Signs each message (HMAC-SHA256), so that the receiver can tell it is ours.').optional(),
  },
  'A program of your own.',
)

const pagerduty = block(
  {
    name: name('channel'),
    kind: kind('pagerduty', 'PagerDuty, Events API version 2, or what understands it.'),
    key: secret('The integration key (routing key).'),
    url: url('Default: https://events.pagerduty.com/v2/enqueue.').optional(),
  },
  'Somebody on duty.',
)

const smtp = block(
  {
    name: name('channel'),
    kind: kind('mail', 'Mail by SMTP.'),
    server: address('The mail server.'),
    tls: choice(
      ['starttls', 'implicit', 'none'],
      'starttls: required after connecting; implicit: from the first byte; none: only on this machine. ' +
        'Default: starttls.',
    ).optional(),
    user: matching(/^[^\s]{1,256}$/, 'the name of the account')
      .describe('Account at the mail server.')
      .optional(),
    password: secret('Its password.').optional(),
    from: mail('Whom it is from.'),
    to: list(mail('Whom it is for.'), 'mail addresses').describe('Whom it is for.'),
  },
  'A mailbox.',
)

const channel = z
  .discriminatedUnion('kind', [slack, webhook, pagerduty, smtp], { error: 'slack, webhook, pagerduty or mail' })
  .describe('Who is told.')

const names = (description: string) => list(reference('a channel'), 'channels').describe(description)

const override = block(
  {
    enabled: flag('false: never. Default: true.').optional(),
    severity: choice(SEVERITIES, 'How bad it is.').optional(),
    for: duration('How long it must hold before it fires.').optional(),
    limit: z
      .union([z.number(), z.string().max(16)], { error: 'a share such as 0.8, or a duration such as 21d' })
      .describe('What it is compared with: a share (0.8) or a duration (21d), as the rule says.')
      .optional(),
  },
  'Where one rule differs from its default.',
)

export const alertsShape = block(
  {
    channels: list(channel, 'channels').describe('Who is told.').optional(),
    routes: block(
      {
        critical: names('Default: every channel.').optional(),
        warning: names('Default: every channel.').optional(),
        info: names('Default: none.').optional(),
      },
      'Which channels hear of which severity.',
    ).optional(),
    escalation: block(
      {
        after: duration('How long a critical alert may stand unacknowledged.'),
        to: names('Who hears of it then, too.'),
      },
      'When nobody takes a critical alert.',
    ).optional(),
    every: duration('Time between two looks at all agents and routers. Default: 5s.').optional(),
    groupWait: duration('What fires within this time is told together. Default: 10s.').optional(),
    repeat: duration('What still fires unacknowledged is told again after this. Default: 4h.').optional(),
    runBy: choice(
      ['server', 'process'],
      'Who looks and tells: the server that leads, or `holdfast alerts run`. Default: the server, if one is described.',
    ).optional(),
    dir: path(
      'Folder of what was told, silences and acknowledgements. Default: holdfast-data/alerts beside this file.',
    ).optional(),
    runbook: url('Where your copy of the runbook stands; messages link to it.').optional(),
    rules: z
      .record(matching(/^[a-z][a-z-]{0,39}$/, 'the id of a rule, as `holdfast alerts rules` lists them'), override, {
        error: 'rules, each "id: { ... }"',
      })
      .describe('Where rules differ from their defaults.')
      .optional(),
  },
  'Who is told when something needs a person.',
)

export type DescribedAlerts = z.output<typeof alertsShape>
