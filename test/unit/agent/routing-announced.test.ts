import { describe, expect, it } from 'vitest';
import { ip, prefix, prefixKey } from '../../../src/lib/ip.ts';
import { bgpConfig, bothUp, POLICY, route, settle, setUp, ZONE1, ZONE2 } from './routing-world.ts';

describe('what Microsoft announced, for networks that fail closed', () => {
  it('outlives every tunnel and every session', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14'), route('20.20.32.0/19')], []);
    routing.update(ZONE2, [route('52.96.0.0/14', ZONE2)], []);
    for (const [zone, device] of [
      [ZONE1, 'tw0'],
      [ZONE2, 'tw1'],
    ] as const) {
      await routing.setUp(device, false);
      routing.peerDown(zone);
    }
    await settle();
    expect(last()).toMatchObject({ routes: [], announced: ['52.96.0.0/14', '20.20.32.0/19'] });
  });

  it('goes when its peer withdraws it, or announces it in a way that policy refuses', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14'), route('40.96.0.0/13'), route('20.20.32.0/19')], []);
    routing.update(ZONE1, [], [prefixKey(prefix('52.96.0.0/14'))]);
    routing.update(ZONE1, [route('40.96.0.0/13', ZONE1, [65010, 65476])], []);
    await settle();
    expect(last().announced).toEqual(['20.20.32.0/19']);
  });

  it('holds nothing that import policy refused, also when the policy changes later', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('0.0.0.0/0'), route('10.8.0.0/16')], []);
    await settle();
    expect(last().announced).toEqual(['10.8.0.0/16']);
    routing.setPolicy({ ...POLICY, protected: [{ prefix: prefix('10.8.0.0/16'), what: 'the LAN network new' }] });
    await settle();
    expect(last().announced).toEqual([]);
  });

  it('is compared with the next session when that has told its whole table', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14'), route('20.20.32.0/19')], []);
    routing.peerDown(ZONE1);
    routing.peerUp(ZONE1, ip(ZONE1));
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    await settle();
    expect(last().announced.sort()).toEqual(['20.20.32.0/19', '52.96.0.0/14']);
    routing.endOfRib(ZONE1);
    await settle();
    expect(last().announced).toEqual(['52.96.0.0/14']);
  });

  it('waits a minute for a peer that never says that its table is complete, and not at all for one that is down', async () => {
    const { routing, clock, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    routing.update(ZONE2, [route('20.20.32.0/19', ZONE2)], []);
    for (const zone of [ZONE1, ZONE2]) {
      routing.peerDown(zone);
      routing.peerUp(zone, ip(zone));
    }
    await clock.advance(30_000);
    routing.peerDown(ZONE2);
    await clock.advance(29_999);
    expect(last().announced).toHaveLength(2);
    await clock.advance(600_000);
    expect(last().announced).toEqual(['20.20.32.0/19']);
  });

  it('starts from what a killed run left in the kernel, until both peers have told their tables', async () => {
    const { routing, last } = setUp();
    routing.recall([prefix('52.96.0.0/14'), prefix('20.20.32.0/19')]);
    routing.setPolicy(POLICY);
    await settle();
    expect(last().announced).toEqual(['52.96.0.0/14', '20.20.32.0/19']);

    const next = await bothUp();
    next.routing.recall([prefix('52.96.0.0/14'), prefix('20.20.32.0/19')]);
    next.routing.update(ZONE1, [route('52.96.0.0/14')], []);
    next.routing.endOfRib(ZONE1);
    await settle();
    expect(next.last().announced).toHaveLength(2);
    next.routing.endOfRib(ZONE2);
    await settle();
    expect(next.last().announced).toEqual(['52.96.0.0/14']);
  });

  it('survives a changed link, which replaces its peer', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    for (const zone of [ZONE1, ZONE2]) routing.endOfRib(zone);
    await settle();
    routing.removePeer(ZONE1);
    routing.addPeer(ZONE1, 'tw0', bgpConfig(ZONE1));
    await settle();
    expect(last().announced).toEqual(['52.96.0.0/14']);
    routing.removePeer(ZONE1);
    await settle();
    expect(last().announced).toEqual([]);
  });
});
