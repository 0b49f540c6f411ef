/**
 * Building blocks of the API's schemas. A schema that is `named` becomes a component of the OpenAPI document and a type
 * of the client under that name; everything else is written out where it stands.
 */
import { z } from 'zod'

export const apiSchemas = z.registry<{ id: string }>()

export function named<T extends z.ZodType>(id: string, schema: T): T {
  apiSchemas.add(schema, { id })
  return schema
}

/** As in `holdfast.yaml`. */
export const NAME = /^[a-z][a-z0-9-]{0,39}$/
/** A person's name of an account; may be an address of mail. */
export const ACCOUNT = /^[a-z0-9][a-z0-9._@+-]{0,63}$/
const ID = /^[A-Za-z0-9_-]{1,64}$/
const TEXT_MAX = 200
/** Far beyond any count or byte position that makes sense, and exact in every JSON reader. */
const WHOLE_MAX = Number.MAX_SAFE_INTEGER

export const name = () => z.string().regex(NAME)
export const account = () => z.string().regex(ACCOUNT)
export const id = () => z.string().regex(ID)
/** What people write: one line, no control characters. */
export const text = (max = TEXT_MAX) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}]*$/u)
export const whole = (max = WHOLE_MAX) => z.int().min(0).max(max)
/** Milliseconds since 1970 by the wall clock of who tells it. */
export const wallMs = () => z.number()

/** A decision's numbers: plain values, so that they can be shown, searched and compared. */
export const detail = () => z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))

export const verdictSchema = named(
  'Verdict',
  z.object({
    safe: z.boolean().describe('The loss of the primary, this second, would be survived without acknowledged loss.'),
    because: z.string(),
  }),
)
