/** One row of the table of routes. */
import type { z } from 'zod'
import type { Right } from './roles.ts'

export interface ApiRoute {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`; `:name` takes one segment. */
  readonly path: string
  readonly summary: string
  /** `public`: no session; `session`: any; a right: over what is in the path, or over everything. */
  readonly needs: Right | 'session' | 'public'
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** What a 200 carries; `lines`, `file` and `stream` are no JSON document, `redirect` is a 303. */
  readonly answer: z.ZodType | 'lines' | 'stream' | 'redirect' | 'file'
}
