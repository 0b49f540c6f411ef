/**
 * The client's types of the server's API, as TypeScript text, from the same schemas as the OpenAPI document. Knows the
 * JSON Schema that zod writes, no more; an unknown form fails the run.
 */

import { openApiDocument, schemaOf } from '../../packages/holdfast/src/server/api/openapi.ts'
import { API_PREFIX, API_ROUTES, type ApiRoute } from '../../packages/holdfast/src/server/api/routes.ts'

interface Node {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
  readonly additionalProperties?: Node | boolean
}

const OPENING = `/**
 * What \`holdfast server\` takes and answers. Made by \`npm run schema\` from the table of its routes.
 */
`

/** The client's files, by their path in the repository; not yet formatted. */
export function clientFiles(): Readonly<Record<string, string>> {
  const document = openApiDocument('') as { components: { schemas: Record<string, Node> } }
  const types = Object.entries(document.components.schemas).map(([id, node]) => declaration(id, node))
  const routes = Object.entries<ApiRoute>(API_ROUTES).map(([id, route]) => `  readonly ${id}: ${routeType(route)}`)
  const table = Object.entries<ApiRoute>(API_ROUTES).map(
    ([id, { method, path }]) => `  ${id}: { method: '${method}', path: '${API_PREFIX}${path}' },`,
  )
  const used = Object.keys(document.components.schemas).map(typeName)
  const named = used.filter((name) => routes.some((route) => new RegExp(`\\b${name}\\b`).test(route)))
  return {
    'packages/client/src/server-types.ts': [OPENING, ...types].join('\n'),
    'packages/client/src/server-routes.ts': [
      OPENING,
      `import type { ${named.join(', ')} } from './server-types.ts'\n`,
      '/** By name: what goes in, what comes out. */',
      `export interface ServerRoutes {\n${routes.join('\n')}\n}\n`,
      `export const SERVER_ROUTES = {\n${table.join('\n')}\n} as const\n`,
    ].join('\n'),
  }
}

function declaration(id: string, node: Node): string {
  const comment = node.description === undefined ? '' : `/** ${node.description} */\n`
  if (node.type === 'object' && node.properties !== undefined) {
    return `${comment}export interface ${typeName(id)} ${objectType(node, '')}\n`
  }
  return `${comment}export type ${typeName(id)} = ${typeText(node, '')}\n`
}

/** What agents answer has some of these names already, and plain \`Error\` and \`Event\` belong to the language. */
function typeName(id: string): string {
  return id === 'StreamMessage' ? id : `Api${id}`
}

function routeType(route: ApiRoute): string {
  const parts: [string, string][] = []
  for (const key of ['params', 'query', 'body'] as const) {
    const schema = route[key]
    if (schema === undefined) continue
    parts.push([key, typeText(schemaOf(schema, key === 'query' ? 'output' : 'input') as Node, '    ')])
  }
  const { answer } = route
  const text = typeof answer === 'string' ? `'${answer}'` : typeText(schemaOf(answer, 'output') as Node, '    ')
  const lines = [...parts, ['answer', text]].map(([key, type]) => `    readonly ${key}: ${type}`)
  return `{\n${lines.join('\n')}\n  }`
}

function typeText(node: Node, indent: string): string {
  if (node.$ref !== undefined) return typeName(node.$ref.split('/').at(-1) ?? '')
  if (node.const !== undefined) return literal(node.const)
  if (node.enum !== undefined) return node.enum.map(literal).join(' | ')
  const branches = node.anyOf ?? node.oneOf
  if (branches !== undefined) return branches.map((branch) => typeText(branch, indent)).join(' | ')
  if (typeof node.type === 'object') return node.type.map((type) => typeText({ ...node, type }, indent)).join(' | ')
  if (node.type === 'array') return arrayType(node.items ?? {}, indent)
  if (node.type === 'object') return objectType(node, indent)
  if (Object.keys(node).length === 0) return 'unknown'
  const plain = { string: 'string', number: 'number', integer: 'number', boolean: 'boolean', null: 'null' }[
    node.type ?? ''
  ]
  if (plain === undefined) throw new Error(`no type for ${JSON.stringify(node)}`)
  return plain
}

function arrayType(items: Node, indent: string): string {
  const inner = typeText(items, indent)
  return inner.includes(' | ') ? `readonly (${inner})[]` : `readonly ${inner}[]`
}

function objectType(node: Node, indent: string): string {
  const { properties, additionalProperties } = node
  if (properties === undefined && typeof additionalProperties === 'object') {
    return `Readonly<Record<string, ${typeText(additionalProperties, indent)}>>`
  }
  const deeper = `${indent}  `
  const lines = Object.entries(properties ?? {}).flatMap(([key, inner]) => {
    const optional = node.required?.includes(key) === true ? '' : '?'
    const line = `${deeper}readonly ${key}${optional}: ${typeText(inner, deeper)}`
    return inner.description === undefined ? [line] : [`${deeper}/** ${inner.description} */`, line]
  })
  return lines.length === 0 ? 'Readonly<Record<string, never>>' : `{\n${lines.join('\n')}\n${indent}}`
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}
