import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { SERVER_ROUTES } from '@holdfast/client'
import { z } from 'zod'
import { openApiDocument } from './openapi.ts'
import { API_PREFIX, API_ROUTES, type ApiRoute } from './routes.ts'

const routes = Object.entries<ApiRoute>(API_ROUTES)

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
}

describe('the contract of the server', () => {
  it('is in the OpenAPI document that ships', () => {
    const { version } = read('../../../package.json') as { version: string }
    assert.deepEqual(read('../../../schema/openapi.json'), openApiDocument(version), 'run: npm run schema')
  })

  it('is what the client calls', () => {
    const told = Object.fromEntries(routes.map(([id, { method, path }]) => [id, { method, path: API_PREFIX + path }]))
    assert.deepEqual(SERVER_ROUTES, told, 'run: npm run schema')
  })

  it('has every reference it makes', () => {
    const document = openApiDocument('1') as { components: { schemas: Record<string, unknown> } }
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)
    for (const [, id = ''] of references) assert.ok(id in document.components.schemas, id)
  })

  for (const [id, route] of routes) {
    it(`${id}: what the path names is what is checked, and nobody else has its address`, () => {
      const named = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name)
      const { properties = {} } = route.params === undefined ? {} : z.toJSONSchema(route.params)
      assert.deepEqual(Object.keys(properties), named)
      const same = routes.filter(([, other]) => other.path === route.path && other.method === route.method)
      assert.equal(same.length, 1)
    })
  }

  it('asks for a right wherever something is changed, but to log in', () => {
    const open = routes.filter(([, { needs }]) => needs === 'public').map(([id]) => id)
    assert.deepEqual(open.sort(), ['firstAdmin', 'login', 'methods', 'oidcCallback', 'oidcStart'])
  })

  it('refuses fields that nobody reads', () => {
    for (const [id, { body }] of routes) {
      if (body === undefined) continue
      assert.equal(z.toJSONSchema(body, { io: 'input' }).additionalProperties, false, id)
    }
  })
})
