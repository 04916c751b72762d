import { describe, expect, it } from 'vitest';
import type { RoutingPolicy } from '../../../src/agent/routing.ts';
import { formatPrefix, prefix } from '../../../src/lib/ip.ts';
import { bothUp, POLICY, route, settle, ZONE1, ZONE2 } from './routing-world.ts';

const ALL = [prefix('0.0.0.0/0')].map((space) => ({ prefix: space, ge: 1, le: 32 }));

describe('import rules', () => {
  it('make one zone the better one: the other carries nothing while it is there, and all when it is gone', async () => {
    const { routing, last } = await bothUp();
    routing.setPolicy(rules({ [ZONE1]: [{ match: { prefixes: ALL }, accept: true, set: { preference: 200 } }] }));
    for (const zone of [ZONE1, ZONE2]) routing.update(zone, [route('52.96.0.0/14', zone)], []);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0']);
    expect(routing.entries()[0]?.losers[0]?.reason).toBe('local preference 100 is below 200');
    routing.peerDown(ZONE1);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw1']);
  });

  it('that change are applied to what has been told already', async () => {
    const { routing, last } = await bothUp();
    for (const zone of [ZONE1, ZONE2]) {
      routing.update(zone, [route('52.96.0.0/14', zone), route('40.96.0.0/13', zone)], []);
    }
    await settle();
    expect(last().routes.sort()).toEqual(['40.96.0.0/13 via tw0 tw1', '52.96.0.0/14 via tw0 tw1']);
    routing.setPolicy(
      rules({
        [ZONE1]: [{ match: { prefixes: [{ prefix: prefix('40.96.0.0/13'), ge: 13, le: 13 }] }, accept: true, set: {} }],
        [ZONE2]: [{ match: { prefixes: ALL }, accept: true, set: { med: 7 } }],
      }),
    );
    await settle();
    expect(last().routes.sort()).toEqual(['40.96.0.0/13 via tw0', '52.96.0.0/14 via tw1']);
    const refused = routing
      .received(ZONE1)
      ?.flatMap(({ prefix: to, rejected }) => rejected && [formatPrefix(to), rejected]);
    expect(refused?.filter(Boolean)).toEqual(['52.96.0.0/14', 'no import rule accepts it']);
    routing.setPolicy(POLICY);
    await settle();
    expect(last().routes.sort()).toEqual(['40.96.0.0/13 via tw0 tw1', '52.96.0.0/14 via tw0 tw1']);
  });
});

type Rules = RoutingPolicy['importRules'] extends ReadonlyMap<string, infer R> ? R : never;
const rules = (of: Readonly<Record<string, Rules>>): RoutingPolicy => ({
  ...POLICY,
  importRules: new Map(Object.entries(of)),
});
