/** The shape of a group that another program leads: where that program is asked, and how its engines are looked at. */
import { z } from 'zod'
import { address, block, list, matching, name, path, reference, secret } from './schema-parts.ts'

const KINDS = 'patroni, sentinel or redis-cluster, as `by: patroni`'
const USER = 'a user name without blanks and colons'

const clientTls = block(
  {
    ca: path('PEM file of the authority that signed their certificates.'),
    cert: path('PEM file of our client certificate.').optional(),
    key: path('PEM file of its key; must not be readable by others.').optional(),
  },
  'TLS towards the manager and its engines.',
)

const sites = z
  .record(
    matching(/^[^\s\p{Cc}]{1,200}$/u, 'the name of a member, as `holdfast discover` shows it'),
    reference('a site'),
    {
      error: 'lines "member: site"',
    },
  )
  .describe('Site of each member, by the name the manager gives it (host:port for Redis).')

const user = (of: string) => matching(/^[^\s:\p{Cc}]{1,128}$/u, USER).describe(`User ${of}.`)

const patroni = block(
  {
    by: z.literal('patroni', { error: KINDS }).describe('Patroni, by its REST API.'),
    endpoints: list(
      matching(/^https?:\/\/[^\s/?#@]+\/?$/, 'a URL without path, e.g. http://10.0.0.11:8008'),
      'URLs, e.g. http://10.0.0.11:8008',
    ).describe('REST API of each Patroni of the group.'),
    scope: matching(/^[^\s\p{Cc}]{1,128}$/u, "Patroni's `scope`, e.g. orders")
      .describe('Its `scope`; another cluster that answers is not listened to.')
      .optional(),
    username: user('of its restapi.authentication; needed to ask for changes').optional(),
    password: secret('Password of that user.').optional(),
    observer: block(
      {
        user: user('of the servers; a member of pg_monitor is enough'),
        password: secret('Its password.'),
        database: matching(/^[^\s\p{Cc}]{1,63}$/u, 'the name of a database')
          .describe('Database to connect to. Default: postgres.')
          .optional(),
      },
      'How the servers are looked at, beside what Patroni says of them.',
    ).optional(),
    sites: sites.optional(),
    tls: clientTls.optional(),
  },
  'A group led by Patroni.',
)

const redisObserver = block(
  {
    user: user('of the servers. Default: the default user').optional(),
    password: secret('Its password.'),
  },
  'How the servers are looked at, and their writers held during a planned move.',
)

const sentinel = block(
  {
    by: z.literal('sentinel', { error: KINDS }).describe('Redis Sentinel.'),
    endpoints: list(address('A Sentinel.'), 'addresses, e.g. 10.0.0.11:26379').describe('Every Sentinel of the group.'),
    monitors: matching(/^[A-Za-z0-9._-]{1,128}$/, 'the name after `sentinel monitor`, e.g. stock').describe(
      'Name the Sentinels know the group by.',
    ),
    username: user('of the Sentinels').optional(),
    password: secret('Password of the Sentinels.').optional(),
    observer: redisObserver.optional(),
    sites: sites.optional(),
    tls: clientTls.optional(),
  },
  'A Redis group led by Sentinels.',
)

const redisCluster = block(
  {
    by: z.literal('redis-cluster', { error: KINDS }).describe('Redis Cluster.'),
    endpoints: list(address('A node.'), 'addresses, e.g. 10.0.0.11:6379').describe('Nodes to ask; better all of them.'),
    username: user('of the nodes. Default: the default user').optional(),
    password: secret('Password of the nodes.').optional(),
    sites: sites.optional(),
    tls: clientTls.optional(),
  },
  'A Redis Cluster, all its shards.',
)

export const supervisedGroup = block(
  {
    name: name('group'),
    supervised: z
      .discriminatedUnion('by', [patroni, sentinel, redisCluster], { error: KINDS })
      .describe('Who leads it, and how that program is asked. Holdfast never makes a member of it primary.'),
  },
  'A group that another program leads: Holdfast shows it, asks it to switch, drills it.',
)
