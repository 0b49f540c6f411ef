/**
 * What validation refuses and what the engine's adapter refuses are the same, seen from the one place that knows
 * both.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { REDIS_OWNED } from '../config/checks/engine.ts'
import { OWNED_PARAMETERS } from '../config/checks/parameters.ts'
import { parameterMistake } from '../engines/postgres/config.ts'
import { parameterMistake as redisMistake } from '../engines/redis/config.ts'

it('every engine setting that validation refuses is refused by the adapter', () => {
  for (const name of Object.keys(OWNED_PARAMETERS)) assert.notEqual(parameterMistake({ [name]: 'x' }), null, name)
})

it('every Redis setting that validation refuses is refused by the adapter', () => {
  for (const name of Object.keys(REDIS_OWNED)) assert.notEqual(redisMistake({ [name]: 'x' }), null, name)
})
