/** What a handler gets and gives: the parts of a request that the contract names, checked, and who asks. */
import type { ServerRoutes } from '@holdfast/client'
import type { z } from 'zod'
import type { Principal } from '../access/grants.ts'
import type { API_ROUTES, RouteId } from '../api/routes.ts'

type Part<R, K extends string> = R extends Readonly<Record<K, infer S extends z.ZodType>> ? z.output<S> : undefined

export interface Call<K extends RouteId> {
  readonly params: Part<(typeof API_ROUTES)[K], 'params'>
  readonly query: Part<(typeof API_ROUTES)[K], 'query'>
  readonly body: Part<(typeof API_ROUTES)[K], 'body'>
  /** Null on public routes. */
  readonly who: Principal | null
  /** Where the request came from. */
  readonly address: string
  readonly cookies: ReadonlyMap<string, string>
  readonly lastEventId: number | null
}

/** What goes out beside the document. */
export interface Extras {
  readonly cookies?: readonly string[]
}

export type Outcome<T> =
  | { readonly kind: 'document'; readonly document: T; readonly extras?: Extras }
  | { readonly kind: 'redirect'; readonly to: string; readonly extras?: Extras }
  | { readonly kind: 'file'; readonly type: string; readonly fileName: string; readonly bytes: Buffer }
  | { readonly kind: 'lines'; readonly lines: AsyncIterable<string>; readonly fileName: string }
  | StreamOutcome

export interface StreamOutcome {
  readonly kind: 'stream'
  readonly open: (sink: StreamSink) => () => void
  /** Whether what was opened is still what he may read. */
  readonly still: (who: Principal) => boolean
}

/** An open answer of the stream. */
export interface StreamSink {
  readonly write: (text: string) => void
  readonly backlog: () => number
  readonly end: () => void
}

type AnswerOf<K extends RouteId> = ServerRoutes[K]['answer'] extends infer A
  ? A extends 'lines' | 'stream' | 'redirect' | 'file'
    ? never
    : A
  : never

export type Handler<K extends RouteId> = (call: Call<K>) => Promise<Outcome<AnswerOf<K>>>

/** One for every route of the contract; without it this does not compile. */
export type Handlers = { readonly [K in RouteId]: Handler<K> }

export function document<T>(value: T, extras?: Extras): Outcome<T> {
  return { kind: 'document', document: value, ...(extras === undefined ? {} : { extras }) }
}
