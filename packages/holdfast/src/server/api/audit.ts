/** Every change, in a chain: each entry holds the hash of the one before; checkpoints are signed. */
import { z } from 'zod'
import { detail, named, text, wallMs, whole } from './shape.ts'

export const auditEntrySchema = named(
  'AuditEntry',
  z.object({
    number: whole(),
    wallMs: wallMs(),
    actor: z.string().describe('`user NAME`, `token ID of NAME`, `server NAME` or `nobody`.'),
    action: z.string().describe('Name of the route, or what the server did by itself.'),
    subject: z.string().describe('What it was done to.'),
    outcome: z.enum(['asked', 'done', 'refused', 'failed', 'unknown']),
    address: z.string().describe('Where the request came from.'),
    detail: detail(),
    before: z.string().describe('Hash of the entry before.'),
    hash: z.string().describe('SHA-256 over the canonical JSON of this entry without `hash`.'),
  }),
)

export const checkpointSchema = named(
  'AuditCheckpoint',
  z.object({
    number: whole().describe('Number of the newest entry it covers.'),
    hash: z.string().describe('Hash of that entry.'),
    wallMs: wallMs(),
    key: z.string().describe('Public key, SPKI, base64.'),
    signature: z.string().describe('Ed25519, base64.'),
  }),
)

const PAGE_MAX = 1_000

export const auditQuery = z.strictObject({
  before: z.coerce.number().int().min(0).optional().describe('Only entries with a smaller number.'),
  actor: text().optional(),
  action: text().optional(),
  subject: text().optional(),
  search: text().optional().describe('Anywhere in actor, action, subject or detail.'),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).optional(),
})

export const auditPage = named(
  'AuditPage',
  z.object({ entries: z.array(auditEntrySchema), next: whole().nullable().describe('For `before`; null at the end.') }),
)

export const auditVerdictSchema = named(
  'AuditVerdict',
  z.object({
    ok: z.boolean(),
    entries: whole(),
    checkpoints: whole(),
    lastSigned: whole().nullable().describe('Newest entry that a signature covers.'),
    because: z.string().describe('The first thing that is wrong; empty when nothing is.'),
    at: whole().nullable().describe('Number of the entry it was found at.'),
  }),
)
