/** `holdfast audit verify` and `export`. What they need is loaded when they are used. */
import type { Command } from 'commander'
import { commonOf, type Shell, withFile, withOutput } from './shell.ts'

const VERIFY_EXAMPLES = `
With a file: an export, checked with nothing but the file. With --database: the
server's own, in place. Name the public keys you trust with --key; without it
the signatures are checked against the keys they name, and those are shown.

Examples:
  holdfast audit verify audit-shop.jsonl --key signing.pub
  holdfast audit verify --database`

export function registerAudit(program: Command, shell: Shell): void {
  const audit = program.command('audit').summary('prove the audit log')
  audit.description('Checks or exports the audit log of the server.')
  withOutput(withFile(audit.command('verify')))
    .summary('find any edit, removal or reorder')
    .description('Recomputes the chain of hashes and checks every signature. Exit code 1 when something is wrong.')
    .argument('[export]', 'file that was exported')
    .option('--database', "the server's database, in place")
    .option('--database-url <url>', 'postgres://... (also: HOLDFAST_DATABASE_URL)')
    .option('--checkpoints <file>', 'checkpoints that were kept elsewhere, with --database')
    .option('--key <file...>', 'public keys (PEM) that may have signed')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(async (file: string | undefined, options: Record<string, unknown>) => {
      const { verify } = await import('./audit-proof.ts')
      shell.finish(await verify(commonOf(shell, options), file ?? null, options))
    })
  withFile(audit.command('export'))
    .summary('write the log with its checkpoints and a signed end')
    .description('Prints the whole audit log, one JSON document a line, with a signed end.')
    .option('--database-url <url>', 'postgres://... (also: HOLDFAST_DATABASE_URL)')
    .option('--public-key', 'print the public key of this server instead')
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast audit export > audit.jsonl\n  holdfast audit export --public-key > signing.pub',
    )
    .action(async (options: Record<string, unknown>) => {
      const { exportAll } = await import('./audit-proof.ts')
      shell.finish(await exportAll(commonOf(shell, options), options))
    })
}
