/**
 * Starts and ends the embedded store: opens its file, listens. Without a token it listens on loopback only. What is
 * asked and answered is left to answers.ts, durability to file.ts.
 */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, isIPv6 } from 'node:net'
import { HoldfastError } from '../../errors.ts'
import { StoreAnswers } from './answers.ts'
import { StoreFile } from './file.ts'

/** Agents, routers, people; each holds a few connections. */
const CONNECTIONS_MAX = 2_048
/** Longer than any client keeps an idle connection: it is the client who closes, so no request meets a close. */
const KEEP_ALIVE_MS = 75_000
/** A request is one small packet; whoever takes longer to send it is not one of us. */
const REQUEST_MS = 5_000

export interface EmbeddedStoreOptions {
  readonly host: string
  /** 0 takes a free one; the url tells which. */
  readonly port: number
  readonly file: string
  /** Null: anybody on this machine may read and write; only for loopback. */
  readonly token: string | null
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly log?: (message: string, detail: Readonly<Record<string, unknown>>) => void
}

export interface EmbeddedStore {
  readonly url: string
  /** Ends streams and connections, folds the log back and frees the file. Idempotent. */
  close(): Promise<void>
}

/** Opens or makes the file and listens. Throws a HoldfastError when either cannot be. */
export async function startEmbeddedStore(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  const { host, port, token, tls, log = () => {} } = options
  if (!token && !isLoopback(host)) {
    throw new HoldfastError(
      'HF_STORE_NEEDS_TOKEN',
      `the store would listen on ${host} without a token: everybody who reaches it could take every lease`,
      'set a token (store.token in holdfast.yaml), or listen on 127.0.0.1',
    )
  }
  if (token && !/^[\x21-\x7e]+$/.test(token)) {
    throw new HoldfastError(
      'HF_STORE_SETTINGS_INVALID',
      'the token of the store has blanks or characters that HTTP cannot carry',
      'use letters, digits and punctuation',
    )
  }
  const file = await StoreFile.open(options.file)
  const answers = new StoreAnswers(file, token || null, log)
  const handler = (request: IncomingMessage, response: ServerResponse) => answers.handle(request, response)
  let server: Server | undefined
  try {
    const limits = {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      // Node looks for connections beyond these limits only so often.
      connectionsCheckingInterval: 1_000,
      noDelay: true,
    }
    const tlsLimits = { ...limits, handshakeTimeout: REQUEST_MS }
    server =
      tls === undefined ? createHttpServer(limits, handler) : createHttpsServer({ ...tlsLimits, ...tls }, handler)
    server.maxConnections = CONNECTIONS_MAX
    await listen(server, host, port)
  } catch (error) {
    answers.close()
    throw new HoldfastError(
      'HF_STORE_ADDRESS_UNUSABLE',
      `the store cannot listen on ${host}:${port}: ${error instanceof Error ? error.message : error}`,
      'free the port or choose another; check certificate and key when TLS is set',
      error,
    )
  }
  const url = `${tls === undefined ? 'http' : 'https'}://${hostText(host)}:${(server.address() as AddressInfo).port}`
  log('store serves', { url, file: options.file, ...file.stamp() })
  const running = server
  let closed: Promise<void> | undefined
  const close = () => {
    answers.close()
    return new Promise<void>((resolve) => {
      running.close(() => resolve())
      running.closeAllConnections()
    })
  }
  return {
    url,
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

function hostText(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}
