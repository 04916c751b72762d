import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { EntraSimOptions, SimLinkEvent } from './options.ts';
import { startEntraSim } from './server.ts';

/**
 * The simulator as a process of its own, for network namespaces: `node main.js '<options as JSON>'`, or the options on
 * standard input. Prints one JSON line when ready and one per link event, keys included. Runs until SIGTERM.
 */

const gateway = z.strictObject({ endpoint: z.ipv4(), asn: z.int().default(65476), region: z.string().optional() });

const effect = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('answer'),
    status: z.int(),
    retryAfter: z.string().optional(),
    message: z.string().optional(),
    when: z.enum(['before', 'after']).optional(),
  }),
  z.strictObject({ kind: z.literal('delay'), ms: z.number() }),
  z.strictObject({ kind: z.literal('reset') }),
  z.strictObject({ kind: z.literal('web-page') }),
]);

const fault = z.strictObject({
  method: z.string().optional(),
  path: z.string().optional(),
  skip: z.int().optional(),
  times: z.int().optional(),
  effect,
});

const quirks = z.strictObject({
  onboardingStatus: z.string().optional(),
  disabledProfiles: z.array(z.string()).optional(),
  profilePatch: z.enum(['replace', 'add']).optional(),
  linkCreateAnswer: z.union([z.literal(201), z.literal(204)]).optional(),
  emptyPolls: z.int().optional(),
  listLag: z.int().optional(),
  swapZones: z.boolean().optional(),
  hidePsks: z.boolean().optional(),
  refusePfs14: z.boolean().optional(),
  pageSize: z.int().min(1).optional(),
  nextLinkOrigin: z.string().optional(),
  expiresIn: z.union([z.number(), z.string()]).optional(),
  roles: z.array(z.string()).optional(),
});

const optionsSchema = z.strictObject({
  address: z.string().optional(),
  port: z.int().optional(),
  tenantId: z.string(),
  clientId: z.string(),
  clientSecret: z.string(),
  /** Gateways by the public address of the link, zone 1 first; `*` for any other link. */
  endpoints: z.record(z.string(), z.array(gateway)).optional(),
  quirks: quirks.optional(),
  faults: z.array(fault).optional(),
});

const print = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** Drops what is undefined: an absent option and an undefined one are different things to `exactOptionalPropertyTypes`. */
const defined = (value: object): object => JSON.parse(JSON.stringify(value)) as object;

function optionsFrom(text: string): EntraSimOptions {
  const parsed = optionsSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    process.stderr.write(
      `expected the options of the simulator as one JSON object:\n${z.prettifyError(parsed.error)}\n`,
    );
    process.exit(2);
  }
  const { endpoints, ...rest } = parsed.data;
  const options = { ...(defined(rest) as EntraSimOptions), onLink: printEvent };
  if (endpoints === undefined) return options;
  return {
    ...options,
    assignEndpoints: (link) =>
      (endpoints[link.ipAddress] ?? endpoints['*'] ?? []).map(({ endpoint, asn, region }) => {
        return { endpoint, asn, region: region ?? 'franceCentral' };
      }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    return String(error); // a string is not an object: the schema reports it
  }
}

function printEvent({ kind, link }: SimLinkEvent): void {
  print({ event: `link-${kind}`, link });
}

const sim = await startEntraSim(optionsFrom(process.argv[2] ?? readFileSync(0, 'utf8')));
print({ event: 'ready', url: sim.url, profiles: sim.store.profiles });
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void sim.stop());
}
