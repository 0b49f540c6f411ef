/** The only place that draws random numbers. */
import { randomBytes } from 'node:crypto'

/** 96 random bits as 24 hexadecimal digits; unique for ids of sessions, requests and disks. */
export function freshId(): string {
  return randomBytes(12).toString('hex')
}

/** Bytes nobody can guess: for session secrets, tokens and salts. */
export function secretBytes(count: number): Buffer {
  return randomBytes(count)
}

/** A number in [lowMs, highMs), to spread retries. */
export function jitterMs(lowMs: number, highMs: number): number {
  return lowMs + (randomBytes(4).readUInt32BE() / 2 ** 32) * (highMs - lowMs)
}
