/** Services as they stand, and how each could move now. */
import type { ApiService, ApiServiceDetail } from '@holdfast/client'
import { totalMs } from '../../core/site-plan/predict.ts'
import { HoldfastError } from '../../errors.ts'
import { draftMoves } from '../../plans/draft-move.ts'
import { mayOver } from '../access/grants.ts'
import { serviceOf } from '../follow/standing.ts'
import { document, type Handlers } from '../http/request.ts'
import { planOf } from '../plans/plan-view.ts'
import type { Scene } from '../scene.ts'
import { movedOf } from './plans.ts'

type ServiceHandlers = Pick<Handlers, 'services' | 'service'>
type Moves = ApiServiceDetail['moves']

/** A look asks every agent of the service; what it says is true for as long as a person needs to read it. */
const MOVES_MS = 2_000
/** Services that are looked at together. */
const AT_ONCE = 4

export function serviceHandlers(scene: Scene): ServiceHandlers {
  const looks = new Map<string, { readonly atMs: number; readonly moves: Promise<Moves> }>()
  const movesOf = (service: ApiService): Promise<Moves> => {
    const nowMs = scene.clock.nowMs()
    const last = looks.get(service.service)
    if (last !== undefined && nowMs - last.atMs < MOVES_MS) return last.moves
    const moves = lookAt(scene, service)
    looks.set(service.service, { atMs: nowMs, moves })
    return moves
  }
  const detailOf = async (service: ApiService): Promise<ApiServiceDetail> => {
    const sight = scene.plans.follower.plan(service.service)
    return { service, plan: sight === null ? null : planOf(sight), moves: await movesOf(service) }
  }
  return {
    services: async ({ who }) => {
      const services = scene.services()
      const shown = scene.platform.services.flatMap((spec) => {
        const may = who !== null && mayOver(who, 'read', services.get(spec.name) ?? [], services)
        return may ? (serviceOf(spec, scene.watch.groups()) ?? []) : []
      })
      const details: ApiServiceDetail[] = []
      for (let at = 0; at < shown.length; at += AT_ONCE) {
        details.push(...(await Promise.all(shown.slice(at, at + AT_ONCE).map(detailOf))))
      }
      return document(details)
    },
    service: async ({ params }) => {
      const spec = scene.platform.services.find(({ name }) => name === movedOf(scene, params.service).name)
      const service = spec === undefined ? null : serviceOf(spec, scene.watch.groups())
      if (service === null) {
        throw new HoldfastError('HF_SERVICE_UNKNOWN', `there is no service ${params.service}`, 'see the services')
      }
      return document(await detailOf(service))
    },
  }
}

/** To each other site that has a member of one of its groups. */
async function lookAt({ platform, plans }: Scene, { service, at, groups }: ApiService): Promise<Moves> {
  const spec = platform.services.find(({ name }) => name === service)
  if (spec === undefined) return null
  const members = platform.groups.filter(({ name }) => groups.includes(name)).flatMap((group) => group.members)
  const sites = platform.sites.map(({ name }) => name).filter((site) => members.some((member) => member.site === site))
  const others = sites.filter((site) => site !== at)
  const drafts = await draftMoves(spec, others, { platform, port: plans.port })
  if (drafts === null) return null
  return drafts.map(({ to, draft }) => ({
    to,
    kind: draft.plan.kind,
    predictedMs: totalMs(draft.plan.steps),
    losses: [...draft.losses],
    refusals: [...draft.refusals],
  }))
}
