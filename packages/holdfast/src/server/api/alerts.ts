/** What fires, what is silenced, and words about it. */
import { z } from 'zod'
import { emptyBody, idParams, okSchema } from './actions.ts'
import type { ApiRoute } from './route.ts'
import { id, named, text, wallMs } from './shape.ts'

const SILENCE_MS_MAX = 30 * 86_400_000
const MATCHERS = ['rule', 'severity', 'group', 'member', 'site', 'agent', 'router', 'drill', 'service'] as const

export const alertsSchema = named(
  'Alerts',
  z.object({
    running: z.boolean().describe('Somebody on the host of this server looks.'),
    because: z.string().describe('Why not; empty when somebody does.'),
    lookedMs: wallMs().nullable(),
    alerts: z.array(
      z.object({
        id: z.string(),
        rule: z.string(),
        severity: z.enum(['critical', 'warning', 'info']),
        summary: z.string(),
        next: z.string().describe('What to do first.'),
        runbook: z.string(),
        labels: z.record(z.string(), z.string()),
        sinceMs: wallMs(),
        acknowledgedBy: z.string().nullable(),
        quiet: z.string().describe('Why nobody is told; empty when somebody is.'),
      }),
    ),
    silences: z.array(
      z.object({
        id: z.string(),
        matchers: z.record(z.string(), z.string()),
        by: z.string(),
        because: z.string(),
        endsMs: wallMs(),
      }),
    ),
    failing: z.array(z.object({ channel: z.string(), scope: z.string(), because: z.string() })),
    channels: z.array(z.object({ channel: z.string(), kind: z.string() })),
  }),
)

export const silenceBody = named(
  'SilenceRequest',
  z.strictObject({
    matchers: z
      .partialRecord(z.enum(MATCHERS), text(100))
      .refine((matchers) => Object.keys(matchers).length > 0, { error: 'name at least one' })
      .describe('All must fit; `*` stands for any text.'),
    because: text(),
    validMs: z.int().min(1_000).max(SILENCE_MS_MAX),
  }),
)

const change = { method: 'POST', needs: 'operate' } as const

export const ALERT_ROUTES = {
  alerts: {
    method: 'GET',
    needs: 'read',
    path: '/alerts',
    summary: 'What fires, what is silenced, which channel fails; the past is in the events of kind `alert`',
    answer: alertsSchema,
  },
  silence: {
    ...change,
    path: '/alerts/silences',
    summary: 'Tell nobody of some alerts for a while',
    body: silenceBody,
    answer: z.object({ id: id() }),
  },
  endSilence: {
    ...change,
    path: '/alerts/silences/:id/end',
    summary: 'End a silence',
    params: idParams,
    body: emptyBody,
    answer: okSchema,
  },
  acknowledge: {
    method: 'POST',
    needs: 'session',
    path: '/alerts/:id/acknowledge',
    summary: 'Say that an alert is in my hands; needs the right to operate over its group, else over everything',
    params: idParams,
    body: emptyBody,
    answer: okSchema,
  },
} as const satisfies Record<string, ApiRoute>
