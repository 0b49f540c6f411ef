/** Groups that another program leads, as its voices and the engines tell. */
import { z } from 'zod'
import { detail, named, verdictSchema, wallMs, whole } from './shape.ts'

export const supervisedSchema = named(
  'SupervisedGroup',
  z.object({
    group: z.string(),
    by: z.enum(['patroni', 'sentinel', 'redis-cluster']).describe('The program that leads it, its manager.'),
    manager: z.string().describe('Its name and version.'),
    called: z.string().describe('What it calls the group; empty when it has no name for it.'),
    epoch: whole().nullable().describe('Number of its configuration, where it has one.'),
    paused: z.boolean().describe('The manager was told to leave the group alone.'),
    moving: z.string().nullable().describe('A change of primary under way, in its words.'),
    heard: whole().describe('Voices that answer.'),
    asked: whole(),
    facts: detail(),
    shards: z.array(z.object({ shard: z.string(), primary: z.string().nullable() })),
    concerns: z.array(z.object({ code: z.string(), grave: z.boolean(), detail: detail() })),
    members: z.array(
      z.object({
        member: z.string(),
        site: z.string().nullable(),
        shard: z.string(),
        role: z.string(),
        state: z.string(),
        timeline: z.number().nullable(),
        lagBytes: z.number().nullable(),
        streaming: z.boolean(),
        answering: z.boolean(),
        because: z.string(),
      }),
    ),
    verdict: verdictSchema,
    promotes: z.string().describe('Who promotes a member here, and why Holdfast does not.'),
    failoverCommand: z.string().describe('What an operator would type, with its own tools, to force a failover.'),
    namesTarget: z.boolean().describe('A switchover may name its target; otherwise the manager chooses.'),
    holdsWriters: z
      .boolean()
      .describe('A switchover holds the writers meanwhile, so that nothing acknowledged is lost.'),
    seenMs: wallMs().describe('When it was looked at.'),
  }),
)
