/** The one client of this page. The session travels as a cookie; the word against forged requests is kept here. */
import { createServerClient, type Result, type ServerClient } from '@holdfast/client'

let csrf = ''

export const server: ServerClient = createServerClient({ url: '', csrf: () => csrf })

export function rememberCsrf(word: string): void {
  csrf = word
}

/** An outcome that is no success, in words for a person. */
export interface Trouble {
  readonly message: string
  readonly next: string
  readonly code: string
}

export function troubleOf(result: Exclude<Result<unknown>, { ok: true }>): Trouble {
  if (result.kind === 'refused') return { message: result.message, next: result.next, code: result.code }
  if (result.kind === 'unreachable') {
    const because = result.tried[0]?.because ?? 'no answer'
    return { message: `The server does not answer (${because}); nothing was changed.`, next: 'Try again.', code: '' }
  }
  const message = `The request went out and no answer came (${result.because}); it may still be carried out.`
  return { message, next: 'Look at the state before you ask again.', code: '' }
}
