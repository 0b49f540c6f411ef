/**
 * Holding the writers of a Redis primary while its Sentinels move it, so that nothing is acknowledged that the new
 * primary does not have. Three means, in this order, none of which makes anybody primary:
 *
 * 1. `CLIENT PAUSE .. WRITE`, renewed in short steps. It ends by itself when we die. It also stops Sentinel's own
 *    messages to that server (`PUBLISH` counts as a write), so it must not last until the server is made a replica.
 * 2. Once the target leads: `min-replicas-to-write` above the replicas it has left. Writers are refused from then on,
 *    Sentinel's messages pass. A caller that dies here leaves a primary-to-be that asks for a replica or two: the
 *    common setting, shown by `status` as `min-replicas-to-write-differs`.
 * 3. Its clients are cut, so that those who wait ask Sentinel anew; what they had sent is never carried out.
 *
 * When Sentinel has made it a replica, the setting is put back, also in its file, which Sentinel wrote meanwhile.
 */
import { askOf, errorOf, type Far } from '../redis-door.ts'
import { askRedis, type RedisWord } from '../redis-word.ts'

/** Each pause lasts this long; longer than two renewals on a busy machine, short for writers when we die. */
const PAUSE_MS = 3_000
const RENEW_MS = 500
const ASK_MS = 2_000

export type Step = { readonly ok: true } | { readonly ok: false; readonly because: string }

export class Hold {
  readonly #member: string
  readonly #far: Far
  readonly #before: number
  #renewal: NodeJS.Timeout | null = null
  /** Every pause that was asked for is answered, or given up. */
  #pausing: Promise<Step> = Promise.resolve({ ok: true })

  constructor(member: string, far: Far, before: number) {
    this.#member = member
    this.#far = far
    this.#before = before
  }

  /** Whether we may do all this, shown by setting what is set already. */
  allowed(): Promise<Step> {
    return this.#ask(['CONFIG', 'SET', 'min-replicas-to-write', String(this.#before)])
  }

  /** Holds the writers until `letGo`, `lapse` or `refuse`, or until we die. */
  begin(): Promise<Step> {
    this.#renewal ??= setInterval(() => void this.#pause(), RENEW_MS)
    return this.#pause()
  }

  /** Writers go on at once. */
  async letGo(): Promise<Step> {
    await this.lapse()
    return this.#ask(['CLIENT', 'UNPAUSE'])
  }

  /** Writers go on when the pause runs out, unless somebody else prolongs it. No pause of ours arrives afterwards. */
  async lapse(): Promise<void> {
    if (this.#renewal !== null) clearInterval(this.#renewal)
    this.#renewal = null
    await this.#pausing
  }

  #pause(): Promise<Step> {
    const own = this.#ask(['CLIENT', 'PAUSE', String(PAUSE_MS), 'WRITE'])
    this.#pausing = Promise.all([this.#pausing, own]).then(([, step]) => step)
    return own
  }

  /**
   * The target leads: from here on writers are refused, and those who waited are cut. `position`: the end of its log
   * while the pause still kept everybody from it, Sentinels' messages included. `replicasMax`: how many it can have at
   * most, for when it does not tell; `replicasLeast`: how many are counted in any case. Writers that could not be cut
   * learn by a refusal that another leads.
   */
  async refuse(replicasMax: number, replicasLeast = 0): Promise<Step & { readonly position: number | null }> {
    const now = await this.look()
    const replicas = Math.max(replicasLeast, now.word.answering ? now.connectedReplicas : replicasMax)
    const least = Math.max(this.#before, replicas + 1)
    const set = await this.#ask(['CONFIG', 'SET', 'min-replicas-to-write', String(least)])
    if (!set.ok) return { ...set, position: null }
    const { position } = (await this.look()).word
    await this.#ask(['CLIENT', 'KILL', 'TYPE', 'normal'])
    await this.letGo()
    return { ok: true, position }
  }

  /** It is a replica now: the setting as it was, in memory and in its file. */
  async restore(): Promise<Step> {
    const set = await this.#ask(['CONFIG', 'SET', 'min-replicas-to-write', String(this.#before)])
    // A server without a file has nothing to write.
    if (set.ok) await this.#ask(['CONFIG', 'REWRITE'])
    return set
  }

  look(timeoutMs = ASK_MS): Promise<RedisWord> {
    return askRedis(this.#member, this.#far, timeoutMs)
  }

  async #ask(words: readonly string[]): Promise<Step> {
    const talk = await askOf(this.#far, words, ASK_MS)
    if (!talk.ok) return { ok: false, because: `${words.slice(0, 2).join(' ')}: ${talk.because}` }
    const refusal = errorOf(talk.replies[0])
    return refusal === null ? { ok: true } : { ok: false, because: `${words.slice(0, 2).join(' ')}: ${refusal}` }
  }
}
