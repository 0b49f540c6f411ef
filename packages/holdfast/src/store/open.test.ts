import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openStore } from './open.ts'

describe('opening a store', () => {
  it('opens each kind without connecting', async () => {
    await openStore({ kind: 'embedded', urls: ['http://127.0.0.1:1'], token: 't', requestMs: 150 }).close()
    await openStore({ kind: 'etcd', endpoints: ['https://127.0.0.1:1'], prefix: '/x/', requestMs: 500 }).close()
  })

  it('refuses settings that can never work', () => {
    const invalid = { code: 'HF_STORE_SETTINGS_INVALID' }
    assert.throws(() => openStore({ kind: 'embedded', urls: [], token: 't', requestMs: 150 }), invalid)
    assert.throws(() => openStore({ kind: 'etcd', endpoints: ['localhost:2379'], requestMs: 150 }), invalid)
    const urls = ['http://127.0.0.1:1']
    assert.throws(() => openStore({ kind: 'embedded', urls, token: 'two words', requestMs: 150 }), invalid)
  })
})
