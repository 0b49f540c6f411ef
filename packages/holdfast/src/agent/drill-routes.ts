/** What a drill asks of this agent: a fault, how it stands, its end. Checked by hand, as every order from outside. */
import type { FaultKind, FaultOrder } from '@holdfast/client'
import { HoldfastError } from '../errors.ts'
import type { Answer, Request, Route } from './door.ts'
import type { DrillFaults } from './drill-faults.ts'
import { fieldsOf, ok, text } from './operator.ts'

const KINDS: readonly string[] = ['kill', 'freeze', 'block-store', 'block-link'] satisfies readonly FaultKind[]
const WHATS: readonly string[] = ['engine', 'agent', 'host']
const MEMBERS_MAX = 64

export function drillRoutes(faults: DrillFaults): readonly Route[] {
  return [
    { method: 'GET', path: '/v1/drills/faults', open: false, handle: () => ok({ faults: faults.list() }) },
    { method: 'POST', path: '/v1/drills/faults', open: false, handle: (request) => begin(faults, request) },
    { method: 'POST', path: '/v1/drills/lift', open: false, handle: (request) => lift(faults, request) },
  ]
}

/** While links are cut no peer gets an answer, as no answer of a peer comes here. */
export function behindCut(routes: readonly Route[], faults: DrillFaults): readonly Route[] {
  return routes.map((route) => {
    if (!route.path.startsWith('/v1/peer/')) return route
    return {
      ...route,
      handle: async (request: Request): Promise<Answer> => {
        if (faults.linksCut) await silence()
        return route.handle(request)
      },
    }
  })
}

/** Longer than any peer waits; it closes the connection long before. */
const SILENCE_MS = 30_000

function silence(): Promise<never> {
  return new Promise((_resolve, reject) => {
    const error = new HoldfastError('HF_BUSY', 'a drill cuts this link', 'wait for its end')
    setTimeout(() => reject(error), SILENCE_MS).unref()
  })
}

async function begin(faults: DrillFaults, request: Request): Promise<Answer> {
  return ok(await faults.begin(orderOf(request.body)))
}

function lift(faults: DrillFaults, request: Request): Answer {
  const fields = fieldsOf(request.body)
  return ok({ faults: faults.lift(text(fields, 'id'), text(fields, 'by')) })
}

function orderOf(body: unknown): FaultOrder {
  const fields = fieldsOf(body)
  const kind = text(fields, 'kind')
  const { members, forMs } = fields
  const what = fields.what === undefined ? null : text(fields, 'what')
  const wrong = (because: string, next: string): HoldfastError => new HoldfastError('HF_BODY_INVALID', because, next)
  if (!KINDS.includes(kind)) throw wrong(`there is no fault "${kind}"`, `use one of ${KINDS.join(', ')}`)
  if ((kind === 'freeze') !== (what !== null) || (what !== null && !WHATS.includes(what))) {
    throw wrong('"what" goes with a freeze', `use one of ${WHATS.join(', ')}`)
  }
  const isName = (one: unknown): one is string => typeof one === 'string'
  if (!Array.isArray(members) || members.length > MEMBERS_MAX || !members.every(isName)) {
    throw wrong('"members" must be a list of names', 'name the members that suffer it')
  }
  if (typeof forMs !== 'number' || !Number.isFinite(forMs) || forMs < 0) {
    throw wrong('"forMs" must be a number', 'say when the fault ends by itself')
  }
  const rest = { id: text(fields, 'id'), kind: kind as FaultKind, members, forMs, by: text(fields, 'by') }
  return what === null ? rest : { ...rest, what: what as 'engine' | 'agent' | 'host' }
}
