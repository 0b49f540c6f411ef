/** Certificates for tests of TLS, made with openssl when they are needed. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly directory: string
}

/** An authority and one certificate that serves both ends, for 127.0.0.1 and for `addresses`. */
export function makeCertificates(directory: string, addresses: readonly string[] = []): Certificates {
  const path = (name: string) => join(directory, name)
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe' })
  const key = (name: string) => [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    path(name),
  ]
  const authority = ['-subj', '/CN=holdfast test authority', '-out', path('ca.pem')]
  openssl('req', '-x509', '-days', '2', ...key('ca-key.pem'), ...authority)
  openssl('req', ...key('key.pem'), '-subj', '/CN=holdfast test', '-out', path('request.pem'))
  const names = [...new Set(['127.0.0.1', ...addresses])].map((address) => `IP:${address}`)
  writeFileSync(path('names.cnf'), `subjectAltName=${names.join(',')}\n`)
  const signer = ['-CA', path('ca.pem'), '-CAkey', path('ca-key.pem'), '-CAcreateserial', '-days', '2']
  openssl(
    'x509',
    '-req',
    '-in',
    path('request.pem'),
    ...signer,
    '-extfile',
    path('names.cnf'),
    '-out',
    path('cert.pem'),
  )
  const read = (name: string) => readFileSync(path(name), 'utf8')
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem'), directory }
}
