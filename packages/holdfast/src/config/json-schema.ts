/** The schemas of `holdfast.yaml` and of drill files in the form editors read, for `npm run schema`. */
import { z } from 'zod'
import { drillSchema } from './drill-schema.ts'
import { descriptionSchema } from './schema.ts'

export function descriptionJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(descriptionSchema, { io: 'input' })
  return { $schema, $id: 'holdfast.v1.json', title: 'holdfast.yaml, version 1', ...rest }
}

export function drillJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(drillSchema, { io: 'input' })
  return { $schema, $id: 'drill.v1.json', title: 'A drill file, version 1', ...rest }
}
