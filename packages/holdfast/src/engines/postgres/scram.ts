/**
 * The server must prove that it knows our password (SCRAM, RFC 5802) before it is believed, and never gets to see it.
 * `pg` by itself would send it in the clear to any server that asks, and believe one that asks for nothing. Over TLS
 * the proof is bound to the connection (`enableChannelBinding`). Uses two inner names of `pg`; the test notices when
 * they change.
 */
import type { Duplex } from 'node:stream'
import type { Client } from 'pg'

interface Inner {
  readonly connection: { readonly stream: Duplex; once(event: string, listener: () => void): void }
  _handleAuthCleartextPassword: () => void
  _handleAuthMD5Password: () => void
}

/** To be called before `connect`; what it returns throws after it unless the server proved itself. */
export function demandScram(client: Client): () => void {
  const inner = client as unknown as Inner
  let proven = false
  const refuse = (): void => {
    const because = 'the server asks for the password itself, which only SCRAM keeps secret; see who answers there'
    inner.connection.stream.destroy(new Error(because))
  }
  inner._handleAuthCleartextPassword = refuse
  inner._handleAuthMD5Password = refuse
  // `pg` checks the server's signature itself and breaks off when it is wrong.
  inner.connection.once('authenticationSASLFinal', () => {
    proven = true
  })
  return () => {
    if (proven) return
    throw new Error('the server asked for no password, so it proved nothing; its pg_hba.conf must say scram-sha-256')
  }
}
