/**
 * Whom the alerts ask: every agent, every router that answers `/metrics`, and the server. All are asked at once;
 * who does not answer within the deadline is down, and nothing it said before is used, as with Prometheus.
 */
import { Pool } from 'undici'
import { pemText } from '../config/pem.ts'
import { addressText, type Platform } from '../config/platform.ts'
import type { Sample } from '../core/alerts/expression.ts'
import { AGENTS_JOB, ROUTERS_JOB, SERVER_JOB } from '../core/alerts/rules.ts'
import { exchange } from '../io/http-pool.ts'
import { readExposition } from './exposition.ts'

export interface Target {
  readonly job: string
  /** `host:port`, as Prometheus calls it. */
  readonly instance: string
  readonly scheme: 'http' | 'https'
  readonly caFile: string | null
  /** Who it is: `agent` or `router`, and `site`. */
  readonly labels: Readonly<Record<string, string>>
}

export function targetsOf(platform: Platform): readonly Target[] {
  const agents = platform.agents.map(
    ({ name, site, listen, tls }): Target => ({
      job: AGENTS_JOB,
      instance: addressText(listen),
      scheme: tls === null ? 'http' : 'https',
      caFile: tls?.caFile ?? null,
      labels: { agent: name, site },
    }),
  )
  const routers = platform.routers.flatMap(({ name, site, metrics }): Target[] => {
    if (metrics === null) return []
    const instance = addressText(metrics)
    return [{ job: ROUTERS_JOB, instance, scheme: 'http', caFile: null, labels: { router: name, site } }]
  })
  const { server } = platform
  if (server === null) return [...agents, ...routers]
  const { listen, tls } = server
  const own: Target = {
    job: SERVER_JOB,
    instance: addressText(listen),
    scheme: tls === null ? 'http' : 'https',
    caFile: tls?.caFile ?? null,
    labels: {},
  }
  return [...agents, ...routers, own]
}

const ANSWER_BYTES_MAX = 8 * 1024 * 1024

export interface Lookout {
  look(): Promise<ReadonlyMap<string, readonly Sample[]>>
  close(): Promise<void>
}

export function openLookout(targets: readonly Target[], wanted: ReadonlySet<string>, timeoutMs: number): Lookout {
  const pools = targets.map((target) => ({ target, pool: poolFor(target) }))
  return {
    look: async () => {
      const answers = await Promise.all(pools.map(({ target, pool }) => ask(target, pool, { wanted, timeoutMs })))
      const series = new Map<string, Sample[]>()
      for (const { name, sample } of answers.flat()) {
        const known = series.get(name)
        if (known === undefined) series.set(name, [sample])
        else known.push(sample)
      }
      return series
    },
    close: async () => {
      await Promise.all(pools.map(({ pool }) => pool.destroy()))
    },
  }
}

function poolFor({ scheme, instance, caFile }: Target): Pool {
  const ca = caFile === null ? {} : { connect: { ca: pemText(caFile) } }
  return new Pool(`${scheme}://${instance}`, { connections: 2, ...ca })
}

interface Asking {
  readonly wanted: ReadonlySet<string>
  readonly timeoutMs: number
}

async function ask(target: Target, pool: Pool, asking: Asking): ReturnType<typeof told> {
  const common = { job: target.job, instance: target.instance, ...target.labels }
  const found = await told(pool, asking, common).catch(() => null)
  const up = { name: 'up', sample: { labels: common, value: found === null ? 0 : 1 } }
  return [up, ...(found ?? [])]
}

async function told(pool: Pool, { wanted, timeoutMs }: Asking, common: Readonly<Record<string, string>>) {
  const question = { method: 'GET', path: '/metrics', headers: { accept: 'text/plain' } } as const
  const { status, text } = await exchange(pool, question, { timeoutMs, bytesMax: ANSWER_BYTES_MAX })
  if (status !== 200 || text === null) throw new Error(`status ${status}`)
  return readExposition(text, wanted, common)
}
