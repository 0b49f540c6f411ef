/** A real Patroni group on loopback: three members, one etcd, one HAProxy, in one temporary folder. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loopbackWorld } from '../../bench/loopback.ts'
import { type PatroniSubject, patroniSubject } from '../blackbox/subjects/patroni.ts'

export interface PatroniGroup {
  readonly subject: PatroniSubject
  readonly folder: string
  /** REST APIs, in the order of the members. */
  readonly apis: readonly string[]
  close(): Promise<void>
}

const WHOLE_MS = 120_000

export async function startPatroni(mode: 'async' | 'sync'): Promise<PatroniGroup> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-supervised-'))
  chmodSync(folder, 0o755)
  const world = loopbackWorld(['h1', 'h2', 'h3', 's1', 'edge'])
  const subject = await patroniSubject({ world, folder, mode, profile: 'tight' })
  const close = async (): Promise<void> => {
    await subject.stop()
    await world.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  try {
    await subject.start()
    await subject.whole(WHOLE_MS)
  } catch (error) {
    await close()
    throw error
  }
  return { subject, folder, apis: subject.apis, close }
}
