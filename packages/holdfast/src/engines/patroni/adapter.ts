/** Patroni as a manager: looked at and asked by its REST API. What it refuses is told in its own words. */
import {
  type Asked,
  type MoveRequest,
  oneFound,
  refusedBy,
  type Supervisor,
  type SupervisorOptions,
} from '../supervisor.ts'
import { type PatroniAnswer, PatroniDoor, saidBy } from './door.ts'
import { lookAtPatroni } from './look.ts'

const FIND_MS = 2_000
const LEAST_MS = 1_000

export function createPatroniSupervisor(o: SupervisorOptions): Supervisor {
  const door = new PatroniDoor(o.login, o.tls)
  const scene: Scene = { o, door }
  return {
    by: 'patroni',
    traits: { namesTarget: true, canPause: true, takesFailover: true, losesWhenPlanned: false },
    discover: async (timeoutMs) => oneFound(await lookAtPatroni({ ...o, name: '' }, door, timeoutMs)),
    look: (timeoutMs) => lookAtPatroni(o, door, timeoutMs),
    askSwitchover: ({ from, to, deadlineMs, say }) =>
      ask(scene, { method: 'POST', path: '/switchover', body: { leader: from, candidate: to } }, { deadlineMs, say }),
    askFailover: ({ to, deadlineMs, say }) =>
      ask(scene, { method: 'POST', path: '/failover', body: { candidate: to } }, { deadlineMs, say }),
    // A null takes the key out of its configuration.
    askPause: (paused, timeoutMs) =>
      ask(
        scene,
        { method: 'PATCH', path: '/config', body: { pause: paused ? true : null } },
        { deadlineMs: o.clock.nowMs() + timeoutMs, say: () => undefined },
      ),
    failoverCommand: (member) => {
      const to = member === null ? '' : ` --candidate ${member}`
      return `patronictl failover${o.name === '' ? '' : ` ${o.name}`}${to}`
    },
    close: async () => undefined,
  }
}

interface Scene {
  readonly o: SupervisorOptions
  readonly door: PatroniDoor
}

interface Request {
  readonly method: 'POST' | 'PATCH'
  readonly path: string
  readonly body: object
}

/** Any Patroni of the group takes it; only those the description names are sent the password. */
async function ask(
  { o, door }: Scene,
  request: Request,
  { deadlineMs, say }: Pick<MoveRequest, 'deadlineMs' | 'say'>,
): Promise<Asked> {
  const alive = await firstAlive({ o, door })
  if (alive === null) return refusedBy('no Patroni of the description answers', 'start one, or check `endpoints`')
  say(`${alive} is asked`)
  const leftMs = Math.max(LEAST_MS, deadlineMs - o.clock.nowMs())
  return askedOf(alive, await door.ask(alive, request, leftMs), request)
}

async function firstAlive({ o, door }: Scene): Promise<string | null> {
  const asked = o.endpoints.map(async (base) => {
    const { status, because } = await door.read(base, '/cluster', FIND_MS)
    if (status !== 200) throw new Error(because)
    return base
  })
  return Promise.any(asked).catch(() => null)
}

function askedOf(base: string, answer: PatroniAnswer, { path }: Request): Asked {
  if (answer.because !== '') {
    if (answer.sent) return { ok: false, kind: 'uncertain', because: `${base}: ${answer.because}` }
    return refusedBy(`${base}: ${answer.because}`, 'check that Patroni')
  }
  const said = saidBy(answer)
  if (answer.status >= 200 && answer.status < 300) return { ok: true, said, lostBytes: null, heldMs: null }
  if (answer.status === 401 || answer.status === 403) {
    const next = '`username` and `password` of its restapi.authentication in the description'
    return refusedBy(`${base} wants a password for that: ${said}`, next)
  }
  // It looked for the outcome and did not see it; the outcome may still come.
  if (answer.status >= 500 && /unknown/i.test(said))
    return { ok: false, kind: 'uncertain', because: `Patroni says: ${said}` }
  const next = path === '/config' ? 'see the log of that Patroni' : 'holdfast explain shows who is fit'
  return refusedBy(`Patroni says (${answer.status}): ${said}`, next)
}
