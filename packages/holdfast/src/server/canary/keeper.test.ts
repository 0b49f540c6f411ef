/** What the keeper does when the database's answer is lost: nothing is written twice, nothing is left out. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { systemClock } from '../../io/clock.ts'
import { createLog } from '../../io/log.ts'
import type { Writing } from '../database/database.ts'
import { openAt } from '../database/suite.fixture.ts'
import { until } from '../server.fixture.ts'
import { CanaryKeeper, type CanaryKeeperOptions } from './keeper.ts'

/** Nobody has led it, so nothing connects, and that it is not measured is what is to be told. */
const password = { known: true, reveal: () => 'a token that is long enough' }
const group = { name: 'orders', engine: 'postgres', members: [], application: { password }, canaryPerSecond: 1 }
const platform = { name: 'shop', agents: [{ token: password }], groups: [group], routers: [] }

it('what was not committed is given again, and so is a commit whose answer was lost, which adds nothing', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-keeper-'))
  const database = await openAt({ dir, url: null })
  let lost = 0
  const leader = {
    state: { leading: true },
    write: async <T>(change: (writing: Writing) => Promise<T>) => {
      lost += 1
      if (lost === 1) throw new Error('the connection broke before the commit')
      const value = await database.write(change)
      if (lost === 2) throw new Error('the connection broke before the answer')
      return { value }
    },
  }
  const keeper = new CanaryKeeper({
    ...{ platform, leader, name: 'one', read: database.read, clock: systemClock },
    ...{ log: createLog({ level: 'silent', name: 'test' }), known: () => null },
    ...{ onFigures: () => {}, onIncident: () => {}, onWritten: () => {} },
  } as unknown as CanaryKeeperOptions)
  keeper.start()
  try {
    await until('it is given a third time', async () => {
      if (lost > 0) await keeper.flush()
      return lost > 2
    })
  } finally {
    await keeper.close()
  }
  const rows = await database.read.selectFrom('events').select('code').execute()
  assert.deepEqual(
    rows.map(({ code }) => code),
    ['canary-not-measured'],
  )
  assert.ok((await keeper.kept())?.by === 'one')
  await database.close()
  rmSync(dir, { recursive: true, force: true })
})
