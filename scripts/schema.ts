/**
 * Writes what follows from schemas. From those of `holdfast.yaml` and of drill files: the JSON Schemas for editors, and
 * the key tables of their references. From those of the server's API: the OpenAPI document and the client's types.
 * `--check` writes nothing and fails when one of them is out of date.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { descriptionJsonSchema, drillJsonSchema } from '../packages/holdfast/src/config/json-schema.ts'
import { openApiDocument } from '../packages/holdfast/src/server/api/openapi.ts'
import { clientFiles } from './schema/client-types.ts'
import { keyTables } from './schema/key-tables.ts'

const ROOT = join(import.meta.dirname, '..')
const REFERENCE = 'docs/reference/configuration.md'
const DRILL_REFERENCE = 'docs/reference/drill-file.md'
/** What stands above is written by hand. */
const MARK = '<!-- Made by `npm run schema` from here on. -->'

const schema = descriptionJsonSchema()
const { version } = JSON.parse(present('packages/holdfast/package.json') ?? '{}') as { version: string }
const drillFile = drillJsonSchema()
const wanted: Readonly<Record<string, string>> = {
  'packages/holdfast/schema/holdfast.v1.json': `${JSON.stringify(schema, null, 2)}\n`,
  'packages/holdfast/schema/drill.v1.json': `${JSON.stringify(drillFile, null, 2)}\n`,
  [REFERENCE]: reference(REFERENCE, schema),
  [DRILL_REFERENCE]: reference(DRILL_REFERENCE, drillFile),
  'packages/holdfast/schema/openapi.json': `${JSON.stringify(openApiDocument(version), null, 2)}\n`,
  ...Object.fromEntries(Object.entries(clientFiles()).map(([path, text]) => [path, formatted(path, text)])),
}

for (const [path, text] of Object.entries(wanted)) {
  if (process.argv.includes('--check')) {
    const current = present(path) === text
    console.log(current ? `${path} is up to date` : `${path} is out of date; run: npm run schema`)
    if (!current) process.exitCode = 1
  } else {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true })
    writeFileSync(join(ROOT, path), text)
    console.log(`wrote ${path}`)
  }
}

function reference(path: string, of: object): string {
  return `${(present(path) ?? '').split(MARK)[0]}${MARK}\n\n${keyTables(of)}\n`
}

function present(path: string): string | null {
  try {
    return readFileSync(join(ROOT, path), 'utf8')
  } catch {
    return null
  }
}

/** As Biome would have it, since it checks these files like any other. */
function formatted(path: string, text: string): string {
  const biome = join(ROOT, 'node_modules', '.bin', 'biome')
  const words = ['check', '--write', `--stdin-file-path=${path}`]
  const done = spawnSync(biome, words, { input: text, cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
  if (done.status !== 0) throw new Error(`biome does not take ${path}: ${done.stderr}`)
  return done.stdout
}
