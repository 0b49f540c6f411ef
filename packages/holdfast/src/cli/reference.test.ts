/** The reference of the command line names every command, every exit code and the options of each command. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { EXIT } from './exit-codes.ts'
import { run } from './fake-agents.fixture.ts'

const reference = readFileSync(new URL('../../../../docs/reference/cli.md', import.meta.url), 'utf8')

it('names every command and every option', async () => {
  const help = (await run(['--help'])).out
  const commands = [...help.matchAll(/^ {2}([a-z]+) \[/gm)].map((match) => match[1] ?? '')
  assert.ok(commands.length >= 14, help)
  for (const command of commands) {
    assert.match(reference, new RegExp(`holdfast ${command}\\b`))
    if (['sim', 'replay', 'demo'].includes(command)) continue
    const own = (await run([command, '--help'])).out
    for (const [option] of own.matchAll(/--[a-z-]+(?= |,)/g)) {
      if (option !== '--help') assert.ok(reference.includes(option), `${command} ${option}`)
    }
  }
})

it('names every exit code', () => {
  for (const code of Object.values(EXIT)) assert.ok(reference.includes(`| ${code} |`), String(code))
})
