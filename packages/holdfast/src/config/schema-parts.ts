/** What the schema of `holdfast.yaml` is made of: kinds of values, each with the words that say what would be right. */
import { z } from 'zod'
import { ADDRESS_PATTERN, BYTES_PATTERN, DURATION_PATTERN } from './quantities.ts'

/** Lists longer than this are a mistake of a generator, and would make every check slow. */
const LIST_MAX = 256
export const TEXT_MAX = 4_096

const NAME_PATTERN = /^[a-z][a-z0-9-]{0,39}$/

export function text(right: string) {
  return z.string({ error: right }).min(1, { error: right }).max(TEXT_MAX, { error: right })
}

export function matching(pattern: RegExp, right: string) {
  return z.string({ error: right }).regex(pattern, { error: right })
}

export function name(of: string) {
  const right = `a name of the ${of}: a small letter, then small letters, digits and "-", at most 40`
  return matching(NAME_PATTERN, right).describe(`Name of the ${of}.`)
}

export function reference(to: string) {
  return matching(NAME_PATTERN, `the name of ${to}`).describe(`Name of ${to}.`)
}

export function duration(description: string) {
  return matching(DURATION_PATTERN, 'a number and a unit: ms, s, m, h or d, e.g. 500ms or 30s').describe(description)
}

export function bytes(description: string) {
  return matching(BYTES_PATTERN, 'a number and a unit, e.g. 16MiB or 64kB').describe(description)
}

export function address(description: string) {
  return matching(ADDRESS_PATTERN, 'host:port, e.g. 127.0.0.1:5432 or "[::1]:5432"').describe(description)
}

export function path(description: string) {
  return text('a path; a relative one starts at the folder of this file').describe(description)
}

export function choice<const T extends readonly [string, ...string[]]>(values: T, description: string) {
  const right = values.length === 1 ? `${values[0]}, the only one there is` : `one of ${values.join(', ')}`
  return z.enum(values, { error: right }).describe(description)
}

export function whole(low: number, high: number, description: string) {
  const right = `a whole number from ${low} to ${high}`
  return z.int({ error: right }).min(low, { error: right }).max(high, { error: right }).describe(description)
}

export function flag(description: string) {
  return z.boolean({ error: 'true or false' }).describe(description)
}

export function block<T extends z.ZodRawShape>(shape: T, description: string) {
  // The known keys travel in the message, so that an unknown one can be met with the nearest.
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, { error: `a block with the keys ${known}` }).describe(description)
}

export function list<T extends z.ZodType>(item: T, of: string) {
  const right = `a list of 1 to ${LIST_MAX} ${of}, each starting with "- "`
  return z.array(item, { error: right }).min(1, { error: right }).max(LIST_MAX, { error: right })
}

export function variable(description: string) {
  return matching(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of an environment variable').describe(description)
}

const SECRET_RIGHT = '{ env: NAME } or { file: path }; never the secret itself'

export function secret(description: string) {
  return z
    .strictObject(
      {
        env: variable('Environment variable that holds it.').optional(),
        file: path('File that holds it; must not be readable by others.').optional(),
      },
      { error: SECRET_RIGHT },
    )
    .refine((value) => (value.env === undefined) !== (value.file === undefined), { error: SECRET_RIGHT })
    .describe(description)
}
