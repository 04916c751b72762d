import { describe, expect, it } from 'vitest';
import { formatPrefix, ip, prefix } from '../../../src/lib/ip.ts';
import type { FibInput } from '../fib/fib-plan.ts';
import { bothUp, POLICY, route, settle, ZONE1, ZONE2 } from './routing-world.ts';

const BOTH = '52.96.0.0/14';
const ONLY_1 = '20.20.32.0/19';

describe('a zone that goes and returns', () => {
  it('keeps its place in every path set meanwhile: no route changes when it goes, nor when it is back', async () => {
    const { routing, inputs, last, clock } = await shared();
    const before = sets(inputs.at(-1));
    routing.peerDown(ZONE1);
    await settle();
    expect(sets(inputs.at(-1))).toEqual(before);
    expect(last().routes).toEqual([`${BOTH} via tw1`]);

    routing.peerUp(ZONE1, ip(ZONE1));
    await settle();
    expect(last().routes).toEqual([`${BOTH} via tw1`]); // it has told nothing yet
    routing.update(ZONE1, [route(BOTH)], []);
    await settle();
    expect(sets(inputs.at(-1))).toEqual(before);
    expect(last().routes).toEqual([`${BOTH} via tw1`]); // there may be more to come
    routing.endOfRib(ZONE1);
    await settle();
    expect(sets(inputs.at(-1))).toEqual({ [BOTH]: ['tw0', 'tw1'] });
    expect(last().routes).toEqual([`${BOTH} via tw0 tw1`]);
    await clock.advance(100_000);
    expect(last().routes).toEqual([`${BOTH} via tw0 tw1`]);
  });

  it('carries at once what nobody else leads to', async () => {
    const { routing, last } = await shared();
    routing.peerDown(ZONE1);
    await settle();
    expect(last().routes).toEqual([`${BOTH} via tw1`]);
    routing.peerUp(ZONE1, ip(ZONE1));
    routing.update(ZONE1, [route(ONLY_1), route(BOTH)], []);
    await settle();
    expect(last().routes.sort()).toEqual([`${ONLY_1} via tw0`, `${BOTH} via tw1`]);
    routing.peerDown(ZONE2);
    await settle();
    expect(last().routes.sort()).toEqual([`${ONLY_1} via tw0`, `${BOTH} via tw0`]);
  });

  it('that sends no End-of-RIB has told all when it has been quiet for three seconds', async () => {
    const { routing, last, clock } = await shared();
    routing.peerDown(ZONE1);
    routing.peerUp(ZONE1, ip(ZONE1));
    for (let i = 0; i < 4; i++) {
      routing.update(ZONE1, [route(`40.${i}.0.0/16`), route(BOTH)], []);
      await clock.advance(2_000);
    }
    expect(last().routes).toContain(`${BOTH} via tw1`);
    await clock.advance(999);
    expect(last().routes).toContain(`${BOTH} via tw1`);
    await clock.advance(1);
    expect(last().routes).toContain(`${BOTH} via tw0 tw1`);
  });

  it('leaves the sets of what it does not lead to any more', async () => {
    const { routing, inputs } = await shared();
    routing.peerDown(ZONE1);
    routing.peerUp(ZONE1, ip(ZONE1));
    routing.endOfRib(ZONE1);
    await settle();
    expect(sets(inputs.at(-1))).toEqual({ [BOTH]: ['tw1'] });
  });

  it('has no place where it would not be used if it were back', async () => {
    const { routing, inputs } = await bothUp();
    const everything = [{ prefix: prefix('0.0.0.0/0'), ge: 1, le: 32 }];
    const better = [{ match: { prefixes: everything }, accept: true, set: { preference: 200 } }];
    routing.setPolicy({ ...POLICY, importRules: new Map([[ZONE1, better]]) });
    for (const zone of [ZONE1, ZONE2]) routing.update(zone, [route(BOTH, zone)], []);
    await settle();
    expect(sets(inputs.at(-1))).toEqual({ [BOTH]: ['tw0'] });
    routing.peerDown(ZONE1);
    await settle();
    expect(sets(inputs.at(-1))).toEqual({ [BOTH]: ['tw1'] });
  });
});

async function shared() {
  const world = await bothUp();
  for (const zone of [ZONE1, ZONE2]) {
    world.routing.update(zone, [route(BOTH, zone)], []);
    world.routing.endOfRib(zone);
  }
  await settle();
  expect(world.last().routes).toEqual([`${BOTH} via tw0 tw1`]);
  return world;
}

/** The tunnels of each learned prefix, in use or not. */
function sets(input: FibInput | undefined): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries((input?.routes ?? []).map(({ prefix: to, via }) => [formatPrefix(to), [...via].sort()]));
}
