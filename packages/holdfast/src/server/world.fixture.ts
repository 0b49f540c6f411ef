/**
 * What fake agents share in tests of the server: the records of plans, kept by compare-and-set as the real store does,
 * and, where a test wants it, one group that obeys: it is paused, led elsewhere, and says so by every agent.
 */
import type { AgentStatus, GroupStatus } from '@holdfast/client'

export interface Reply {
  readonly status: number
  readonly body: unknown
}

/** One of the fake agents. */
export interface Subject {
  readonly status: AgentStatus
  tell(change: { readonly status: Partial<AgentStatus> }): void
}

type Said = Readonly<Record<string, unknown>>

export class World {
  readonly agents: Subject[] = []
  readonly plans = new Map<string, { readonly value: string; readonly revision: number }>()
  /** The group does what is asked of it. */
  obeys = false
  /** Takes a switchover and does not carry it out until it is false again. */
  hangs = false
  /** Why no candidate may lead, by a dry run or an explanation; null: each may. */
  refusal: string | null = null
  /** Switchovers that were taken. */
  taken = 0

  /** Null: the fake agent answers by itself. */
  reply(method: string, path: string, said: Said): Reply | null {
    const [, , room = '', name = '', verb = ''] = path.split('/')
    if (room === 'plans') return this.#plan(method, decodeURIComponent(`${name}${verb === '' ? '' : `/${verb}`}`), said)
    if (room !== 'groups' || !this.obeys) return null
    if (verb === 'intents') return { status: 200, body: this.#intent() }
    if (verb === 'explain') return { status: 200, body: this.#explanation(name) }
    const { epoch, paused } = this.group(name)
    if (said.ifEpoch !== undefined && said.ifEpoch !== epoch) return changed(`${name} is at epoch ${epoch}`)
    if (said.ifPausedBy !== undefined && said.ifPausedBy !== (paused?.by ?? null)) return changed('paused by another')
    if (verb === 'pause') this.#tell(name, { paused: { by: String(said.by), because: '', forMs: 60_000 } })
    else if (verb === 'resume') this.#tell(name, { paused: null })
    else if (said.dryRun === true) return this.refusal === null ? intent() : refused(this.refusal)
    else {
      this.taken += 1
      if (!this.hangs) this.lead(name, String(said.to), epoch + 1)
      return intent()
    }
    return { status: 200, body: { ok: true } }
  }

  group(name: string): GroupStatus {
    const found = this.agents[0]?.status.groups.find(({ group }) => group === name)
    if (found === undefined) throw new Error(`no group ${name}`)
    return found
  }

  lead(name: string, holder: string, epoch: number): void {
    for (const agent of this.agents) {
      const members = agent.status.members.map((member) => {
        if (member.group !== name) return member
        const leads = member.member === holder
        return { ...member, role: leads ? 'primary' : 'replica', epoch, writableForMs: leads ? 2_400 : 0 }
      })
      agent.tell({ status: { members: members as AgentStatus['members'] } })
    }
    this.#tell(name, { holder, epoch })
  }

  #tell(name: string, change: Partial<GroupStatus>): void {
    for (const agent of this.agents) {
      const groups = agent.status.groups.map((one) => (one.group === name ? { ...one, ...change } : one))
      agent.tell({ status: { groups } })
    }
  }

  #plan(method: string, key: string, said: Said): Reply {
    const found = this.plans.get(key) ?? { value: null, revision: 0 }
    if (method === 'GET') return { status: 200, body: found }
    if (said.ifRevision !== found.revision) return { status: 200, body: { written: false, ...found } }
    const next = { value: String(said.value), revision: found.revision + 1 }
    this.plans.set(key, next)
    return { status: 200, body: { written: true, ...next } }
  }

  #intent(): object {
    return { id: 'an-intent', state: this.hangs ? 'running' : 'done', because: '', holder: null, epoch: 0 }
  }

  #explanation(group: string): object {
    const { holder, epoch } = this.group(group)
    const because = this.refusal === null ? [] : [{ wallMs: 0, code: this.refusal, group, member: '', detail: {} }]
    const candidates = this.agents
      .flatMap(({ status }) => status.members)
      .map(({ member }) => ({ member, eligible: this.refusal === null, because }))
    return { group, seenBy: '', holder, epoch, phase: 'open', candidates, wouldDo: '' }
  }
}

function intent(): Reply {
  return { status: 200, body: { id: 'an-intent' } }
}

function changed(message: string): Reply {
  return { status: 409, body: { error: { code: 'HF_GROUP_CHANGED', message, next: '', retryable: true, doc: '' } } }
}

function refused(message: string): Reply {
  return { status: 409, body: { error: { code: 'HF_INTENT_REFUSED', message, next: '', retryable: false, doc: '' } } }
}
