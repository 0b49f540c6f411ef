/** `holdfast evidence`: the key that signs, and the check of what was signed; without agents, store or network. */
import type { Command } from 'commander'
import { verifyFiles } from '../evidence/verify.ts'
import { readFileLimited } from '../io/files.ts'
import { keyIdOf, openSigningKey } from '../io/signing.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, commonOf, countText, fail, type Shell, withOutput } from './shell.ts'

const PUBLIC_KEY_BYTES_MAX = 4_096

const VERIFY_EXAMPLES = `
Works offline, with nothing but the files. Without --key it shows that each file
is whole and names the key that signed it; with --key also that it is the key
you were given by hand. Several reports of one platform are held against each
other: one that is missing between two, or was replaced, is found.

Examples:
  holdfast evidence verify report.json
  holdfast evidence verify --key holdfast.pub reports/*.json`

const KEYGEN_EXAMPLES = `
Prints the public key, which is what an auditor is given. An existing key is
kept; only its public half is printed.

Examples:
  holdfast evidence keygen holdfast-data/evidence.key > holdfast.pub`

export function registerEvidence(program: Command, shell: Shell): void {
  const evidence = program
    .command('evidence')
    .summary('check signed reports, offline')
    .description('Signed reports: the key that signs them, and the check that nothing was changed.')
    .helpCommand(false)
  withOutput(evidence.command('verify'))
    .summary('check that signed files are as they were signed')
    .description('Checks signed files: every byte, the signature, and the key.')
    .argument('<file...>', 'signed files')
    .option('--key <path>', 'the public key that must have signed them')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(async (files: readonly string[], options: Record<string, unknown>) => {
      const key = typeof options.key === 'string' ? options.key : null
      shell.finish(await verify(commonOf(shell, options), files, key))
    })
  withOutput(evidence.command('keygen'))
    .summary('make the key that signs')
    .description('Makes a signing key where there is none, and prints its public half.')
    .argument('<path>', 'the file of the private key')
    .addHelpText('after', KEYGEN_EXAMPLES)
    .action(async (path: string, options: Record<string, unknown>) => {
      shell.finish(await keygen(commonOf(shell, options), path))
    })
}

async function keygen(common: Common, path: string): Promise<ExitCode> {
  const { keyId, publicPem } = await openSigningKey(path)
  if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: true, path, keyId, publicPem })}\n`)
  else {
    common.terminal.out(publicPem)
    common.terminal.err(`${path} signs as ${keyId}\n`)
  }
  return EXIT.ok
}

async function verify(common: Common, files: readonly string[], keyPath: string | null): Promise<ExitCode> {
  const wanted = keyPath === null ? null : await publicKeyIn(keyPath)
  if (wanted === '') {
    fail(
      common,
      'HF_SIGNING_KEY_UNUSABLE',
      `${keyPath} holds no Ed25519 public key`,
      'holdfast evidence keygen prints one',
    )
    return EXIT.usage
  }
  const verdicts = await verifyFiles(files, wanted)
  const bad = verdicts.filter((verdict) => !verdict.ok).length
  if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: bad === 0, files: verdicts })}\n`)
  else {
    for (const { file, ok, because } of verdicts) {
      common.terminal.out(`${ok ? common.paint.good('whole  ') : common.paint.bad('CHANGED')}  ${file}: ${because}\n`)
    }
    if (bad > 0) common.terminal.out(`${countText(bad, 'file')} of ${files.length} not as signed\n`)
  }
  return bad === 0 ? EXIT.ok : EXIT.failed
}

/** The text of the key as it is written in reports; '' when the file holds none. */
async function publicKeyIn(path: string): Promise<string> {
  const text = `${(await readFileLimited(path, PUBLIC_KEY_BYTES_MAX)).toString('utf8').trim()}\n`
  return keyIdOf(text) === null ? '' : text
}
