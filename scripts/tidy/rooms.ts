/**
 * The one table of arrows: which room may import from which. A room is a folder (or a file) of the repository; the
 * longest matching prefix decides. Change it together with docs/internals/house.md, and say why in an ADR.
 */
export interface Room {
  readonly name: string
  readonly prefixes: readonly string[]
  /** Names of the rooms it may import from besides itself; `*` for all. */
  readonly mayImport: readonly string[]
  /** Packages from outside: all of them, only Node's own, or none. */
  readonly packages: 'any' | 'node' | 'none'
}

const PRODUCT = 'packages/holdfast/src'

export const ROOMS: readonly Room[] = [
  { name: 'core', prefixes: [`${PRODUCT}/core/`], mayImport: [], packages: 'none' },
  { name: 'errors', prefixes: [`${PRODUCT}/errors.ts`], mayImport: [], packages: 'none' },
  { name: 'io', prefixes: [`${PRODUCT}/io/`], mayImport: ['core', 'errors'], packages: 'any' },
  {
    name: 'store',
    prefixes: [`${PRODUCT}/store/`],
    mayImport: ['core', 'errors', 'io', 'store-contract'],
    packages: 'any',
  },
  {
    name: 'store-contract',
    prefixes: [`${PRODUCT}/store/contract.ts`],
    mayImport: ['core', 'errors'],
    packages: 'none',
  },
  {
    name: 'engines',
    prefixes: [`${PRODUCT}/engines/`],
    mayImport: ['core', 'errors', 'io', 'engine-contract'],
    packages: 'any',
  },
  {
    name: 'engine-contract',
    prefixes: [`${PRODUCT}/engines/contract.ts`],
    mayImport: ['core', 'errors'],
    packages: 'none',
  },
  // The guard must work when everything around it does not: no store, no engine driver, no package on its path (R3).
  {
    name: 'guard',
    prefixes: [`${PRODUCT}/guard/`],
    mayImport: ['core', 'errors', 'io', 'guard-protocol', 'engine-contract'],
    packages: 'node',
  },
  {
    name: 'guard-protocol',
    prefixes: [`${PRODUCT}/guard/protocol.ts`],
    mayImport: ['core', 'errors'],
    packages: 'none',
  },
  {
    name: 'sim',
    prefixes: [`${PRODUCT}/sim/`],
    mayImport: ['core', 'errors', 'store-contract', 'engine-contract', 'guard-protocol'],
    packages: 'node',
  },
  { name: 'config', prefixes: [`${PRODUCT}/config/`], mayImport: ['core', 'errors', 'io'], packages: 'any' },
  // Writes and reads as a client does; for the server, the command line and drills.
  {
    name: 'canary',
    prefixes: [`${PRODUCT}/canary/`],
    mayImport: ['core', 'errors', 'io', 'config', 'engines'],
    packages: 'any',
  },
  // Runs drills, for the command line and the server.
  {
    name: 'drills',
    prefixes: [`${PRODUCT}/drills/`],
    mayImport: [
      ...[
        'core',
        'errors',
        'io',
        'config',
        'client',
        'engines',
        'engine-contract',
        'store',
        'store-contract',
        'evidence',
        'canary',
      ],
    ],
    packages: 'any',
  },
  // Reports that somebody checks years later: what is signed, how it reads, how it is verified.
  { name: 'evidence', prefixes: [`${PRODUCT}/evidence/`], mayImport: ['core', 'errors', 'io'], packages: 'any' },
  // Runs plans; knows agents by their HTTP API alone, so that a person's command can run one from anywhere.
  {
    name: 'plans',
    prefixes: [`${PRODUCT}/plans/`],
    mayImport: ['core', 'errors', 'io', 'config', 'client', 'store-contract'],
    packages: 'any',
  },
  {
    name: 'agent',
    prefixes: [`${PRODUCT}/agent/`],
    mayImport: [
      ...['core', 'errors', 'io', 'config', 'client', 'guard', 'guard-protocol', 'plans'],
      ...['engines', 'engine-contract', 'store', 'store-contract'],
    ],
    packages: 'any',
  },
  {
    name: 'router',
    prefixes: [`${PRODUCT}/router/`],
    mayImport: ['core', 'errors', 'io', 'config', 'client', 'engines', 'engine-contract', 'store', 'store-contract'],
    packages: 'any',
  },
  // Asks agents and routers as Prometheus does; a server that leads may run it.
  { name: 'alerts', prefixes: [`${PRODUCT}/alerts/`], mayImport: ['core', 'errors', 'io', 'config'], packages: 'any' },
  {
    name: 'server',
    prefixes: [`${PRODUCT}/server/`],
    mayImport: [
      ...['core', 'errors', 'io', 'config', 'client', 'evidence', 'plans', 'drills', 'canary', 'alerts', 'status-view'],
      ...['engines', 'engine-contract', 'store', 'store-contract'],
    ],
    packages: 'any',
  },
  // Pure; the command line draws it, the server tells it.
  {
    name: 'status-view',
    prefixes: ['status-view', 'supervised-facts', 'supervised-view'].map((name) => `${PRODUCT}/cli/${name}.ts`),
    mayImport: ['core', 'errors', 'config', 'client', 'engines'],
    packages: 'none',
  },
  { name: 'cli', prefixes: [`${PRODUCT}/cli/`], mayImport: ['*'], packages: 'any' },
  { name: 'launcher', prefixes: ['packages/holdfast/bin/'], mayImport: ['cli'], packages: 'node' },
  // Goes into other people's applications: no dependencies; drivers are passed in.
  { name: 'client', prefixes: ['packages/client/src/'], mayImport: [], packages: 'node' },
  { name: 'dashboard', prefixes: ['packages/dashboard/'], mayImport: ['client'], packages: 'any' },
  { name: 'scripts', prefixes: ['scripts/'], mayImport: ['*'], packages: 'any' },
  { name: 'tests', prefixes: ['test/', 'bench/'], mayImport: ['*'], packages: 'any' },
]

/** Folders whose sub-folders are adapters; none of them knows another. */
export const ADAPTER_HOMES: readonly string[] = [`${PRODUCT}/engines/`, `${PRODUCT}/store/`]

/** Names under which our own packages import each other, and the folder that stands behind each. */
export const OWN_PACKAGES: Readonly<Record<string, string>> = {
  '@holdfast/client': 'packages/client/src/index.ts',
}

export function roomOf(path: string): Room | null {
  let best: Room | null = null
  let bestLength = 0
  for (const room of ROOMS) {
    for (const prefix of room.prefixes) {
      if (path.startsWith(prefix) && prefix.length > bestLength) {
        best = room
        bestLength = prefix.length
      }
    }
  }
  return best
}

/** `etcd` for `packages/holdfast/src/store/etcd/client.ts`; null for files that belong to no adapter. */
export function adapterOf(path: string): string | null {
  const home = ADAPTER_HOMES.find((prefix) => path.startsWith(prefix))
  if (home === undefined) return null
  const rest = path.slice(home.length)
  const slash = rest.indexOf('/')
  return slash === -1 ? null : home + rest.slice(0, slash)
}
