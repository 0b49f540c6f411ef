/**
 * Writes what follows from the schema of `holdfast.yaml`: the JSON Schema for editors, and the key tables of its
 * reference. `--check` writes nothing and fails when one of them is out of date.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { descriptionJsonSchema } from '../packages/holdfast/src/config/json-schema.ts'
import { keyTables } from './schema/key-tables.ts'

const ROOT = join(import.meta.dirname, '..')
const REFERENCE = 'docs/reference/configuration.md'
/** What stands above is written by hand. */
const MARK = '<!-- Made by `npm run schema` from here on. -->'

const schema = descriptionJsonSchema()
const wanted: Readonly<Record<string, string>> = {
  'packages/holdfast/schema/holdfast.v1.json': `${JSON.stringify(schema, null, 2)}\n`,
  [REFERENCE]: `${(present(REFERENCE) ?? '').split(MARK)[0]}${MARK}\n\n${keyTables(schema)}\n`,
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

function present(path: string): string | null {
  try {
    return readFileSync(join(ROOT, path), 'utf8')
  } catch {
    return null
  }
}
