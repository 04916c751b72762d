import { z } from 'zod';

/** What a ping process is asked to do. */
export const pingOptions = z.strictObject({
  timeoutMs: z.int().min(1),
  requests: z.array(
    z.strictObject({
      from: z.ipv4(),
      to: z.ipv4(),
      /** Only through this interface; left out: as the routing table says. */
      device: z.string().optional(),
      count: z.int().min(1).max(1_000),
    }),
  ),
});
export type PingOptions = z.infer<typeof pingOptions>;
export type PingRequest = PingOptions['requests'][number];

/** Its answer, one line when everything has been answered or lost. */
export const pingAnswer = z.object({
  event: z.literal('done'),
  summaries: z.array(
    z.object({
      from: z.string(),
      to: z.string(),
      device: z.string().optional(),
      sent: z.number(),
      received: z.number(),
      roundTripMs: z.object({ min: z.number(), average: z.number(), max: z.number() }).optional(),
    }),
  ),
});
