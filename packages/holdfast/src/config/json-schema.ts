/** The schema of `holdfast.yaml` in the form editors read. Generated from `schema.ts` by `npm run schema`. */
import { z } from 'zod'
import { descriptionSchema } from './schema.ts'

export function descriptionJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(descriptionSchema, { io: 'input' })
  return { $schema, $id: 'holdfast.v1.json', title: 'holdfast.yaml, version 1', ...rest }
}
