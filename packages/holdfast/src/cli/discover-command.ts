/** `holdfast discover`: finds a group that another program leads, shows it, and writes the description for it. */
import type { Command } from 'commander'
import { Option } from 'commander'
import { stringify } from 'yaml'
import { pemText } from '../config/pem.ts'
import { parseAddress } from '../config/quantities.ts'
import { wrapped } from '../config/report.ts'
import { openSupervisor } from '../engines/open-supervisor.ts'
import type { Found, Look, ManagerKind, SupervisorOptions } from '../engines/supervisor.ts'
import { systemClock } from '../io/clock.ts'
import { visibleLine } from '../io/visible-text.ts'
import { LOOK_MS } from '../server/supervised/open.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, commonOf, countText, fail, type Shell, withOutput } from './shell.ts'
import type { GroupView } from './status-view.ts'
import { supervisedLines } from './supervised-screen.ts'
import { supervisedGroupView } from './supervised-view.ts'

const EXAMPLES = `
Only looks. The description goes to standard output, what was found to standard
error. A password is named, never written:

Examples:
  holdfast discover --patroni http://10.0.0.11:8008 > holdfast.yaml
  holdfast discover --sentinel 10.0.0.11:26379 > holdfast.yaml
  holdfast discover --redis-cluster 10.0.0.11:6379 --password-env REDIS_PASSWORD
  holdfast status`

const KINDS: readonly ManagerKind[] = ['patroni', 'sentinel', 'redis-cluster']

export function registerDiscover(program: Command, shell: Shell): void {
  const command = withOutput(program.command('discover'))
    .summary('find a group that Patroni, Sentinel or Redis Cluster leads')
    .description('Asks a running Patroni, Sentinel or Redis Cluster what it leads, and writes a description of it.')
    .addOption(new Option('--patroni <urls>', 'REST API of a Patroni, e.g. http://10.0.0.11:8008'))
    .addOption(new Option('--sentinel <addresses>', 'a Sentinel, e.g. 10.0.0.11:26379'))
    .addOption(new Option('--redis-cluster <addresses>', 'a node of a cluster, e.g. 10.0.0.11:6379'))
    .option('--username <name>', 'user of the Sentinels or nodes, or of the REST API')
    .option('--password-env <name>', 'environment variable with its password')
    .option('--ca <file>', 'PEM file of the authority that signed their certificates')
    .addHelpText('after', EXAMPLES)
  command.action(async (options: Record<string, unknown>) => {
    shell.finish(await discover(commonOf(shell, options), options))
  })
}

interface Wanted {
  readonly by: ManagerKind
  readonly options: SupervisorOptions
  readonly username: string | null
  readonly passwordEnv: string | null
  readonly caFile: string | null
}

async function discover(common: Common, options: Readonly<Record<string, unknown>>): Promise<ExitCode> {
  const wanted = wantedOf(common, options)
  if (wanted === null) return EXIT.usage
  const supervisor = await openSupervisor(wanted.options)
  const discovery = await supervisor.discover(LOOK_MS)
  if (!discovery.ok) {
    const next = 'check the address, and with --username, --password-env and --ca what it may want'
    fail(common, 'HF_MANAGER_UNREACHABLE', `nothing was found (${discovery.because})`, next)
    return EXIT.unreachable
  }
  const names = namesOf(discovery.found, wanted.by)
  const views = await Promise.all(discovery.found.map((found, at) => viewOf(wanted, found, names[at] ?? 'found')))
  const description = descriptionOf(wanted, discovery.found, names)
  if (common.output === 'json') {
    const groups = views.map(({ view }) => view)
    common.terminal.out(`${JSON.stringify({ ok: true, groups, description })}\n`)
    return EXIT.ok
  }
  for (const { view } of views) {
    if (view.supervised === null) continue
    common.terminal.err(`${supervisedLines(view, view.supervised, common.paint).join('\n')}\n\n`)
  }
  common.terminal.out(stringify(description, { lineWidth: 100 }))
  const next = `write it to holdfast.yaml, then: holdfast status (${countText(views.length, 'group')})`
  common.terminal.err(`${wrapped(next, '    next: ').join('\n')}\n`)
  return EXIT.ok
}

/** Null after saying what is wrong with the words. */
function wantedOf(common: Common, options: Readonly<Record<string, unknown>>): Wanted | null {
  const text = (key: string): string | null => (typeof options[key] === 'string' ? (options[key] as string) : null)
  const usage = (what: string, next: string): null => {
    fail(common, 'HF_CONFIG_INVALID', what, next)
    return null
  }
  const given = KINDS.filter((kind) => text(kind === 'redis-cluster' ? 'redisCluster' : kind) !== null)
  const [by] = given
  if (by === undefined || given.length > 1)
    return usage('one of the three is needed', KINDS.map((kind) => `--${kind}`).join(', '))
  const endpoints = (text(by === 'redis-cluster' ? 'redisCluster' : by) ?? '')
    .split(',')
    .map((one) => one.trim().replace(/\/$/, ''))
  const wrong = endpoints.find((one) =>
    by === 'patroni' ? !/^https?:\/\/[^\s/?#@]+$/.test(one) : parseAddress(one) === null,
  )
  if (wrong !== undefined) {
    const right =
      by === 'patroni' ? 'a URL without path, e.g. http://10.0.0.11:8008' : 'host:port, e.g. 10.0.0.11:26379'
    return usage(`\`${visibleLine(wrong).slice(0, 80)}\` is no address of ${by}`, right)
  }
  const [username, passwordEnv, caFile] = [text('username'), text('passwordEnv'), text('ca')]
  const password = passwordEnv === null ? undefined : common.terminal.env[passwordEnv]
  if (passwordEnv !== null && (password === undefined || password === '')) {
    return usage(
      `the environment variable ${visibleLine(passwordEnv)} is not set`,
      `export ${visibleLine(passwordEnv)}=...`,
    )
  }
  if (username !== null && password === undefined) return usage('--username without --password-env', 'both, or neither')
  const login = password === undefined ? null : { user: username ?? '', password }
  const base = { by, endpoints, name: '', login, clock: systemClock }
  const tls = caFile === null ? null : { ca: pemText(caFile) }
  // The servers behind Sentinels usually share their password; another one is written into the description by hand.
  const observer = by === 'sentinel' && login !== null ? { ...login, database: '' } : null
  return { by, options: { ...base, observer, tls }, username, passwordEnv, caFile }
}

/** Names of ours: small letters, digits and "-", each once. */
function namesOf(found: readonly Found[], by: ManagerKind): readonly string[] {
  const taken = new Set<string>()
  return found.map(({ called }) => {
    const plain = called
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^[^a-z]+|-+$/g, '')
      .slice(0, 32)
    const base = plain === '' || plain in Object.prototype ? `${by}-group` : plain
    let name = base
    for (let n = 2; taken.has(name); n += 1) name = `${base}-${n}`
    taken.add(name)
    return name
  })
}

async function viewOf(
  wanted: Wanted,
  found: Found,
  name: string,
): Promise<{ readonly view: GroupView; readonly look: Look }> {
  const supervisor = await openSupervisor({ ...wanted.options, endpoints: found.endpoints, name: found.called })
  const look = await supervisor.look(LOOK_MS)
  const base = { name, by: wanted.by, endpoints: found.endpoints, called: found.called, sites: {} }
  return { look, view: supervisedGroupView({ ...base, login: null, observer: null, tls: null }, look) }
}

function descriptionOf(wanted: Wanted, found: readonly Found[], names: readonly string[]): object {
  const { by, username, passwordEnv, caFile } = wanted
  const password = passwordEnv === null ? {} : { password: { env: passwordEnv } }
  const user =
    username === null ? {} : by === 'sentinel' || by === 'patroni' || passwordEnv !== null ? { username } : {}
  const observer =
    by !== 'sentinel' || passwordEnv === null
      ? {}
      : { observer: { ...(username === null ? {} : { user: username }), ...password } }
  const groups = found.map(({ called, endpoints }, at) => ({
    name: names[at],
    supervised: {
      by,
      endpoints,
      ...(by === 'sentinel' ? { monitors: called } : by === 'patroni' && called !== '' ? { scope: called } : {}),
      ...user,
      ...password,
      ...observer,
      ...(caFile === null ? {} : { tls: { ca: caFile } }),
    },
  }))
  return { version: 1, platform: 'found', sites: [{ name: 'here' }], groups }
}
