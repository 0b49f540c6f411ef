/** One POST with a deadline; its failure in words that hold neither address nor secret. */
import { request } from 'undici'
import { type Outcome, SEND_MS } from './channel.ts'

/** More is not read of an answer nobody looks at. */
const ANSWER_BYTES_MAX = 65_536

export async function post(url: string, body: string, headers: Readonly<Record<string, string>>): Promise<Outcome> {
  const signal = AbortSignal.timeout(SEND_MS)
  try {
    const answer = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'holdfast', ...headers },
      body,
      signal,
      // Messages are rare; an idle connection would have died, and its end would pass for a failure.
      reset: true,
    })
    const { statusCode } = answer
    const after = String(answer.headers['retry-after'] ?? '')
    await answer.body.dump({ limit: ANSWER_BYTES_MAX })
    if (statusCode >= 200 && statusCode < 300) return { ok: true }
    const waitMs = /^\d{1,6}$/.test(after) ? Number(after) * 1_000 : 0
    return { ok: false, because: `it answered with status ${statusCode}`, waitMs }
  } catch (error) {
    return { ok: false, because: failure(error), waitMs: 0 }
  }
}

/** The code only: messages of libraries name addresses, and an address may be the secret. */
export function failure(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed'
  if (error.name === 'TimeoutError') return `no answer within ${SEND_MS / 1_000} s`
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return /^[A-Za-z0-9_]{1,60}$/.test(code) ? `it could not be reached (${code})` : 'it could not be reached'
}
