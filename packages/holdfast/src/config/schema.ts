/**
 * The shape of `holdfast.yaml`, version 1. The only place that lists its keys: validation, the JSON Schema for editors
 * and the reference all come from here. Each `error` text says what would be right; `shape.ts` says what is wrong.
 * Rules that look at more than one value live in `checks/`.
 */
import { z } from 'zod'
import { alertsShape } from './schema-alerts.ts'
import {
  address,
  block,
  bytes,
  choice,
  duration,
  flag,
  list,
  matching,
  name,
  path,
  reference,
  secret,
  TEXT_MAX,
  text,
  variable,
  whole,
} from './schema-parts.ts'
import { supervisedGroup } from './schema-supervised.ts'

const tls = block(
  {
    cert: path('PEM file with the certificate (and its chain).'),
    key: path('PEM file with the private key; must not be readable by others.'),
    ca: path('PEM file with the authority that signed the certificates of the others.'),
  },
  'TLS: own certificate, own key, and the authority to trust.',
)

const site = block(
  {
    name: name('site'),
    witness: flag('A site without data; it only gives the store its third voice.').optional(),
  },
  'A datacenter or zone that can fail as a whole.',
)

const embeddedStore = block(
  {
    kind: z.literal('embedded', { error: 'embedded or etcd' }).describe('The store that comes with Holdfast.'),
    site: reference('the site it stands at').optional(),
    listen: address('Where the store listens and the agents reach it.'),
    dir: path('Folder of its data. Default: holdfast-data/store beside this file.').optional(),
    token: secret('Shared by the store and the agents.'),
    tls: tls.optional(),
  },
  'One store process of our own. Simple; automatic failover stops while it is away.',
)

const etcdStore = block(
  {
    kind: z.literal('etcd', { error: 'embedded or etcd' }).describe('An etcd cluster of your own.'),
    endpoints: list(
      matching(/^https?:\/\/[^\s/?#@]+\/?$/, 'a URL without path, e.g. https://10.0.0.11:2379'),
      'URLs, e.g. https://10.0.0.11:2379',
    ).describe('Client URLs of the etcd members.'),
    username: matching(/^[^\s:]{1,128}$/, 'the name of the etcd user')
      .describe('User of etcd.')
      .optional(),
    password: secret('Password of the etcd user.').optional(),
    tls: block(
      {
        ca: path("PEM file of the authority that signed etcd's certificates."),
        cert: path('PEM file of our client certificate.').optional(),
        key: path('PEM file of its key.').optional(),
      },
      'TLS towards etcd.',
    ).optional(),
    prefix: matching(/^\/?[A-Za-z0-9._/-]{1,128}$/, 'a key prefix, e.g. /holdfast/main/')
      .describe('Prefix of every key. Default: /holdfast/<platform>/.')
      .optional(),
  },
  'An etcd cluster.',
)

const store = z
  .discriminatedUnion('kind', [embeddedStore, etcdStore], { error: 'embedded or etcd, as `kind: embedded`' })
  .describe('Holds the leases.')

const watchdog = block(
  {
    device: path('Its device, e.g. /dev/watchdog.'),
    required: flag('Without it no member here becomes primary. Default: false.').optional(),
  },
  'Resets the host when the guard itself is gone; its time-out is set where it comes from (module, firmware).',
)

const DRILLS = 'Whether drills may do faults to what stands here: kill, freeze, block. Default: refused.'

const agent = block(
  {
    name: name('agent'),
    site: reference('the site it stands at'),
    listen: address('Where it listens, and where the others reach it.'),
    dir: path('Its own folder. Default: holdfast-data/agents/<name> beside this file.').optional(),
    tls: tls.optional(),
    watchdog: watchdog.optional(),
    drills: choice(['allowed', 'refused'], DRILLS).optional(),
  },
  'The process that stands beside members on one host.',
)

const agentDefaults = block(
  {
    token: secret('Shared by all agents, routers and tools of the platform.'),
    tls: tls.optional(),
    drills: choice(['allowed', 'refused'], DRILLS).optional(),
  },
  'The token of the platform, and what every agent has unless it says otherwise.',
)

const timing = block(
  {
    ttl: duration('Length of the lease.').optional(),
    beat: duration('Time between two renewals.').optional(),
    request: duration('Deadline of one attempt at the store or at a peer.').optional(),
    fence: duration('Worst case of a fence, from its start to the last process gone.').optional(),
    margin: duration('Allowance for clock rates and timers.').optional(),
    promote: duration('Deadline of a promotion.').optional(),
    stop: duration('Deadline of a clean stop.').optional(),
    engineSilent: duration('An engine that answers nothing for this long counts as dead.').optional(),
    reportMaxAge: duration('A report of a peer older than this says nothing.').optional(),
  },
  'Overrides of the profile: beat + 2 * request + fence + margin must stay within ttl.',
)

const REPLICATION_RIGHT =
  'sync, { quorum: n }, or { async: { lossBytesMax: 16MiB, lossTimeMax: 10s } }: async needs the loss you accept'

const replication = z
  .union(
    [
      z.literal('sync', { error: REPLICATION_RIGHT }),
      z.strictObject(
        { quorum: whole(1, 16, 'Standbys that must have a write before it is acknowledged.') },
        { error: REPLICATION_RIGHT },
      ),
      z.strictObject(
        {
          async: block(
            {
              lossBytesMax: bytes('A replica further behind than this does not take over.'),
              lossTimeMax: duration('A replica longer behind than this does not take over.'),
            },
            'Acknowledged at once; the bound of what a failover may lose.',
          ),
        },
        { error: REPLICATION_RIGHT },
      ),
    ],
    { error: REPLICATION_RIGHT },
  )
  .describe('When a write counts as safe: sync, { quorum: n }, or { async: { lossBytesMax, lossTimeMax } }.')

const canary = (where: string) =>
  block(
    {
      perSecond: whole(
        0,
        4,
        `Small records the server writes ${where} as an application would, to measure what clients see; 0: none.`,
      ),
    },
    'The canary: numbered, signed records through the door of applications; needs `application`.',
  )

const member = block(
  {
    name: name('member'),
    agent: reference('the agent beside it'),
    listen: address('Where the engine listens, and where the others reach it.'),
    dataDir: path('Its data folder.'),
    priority: whole(0, 1_000, 'Higher is preferred when positions are equal. Default: 100.').optional(),
    noFailover: flag('Never becomes primary by itself.').optional(),
  },
  'One engine process with its data.',
)

const parameter = z.union([z.string().max(TEXT_MAX), z.number(), z.boolean()], {
  error: 'text, a number, true or false',
})

const managedGroup = block(
  {
    name: name('group'),
    engine: choice(['postgres', 'redis'], 'The engine; `redis` is Valkey, too.'),
    version: whole(1, 99, 'Major version. Default: the newest that is found.').optional(),
    binDir: path("Folder of the engine's programs. Default: searched for.").optional(),
    profile: choice(
      ['fast', 'normal', 'wan'],
      'Lease length: fast 1 s, normal 3 s, wan 10 s. Default: normal.',
    ).optional(),
    timing: timing.optional(),
    failover: choice(
      ['automatic', 'manual', 'observe'],
      'automatic acts; manual waits for an operator; observe decides and explains only. Default: automatic.',
    ).optional(),
    whenAlone: choice(
      ['block', 'continue'],
      'With no standby to confirm: block writes, or continue alone (then nobody can take over). Default: block.',
    ).optional(),
    antiFlap: block(
      {
        free: whole(1, 1_000, 'Automatic promotions within the window before each next one waits longer. Default: 3.'),
        window: duration('Length of the window. Default: 10m.'),
      },
      'Keeps a group from being moved to and fro.',
    ).optional(),
    replication,
    members: list(member, 'members'),
    parameters: z
      .record(
        matching(/^[a-z][a-z0-9_.-]{0,62}$/, 'the name of an engine setting: small letters, digits, "_", "-" and "."'),
        parameter,
        { error: 'engine settings, each "name: value"' },
      )
      .describe('Engine settings; those Holdfast owns are refused.')
      .optional(),
    application: block(
      {
        user: matching(/^[a-z_][a-z0-9_]{0,62}$/, 'a role name: small letters, digits and "_"').describe('Its role.'),
        database: matching(/^[a-z_][a-z0-9_]{0,62}$/, 'a database name: small letters, digits and "_"')
          .describe('Its database. Needed with postgres; redis has none to name.')
          .optional(),
        password: secret('Its password.'),
      },
      'A role and a database made when the group is created.',
    ).optional(),
    secrets: block(
      { superuser: secret('Password of the superuser.'), replication: secret('Password of the replication role.') },
      'Passwords of the roles Holdfast makes and uses. Needed unless the group is only observed.',
    ).optional(),
    observer: block(
      {
        user: matching(/^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/, 'a role name: letters, digits, "_", "-" and "$"').describe(
          'A role that exists in the engine; it needs no more than membership in pg_monitor.',
        ),
        password: secret('Its password.'),
      },
      'How an existing group is looked at; needed with `failover: observe`.',
    ).optional(),
    canary: canary('to this group').optional(),
    tls: tls.optional(),
  },
  'Members of one engine that replicate one data set.',
)

const group = z.union([managedGroup, supervisedGroup], {
  error: `a block with the keys ${Object.keys(managedGroup.shape).join(', ')}; or name, supervised`,
})

const door = block(
  {
    group: reference('the group it leads to'),
    listen: address('Where applications connect to write.'),
    read: block(
      {
        listen: address('Where applications connect to read.'),
        lagBytesMax: bytes('Replicas further behind than this are left out.'),
      },
      'A second door, to replicas.',
    ).optional(),
  },
  'A door to one group.',
)

const router = block(
  {
    name: name('router'),
    site: reference('the site it stands at'),
    doors: list(door, 'doors'),
    hold: duration('How long a new connection may wait for a primary. Default: 10s.').optional(),
    metrics: address('Where it answers /metrics. Default: nowhere.').optional(),
    relay: z
      .enum(['router', 'haproxy'], { error: 'router or haproxy' })
      .describe(
        'Who carries the bytes to the primary: the router itself, or an HAProxy that it starts. Default: router.',
      )
      .optional(),
  },
  'Leads applications to the primary.',
)

const WORDS_MAX = 32

const hookAction = {
  run: z
    .array(text('a word of the command'), {
      error: 'the command as a list of words, e.g. ["/usr/local/bin/dns", "north"]',
    })
    .min(1, { error: 'the command as a list of words, e.g. ["/usr/local/bin/dns", "north"]' })
    .max(WORDS_MAX, { error: `at most ${WORDS_MAX} words` })
    .describe('A command and its words; no shell reads them. It runs in the folder of this file.')
    .optional(),
  env: list(variable('Name of an environment variable.'), 'names of environment variables')
    .describe('What the command gets of the environment, besides PATH, HOME, LANG, LC_*, TZ, TMPDIR and USER.')
    .optional(),
  http: block(
    {
      url: matching(/^https?:\/\/[^\s/?#@]+(\/[^\s]*)?$/, 'a URL, e.g. https://dns.example/records/shop').describe(
        'Whom to ask.',
      ),
      method: choice(['POST', 'PUT', 'PATCH', 'DELETE', 'GET'], 'Default: POST.').optional(),
      body: text('the text to send').describe('What to send, as JSON text. Default: the move as JSON.').optional(),
      token: secret('Sent as `Authorization: Bearer`.').optional(),
    },
    'An HTTP call; an answer from 200 to 299 is success.',
  ).optional(),
}

const hook = block(
  {
    name: name('hook'),
    when: choice(['before', 'after'], 'Before or after that group moves, or the whole move.'),
    group: reference('the group it belongs to').describe('Absent: it belongs to the whole move.').optional(),
    ...hookAction,
    undo: block(hookAction, 'What takes it back when the move is undone. Default: nothing to take back.').optional(),
    deadline: duration('After this it is killed, and has failed.'),
    onFailure: choice(
      ['undo', 'stop', 'go-on'],
      'undo takes the move back; stop waits for a person; go-on does not mind. Default: undo.',
    ).optional(),
  },
  'Something Holdfast does not own: DNS, feature flags, application tiers.',
)

/** One plan is one record of the store, and each group and hook is some lines of it. */
const MOVED_MAX = 16

const business = block(
  {
    name: name('service'),
    groups: list(
      block(
        {
          group: reference('a group'),
          after: list(reference('another group of this service'), 'names of groups')
            .describe('Groups of this service that must be up before it.')
            .optional(),
        },
        'A group of the service, and what must be up before it.',
      ),
      'groups',
    ).max(MOVED_MAX, { error: `at most ${MOVED_MAX} groups` }),
    objectives: block(
      {
        rto: duration('The service is back within this after a site is lost.'),
        rpo: duration('At most this much of what was acknowledged may be lost; 0s: nothing.'),
      },
      'What is promised.',
    ).optional(),
    home: reference('the site it should be at'),
    comeHome: choice(
      ['never', 'when-healthy', 'ask'],
      'After it had to leave home: stay, go back as soon as home is whole again, or wait for a person. Default: ask.',
    ).optional(),
    siteLoss: choice(
      ['automatic', 'ask'],
      'When its site is lost: all groups follow to one other site, or a person decides. Default: ask.',
    ).optional(),
    degraded: block(
      {
        reads: choice(
          ['continue', 'stop'],
          'Without a primary: replicas are read on, with a known age, or not any more. Default: continue.',
        ).optional(),
        stalenessMax: duration('Data older than this is not read. Default: 5m.').optional(),
        writes: choice(
          ['refuse', 'wait'],
          'Without a primary: after `refuseAfter` whoever comes is refused at once; or each waits the `hold` of the ' +
            'router. Default: refuse.',
        ).optional(),
        refuseAfter: duration(
          'New connections wait for as long as a failover may take, before that. Default: the `hold` of the router.',
        ).optional(),
      },
      'What the doors do while no primary can be had.',
    ).optional(),
    hooks: list(hook, 'hooks')
      .max(MOVED_MAX, { error: `at most ${MOVED_MAX} hooks` })
      .optional(),
  },
  'What a business depends on: groups that move together, in order.',
)

const accountGrant = block(
  {
    is: text('what the claim contains').describe('Value the claim must hold.'),
    role: choice(['viewer', 'operator', 'approver', 'auditor', 'admin'], 'Role it gives.'),
    groups: list(reference('a group'), 'names of groups').describe('Only over these groups.').optional(),
  },
  'What a value of the claim gives.',
)

const oidc = block(
  {
    issuer: matching(/^https?:\/\/[^\s?#@]+$/, 'a URL, e.g. https://login.example.org').describe(
      'Address of the identity provider; the rest is discovered there.',
    ),
    clientId: text('the id the provider gave').describe('Our id at the provider.'),
    clientSecret: secret('Our secret at the provider.'),
    label: text('a few words').describe('Words on the log-in button. Default: the host of the issuer.').optional(),
    claim: text('the name of a claim').describe('Claim with the values. Default: groups.').optional(),
    grants: list(accountGrant, 'grants').describe('Who gets which role; who gets none may not log in.'),
  },
  'Log in at an identity provider (OpenID Connect).',
)

const server = block(
  {
    listen: address('Where the API and the dashboard answer.'),
    dir: path('Its own folder. Default: holdfast-data/server beside this file.').optional(),
    publicUrl: matching(/^https?:\/\/[^\s?#@]+[^\s?#@/]$/, 'a URL without a slash at its end')
      .describe('Address people use, where it differs from `listen`; needed with `oidc`.')
      .optional(),
    tls: tls.optional(),
    canary: canary('to each group that says nothing else and is not only observed. Default: 2').optional(),
    oidc: oidc.optional(),
  },
  'The server with the API and the dashboard.',
)

export const descriptionSchema = block(
  {
    version: z.literal(1, { error: '1, the only version there is' }).describe('Version of this format.'),
    platform: name('platform'),
    sites: list(site, 'sites').describe('Places that can fail as a whole.'),
    store: store.optional(),
    agentDefaults: agentDefaults.optional(),
    agents: list(agent, 'agents').describe('One per host with members.').optional(),
    groups: list(group, 'groups').describe('Data sets.'),
    routers: list(router, 'routers').describe('Doors for applications.').optional(),
    alerts: alertsShape.optional(),
    services: list(business, 'services').describe('What moves between sites as one.').optional(),
    drills: list(path('A drill file, or a folder of them.'), 'paths')
      .describe('Drill files that the server knows, runs when they are due, and starts when somebody asks it to.')
      .optional(),
    server: server.optional(),
  },
  'Description of one Holdfast platform.',
)

export type Description = z.output<typeof descriptionSchema>
export type SecretSource = z.output<ReturnType<typeof secret>>
