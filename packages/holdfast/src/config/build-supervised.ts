/** From a described group that another program leads to its specification: defaults, absolute paths, secrets. */
import { resolve } from 'node:path'
import type { Path } from './mistake.ts'
import type { Description, SecretSource } from './schema.ts'
import { keyFileMistake, type SecretReader } from './secrets.ts'
import type { SupervisedSpec } from './supervised.ts'

export interface SupervisedContext {
  readonly folder: string
  readonly secrets: SecretReader
  /** Looking and asking need every secret of these groups, also where those of managed ones are not needed. */
  readonly need: 'all' | 'agents' | 'alerts' | 'none'
}

type DescribedGroup = Description['groups'][number]
export type DescribedSupervised = Extract<DescribedGroup, { readonly supervised: unknown }>

export function isSupervised(group: DescribedGroup): group is DescribedSupervised {
  return 'supervised' in group
}

export function supervisedOf(group: DescribedSupervised, index: number, context: SupervisedContext): SupervisedSpec {
  const { supervised } = group
  const at = (...rest: string[]): Path => ['groups', index, 'supervised', ...rest]
  const secret = (source: SecretSource, ...rest: string[]) =>
    context.secrets.read(source, at(...rest), 'password', asked(context))
  const { username, password } = supervised
  const observer = 'observer' in supervised ? supervised.observer : undefined
  return {
    name: group.name,
    by: supervised.by,
    endpoints: supervised.endpoints.map((endpoint) => endpoint.replace(/\/$/, '')),
    called:
      supervised.by === 'sentinel' ? supervised.monitors : supervised.by === 'patroni' ? (supervised.scope ?? '') : '',
    login: password === undefined ? null : { user: username ?? '', password: secret(password, 'password') },
    observer:
      observer === undefined
        ? null
        : {
            user: observer.user ?? '',
            password: secret(observer.password, 'observer', 'password'),
            database: supervised.by === 'patroni' ? (supervised.observer?.database ?? 'postgres') : '',
          },
    tls: tlsOf(supervised.tls, at('tls', 'key'), context),
    sites: supervised.sites ?? {},
  }
}

function tlsOf(
  tls: DescribedSupervised['supervised']['tls'],
  path: Path,
  context: SupervisedContext,
): SupervisedSpec['tls'] {
  if (tls === undefined) return null
  const file = (name: string | undefined) => (name === undefined ? null : resolve(context.folder, name))
  const keyFile = file(tls.key)
  const wrong = keyFile === null || !asked(context) ? null : keyFileMistake(keyFile)
  if (wrong !== null) context.secrets.mistakes.push({ path, at: 'value', what: wrong.what, right: wrong.right })
  return { caFile: resolve(context.folder, tls.ca), certFile: file(tls.cert), keyFile }
}

function asked({ need }: SupervisedContext): boolean {
  return need === 'all' || need === 'agents'
}
