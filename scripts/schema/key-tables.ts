/** One table per block of the description, from its JSON Schema. */

interface Node {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
  readonly additionalProperties?: Node | boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
}

/** Blocks that mean the same wherever they stand are told once, in the words above the tables. */
const TOLD_ABOVE = /(^|\.)(token|password|superuser|replication|tls)$/

export function keyTables(schema: object): string {
  const sections: string[] = []
  walk(schema as Node, '', sections)
  return sections.join('\n\n')
}

function walk(node: Node, path: string, sections: string[]): void {
  const block = node.type === 'array' ? (node.items ?? {}) : node
  const branches = (block.oneOf ?? block.anyOf ?? [block]).filter((branch) => branch.properties !== undefined)
  for (const branch of branches) {
    sections.push(section(branch, title(branch, path)))
    for (const [key, inner] of Object.entries(branch.properties ?? {})) {
      const below = path === '' ? key : `${path}.${key}`
      if (!TOLD_ABOVE.test(below) || (key === 'tls' && isClient(branch))) walk(inner, below, sections)
    }
  }
}

/** Where the certificate is a client's, and may be left out. */
function isClient(branch: Node): boolean {
  return branch.properties?.kind?.const === 'etcd' || branch.properties?.by?.const === 'patroni'
}

function title(branch: Node, path: string): string {
  const name = path === '' ? 'The whole file' : `\`${path}\``
  for (const key of ['kind', 'by']) {
    const value = branch.properties?.[key]?.const
    if (value !== undefined) return `${name}, \`${key}: ${String(value)}\``
  }
  return branch.properties?.supervised === undefined ? name : `${name}, led by another program`
}

function section(block: Node, heading: string): string {
  const rows = Object.entries(block.properties ?? {}).map(([key, node]) => {
    const required = block.required?.includes(key) === true ? 'yes' : ''
    return `| \`${key}\` | ${required} | ${valueText(node)} | ${meaning(node)} |`
  })
  const head = '| Key | Required | Value | Meaning |\n|---|---|---|---|'
  return [`### ${heading}`, '', ...(block.description ? [block.description, ''] : []), head, ...rows].join('\n')
}

function meaning(node: Node): string {
  return cell(node.description ?? node.items?.description ?? '')
}

function valueText(node: Node): string {
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (node.type === 'array') return 'list'
  if (node.properties !== undefined && 'env' in node.properties) return 'secret'
  if (node.type === 'object' || node.oneOf !== undefined) return 'block'
  if (node.anyOf !== undefined) return 'see meaning'
  if (node.type === 'boolean') return '`true`, `false`'
  if (node.type === 'integer') return `${node.minimum} to ${node.maximum}`
  return wordFor(node.pattern)
}

function wordFor(pattern: string | undefined): string {
  if (pattern === undefined) return 'path'
  if (pattern.includes('ms|s|m|h|d')) return 'duration'
  if (pattern.includes('KiB')) return 'size'
  if (pattern.includes(':\\d{1,5}')) return 'host:port'
  return 'text'
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
