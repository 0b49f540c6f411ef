/** The OpenAPI 3.1 document, made from the table of routes. Pure. */
import { z } from 'zod'
import { streamSchema } from './events.ts'
import { API_PREFIX, API_ROUTES, type ApiRoute } from './routes.ts'
import { apiSchemas, named } from './shape.ts'

type Json = Record<string, unknown>

export const errorSchema = named(
  'Error',
  z.object({
    error: z.object({
      code: z.string().describe('`HF_...`; docs/reference/errors.md explains each.'),
      message: z.string(),
      next: z.string().describe('What to do about it.'),
      retryable: z.boolean(),
      doc: z.string(),
    }),
  }),
)

const REF = '#/components/schemas/'
const MADE_BY = { [`${REF}StreamMessage`]: streamSchema, [`${REF}Error`]: errorSchema }

export function openApiDocument(version: string): Json {
  const { schemas } = z.toJSONSchema(apiSchemas, { uri: (id) => `${REF}${id}` })
  const components = Object.fromEntries(
    Object.entries(schemas)
      .map(([id, schema]) => [id, bare(schema)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
  const paths: Record<string, Json> = {}
  for (const [id, route] of Object.entries<ApiRoute>(API_ROUTES)) {
    const path = `${API_PREFIX}${route.path.replace(/:(\w+)/g, '{$1}')}`
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(id, route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast server',
      version,
      description: 'Everything the command line and the dashboard do. Errors carry a code and a next step.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ session: [] }, { token: [] }],
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'holdfast-session' },
        token: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}

/** The reference to a schema that has a name, else the schema itself. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  for (const [reference, known] of Object.entries(MADE_BY)) if (known === schema) return { $ref: reference }
  const id = apiSchemas.get(schema)?.id
  if (id !== undefined) return { $ref: `${REF}${id}` }
  if (schema instanceof z.ZodArray) return { type: 'array', items: schemaOf(schema.element as z.ZodType, io) }
  return bare(z.toJSONSchema(schema, { io }))
}

function bare(schema: object): Json {
  const { $schema: _dialect, $id: _address, id: _id, ...rest } = schema as Json
  return rest
}

function operation(id: string, route: ApiRoute): Json {
  const parameters = [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')]
  const changes = route.method !== 'GET' && route.needs !== 'public'
  if (changes) parameters.push(CSRF_PARAMETER)
  return {
    operationId: id,
    summary: route.summary,
    'x-needs': route.needs,
    ...(route.needs === 'public' ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(schemaOf(route.body, 'input')) } }),
    responses: {
      ...answerOf(route),
      default: { description: 'Why not', content: json(schemaOf(errorSchema, 'output')) },
    },
  }
}

const CSRF_PARAMETER: Json = {
  name: 'holdfast-csrf',
  in: 'header',
  required: false,
  description: 'The `csrf` of the session; needed with the cookie, not with a token.',
  schema: { type: 'string' },
}

function parametersOf(schema: z.ZodType | undefined, where: 'path' | 'query'): Json[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: where === 'query' ? 'output' : 'input' })
  return Object.entries(properties).map(([name, inner]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: inner,
  }))
}

function answerOf({ answer }: ApiRoute): Json {
  const location = { schema: { type: 'string' } }
  if (answer === 'redirect') return { 303: { description: 'Go there', headers: { location } } }
  if (answer === 'lines') {
    return { 200: { description: 'One JSON document a line', content: { 'application/x-ndjson': { schema: {} } } } }
  }
  if (answer === 'file') {
    return { 200: { description: 'The file', content: { 'application/octet-stream': { schema: {} } } } }
  }
  if (answer === 'stream') {
    const description = 'Server-sent events: `event:` is the type of a StreamMessage, `data:` its data'
    return { 200: { description, content: { 'text/event-stream': { schema: schemaOf(streamSchema, 'output') } } } }
  }
  return { 200: { description: 'Done', content: json(schemaOf(answer, 'output')) } }
}

function json(schema: Json): Json {
  return { 'application/json': { schema } }
}
