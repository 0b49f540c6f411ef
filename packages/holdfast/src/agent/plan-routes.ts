/**
 * Plans of services, for runners that do not know the store: whoever has the token of the agents reads a plan and
 * writes it by compare-and-set. An agent judges only that it is a record of that scope, never what it says.
 */
import type { Platform } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import { type Store, VALUE_BYTES_MAX } from '../store/contract.ts'
import type { Answer, Request, Route } from './door.ts'
import { fieldsOf, ok } from './operator.ts'

export interface PlanRouteOptions {
  readonly store: Store
  readonly platform: Platform
  readonly requestMs: number
}

/** JSON in JSON: every quote may become two letters. */
const BODY_BYTES_MAX = 2 * VALUE_BYTES_MAX
/** A plan can wait for a slow store better than a beat can. */
const PATIENCE_REQUESTS = 3

/** What reads plans is loaded when the first one comes. */
const records = () => import('../plans/records.ts')

interface Place {
  readonly path: string
  readonly key: (scope: string) => Promise<string>
  /** Null, or what is wrong with the text. */
  readonly mistake: (text: string, scope: string) => Promise<string | null>
}

const PLACES: readonly Place[] = [
  {
    path: '/v1/plans/:scope',
    key: async (scope) => (await records()).planKey(scope),
    mistake: async (text, scope) => {
      const plan = (await records()).readPlan(text, scope)
      return plan.ok ? null : plan.because
    },
  },
  {
    path: '/v1/plans/:scope/timings',
    key: async (scope) => (await records()).timingsKey(scope),
    mistake: async (text) => {
      const past = (await records()).readPastRuns(text)
      return past.ok ? null : past.because
    },
  },
]

export function planRoutes(options: PlanRouteOptions): readonly Route[] {
  return PLACES.flatMap((place): readonly Route[] => [
    { method: 'GET', path: place.path, open: false, handle: (request) => read(options, place, request) },
    {
      method: 'POST',
      path: place.path,
      open: false,
      bodyBytesMax: BODY_BYTES_MAX,
      handle: (request) => write(options, place, request),
    },
  ])
}

async function read(options: PlanRouteOptions, place: Place, request: Request): Promise<Answer> {
  const found = await options.store.get(await place.key(scopeOf(options, request)), deadlineMs(options))
  if (found.kind === 'unknown') throw unreachable(found.because)
  return ok({ value: found.entry.value, revision: found.entry.revision })
}

async function write(options: PlanRouteOptions, place: Place, request: Request): Promise<Answer> {
  const scope = scopeOf(options, request)
  const { value, ifRevision } = fieldsOf(request.body)
  const mistake = typeof value !== 'string' ? 'no text' : await place.mistake(value, scope)
  if (typeof value !== 'string' || mistake !== null)
    throw new HoldfastError('HF_BODY_INVALID', `"value" is no such record: ${mistake}`, 'run one version everywhere')
  if (typeof ifRevision !== 'number' || !Number.isSafeInteger(ifRevision) || ifRevision < 0)
    throw new HoldfastError('HF_BODY_INVALID', '"ifRevision" must be a whole number', 'give the revision that was read')
  const key = await place.key(scope)
  const result = await options.store.compareAndSet(key, value, ifRevision, deadlineMs(options))
  if (result.kind === 'unknown') throw unreachable(result.because)
  return ok({ written: result.kind === 'ok', value: result.entry.value, revision: result.entry.revision })
}

function scopeOf({ platform }: PlanRouteOptions, request: Request): string {
  const scope = request.params.scope ?? ''
  const known = [...platform.services.map(({ name }) => name), ...platform.groups.map(({ name }) => `group:${name}`)]
  if (known.includes(scope)) return scope
  const next = 'compare the description of the agents with yours, and start them again with it'
  throw new HoldfastError('HF_SERVICE_UNKNOWN', `this agent knows no service ${scope.slice(0, 64)}`, next)
}

function deadlineMs({ requestMs }: PlanRouteOptions): number {
  return PATIENCE_REQUESTS * requestMs
}

function unreachable(because: string): HoldfastError {
  const next = 'see holdfast status, ask again'
  return new HoldfastError('HF_STORE_UNREACHABLE', `the store did not answer: ${because}`, next)
}
