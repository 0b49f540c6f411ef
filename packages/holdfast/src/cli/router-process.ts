/** One router of a description: its doors, the members behind them, the store it watches and the agents it asks. */
import { pemText } from '../config/pem.ts'
import { addressText, agentUrl, degradedOf, type Platform, routerByName } from '../config/platform.ts'
import { storeSettings } from '../config/settings.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'

export interface RunningRouter {
  readonly url: string
  close(): Promise<void>
}

export async function startRouterNamed(platform: Platform, name: string, log: Log): Promise<RunningRouter> {
  const spec = routerByName(platform, name)
  if (spec === null) {
    const names = platform.routers.map((router) => router.name).join(', ')
    const next = names === '' ? 'the description has no `routers`' : `use one of ${names}`
    throw new HoldfastError('HF_CONFIG_INVALID', `no router ${name} in ${platform.file}`, next)
  }
  const [{ startRouter }, { openStore }] = await Promise.all([import('../router/wire.ts'), import('../store/open.ts')])
  const store = openStore(storeSettings(platform))
  const [agent] = platform.agents
  const ca = agent === undefined || agent.tls === null ? {} : { ca: pemText(agent.tls.caFile) }
  try {
    const router = await startRouter({
      name,
      site: spec.site,
      doors: spec.doors.map(({ group, listen, read }) => ({
        group,
        listen,
        degraded: degradedOf(platform, group),
        ...(read === null ? {} : { read: { ...read.listen, lagBytesMax: read.lagBytesMax } }),
      })),
      members: membersOf(platform),
      store,
      agents: { urls: platform.agents.map(agentUrl), token: agent?.token.reveal() ?? null, ...ca },
      ...(spec.metrics === null ? {} : { metrics: spec.metrics }),
      ...(spec.relay === 'haproxy' ? { relay: { program: null } } : {}),
      limits: { holdMs: spec.holdMs },
      clock: systemClock,
      onReason: ({ code, ...rest }) => log.info(rest, code),
    })
    const close = async () => {
      await router.close()
      await store.close()
    }
    return { url: spec.doors.map((door) => addressText(door.listen)).join(', '), close }
  } catch (error) {
    await store.close()
    throw error
  }
}

function membersOf(
  platform: Platform,
): Readonly<
  Record<string, { readonly group: string; readonly host: string; readonly port: number; readonly site: string }>
> {
  const entries = platform.groups.flatMap((group) =>
    group.members.map(({ name, listen, site }) => [name, { group: group.name, ...listen, site }] as const),
  )
  return Object.fromEntries(entries)
}
