import assert from 'node:assert/strict'
import { it } from 'node:test'
import { mayHear, maySee } from './alerts.ts'

it('silences and channels that fail are told of the groups one may read, and of what is no group', () => {
  const own = new Set(['orders'])
  const silences = [{ group: 'orders' }, { group: 'ord*' }, { group: 'ledger' }, { group: 'led*' }, { rule: 'x' }]
  const seen = (groups: ReadonlySet<string> | null) =>
    silences.map((matchers) => ({ matchers })).filter(maySee(groups)).length
  assert.deepEqual([seen(own), seen(null), seen(new Set())], [3, 5, 1])
  const scopes = ['group/orders', 'group/ledger', 'site/north', 'platform']
  const heard = (groups: ReadonlySet<string> | null) => scopes.filter((scope) => mayHear(groups, scope)).length
  assert.deepEqual([heard(own), heard(null), heard(new Set())], [3, 4, 2])
})
