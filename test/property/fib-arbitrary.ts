import fc from 'fast-check';
import { type IpAddress, ipFromBytes, maskedPrefix, type Prefix } from '../../src/lib/ip.ts';
import type { FibInput } from '../unit/fib/fib-plan.ts';

const TUNNELS = 4;

export const v4Arb: fc.Arbitrary<IpAddress> = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
export const prefixArb: fc.Arbitrary<Prefix> = fc
  .tuple(v4Arb, fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => maskedPrefix(address, length));

/** Few enough prefixes that two inputs meet in some. */
const learnedArb = fc.constantFrom(1, 2, 3, 4, 5).map((n) => maskedPrefix(ipFromBytes(Uint8Array.of(n, 0, 0, 0)), 8));
const tunnelName = fc.integer({ min: 0, max: TUNNELS - 1 }).map((i) => `tw${i}`);

/** Inputs of at most four tunnels `tw0`…`tw3`, of which some are down or absent. */
export const fibInputArb: fc.Arbitrary<FibInput> = fc.record({
  bgpLocalAddresses: fc.array(fc.record({ address: localArb(), interface: tunnelName }), { maxLength: 3 }),
  tunnels: fc.uniqueArray(
    fc.record({
      interface: tunnelName,
      interfaceIndex: fc.integer({ min: 2, max: 5 }),
      up: fc.boolean(),
      learns: fc.boolean(),
      returning: fc.boolean(),
      weight: fc.integer({ min: 1, max: 255 }),
      bgpPeers: fc.array(localArb(), { maxLength: 2 }),
    }),
    { maxLength: TUNNELS, selector: (tunnel) => tunnel.interface },
  ),
  routes: fc.array(fc.record({ prefix: learnedArb, via: fc.array(tunnelName, { minLength: 1, maxLength: TUNNELS }) }), {
    maxLength: 6,
  }),
  statics: fc.array(learnedArb, { maxLength: 2 }),
  announced: fc.uniqueArray(learnedArb, { selector: ({ address }) => address.bytes[0] }),
  permits: fc.array(
    fc.record({
      source: learnedArb,
      interface: fc.constantFrom(undefined, 'lan0', 'lan1'),
      destination: fc.option(learnedArb, { nil: undefined }),
      use: fc.constantFrom('tunnels-only' as const, 'tunnels-first' as const, 'wan' as const),
    }),
    { maxLength: 5 },
  ),
  resilience: fc.constantFrom(
    undefined,
    { buckets: 64, idleMs: 60_000, rebalanceMs: 0 },
    { buckets: 1_024, idleMs: 1_000, rebalanceMs: 300_000 },
  ),
});

function localArb(): fc.Arbitrary<IpAddress> {
  return fc.integer({ min: 1, max: 6 }).map((n) => ipFromBytes(Uint8Array.of(169, 254, 21, n)));
}
