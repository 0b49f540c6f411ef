import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { AgentClient } from '@holdfast/client'
import type { AgentSpec } from '../../config/platform.ts'
import { faultsNow, liftAll } from './faults.ts'

it('an agent that answers nonsense counts as one with a fault on, and keeps no other from being asked', async () => {
  const answers: Record<string, unknown> = { one: [null], two: [{ state: 'on' }], three: [], four: 'none' }
  const lifted: string[] = []
  const agents = Object.keys(answers).map((name) => ({ name, site: 'north' }) as AgentSpec)
  const clientOf = ({ name }: AgentSpec): AgentClient => {
    const faults = () => Promise.resolve({ ok: true, value: { faults: answers[name] } })
    const liftFault = () =>
      name === 'one' ? Promise.reject(new Error('nonsense')) : Promise.resolve(lifted.push(name))
    return { faults, liftFault } as unknown as AgentClient
  }
  await liftAll({ agents, clientOf }, 'ann')
  assert.deepEqual(lifted, ['two', 'three', 'four'])
  const now = await faultsNow({ agents, clientOf })
  assert.equal(now.allOff, false)
  assert.deepEqual(
    now.agents.map(({ off }) => off),
    [false, false, true, false],
  )
})
