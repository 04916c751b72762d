import { describe, expect, it } from 'vitest';
import { formatPrefix, ip, prefix, prefixKey } from '../../../src/lib/ip.ts';
import { bothUp, POLICY, route, settle, setUp, ZONE1, ZONE2 } from './routing-world.ts';
import { branchSpecs } from './zone-peers.ts';

describe('Routing', () => {
  it('gives a prefix that both zones announce alike to both tunnels, and one that a zone alone has to its tunnel', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14'), route('20.20.32.0/19')], []);
    routing.update(ZONE2, [route('52.96.0.0/14', ZONE2)], []);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0 tw1', '20.20.32.0/19 via tw0']);
  });

  it('prefers the shorter AS path, and takes the other zone when that one is withdrawn', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14', ZONE1, [65476])], []);
    routing.update(ZONE2, [route('52.96.0.0/14', ZONE2, [65476, 8075])], []);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0']);
    routing.update(ZONE1, [], [prefixKey(prefix('52.96.0.0/14'))]);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw1']);
    routing.update(ZONE2, [], [prefixKey(prefix('52.96.0.0/14'))]);
    await settle();
    expect(last().routes).toEqual([]);
  });

  it('keeps what import policy refuses for the operator to see, and away from the kernel', async () => {
    const { routing, last } = await bothUp();
    routing.setPolicy({ ...POLICY, protected: [{ prefix: prefix('10.1.20.0/24'), what: 'the LAN network staff' }] });
    routing.update(ZONE1, [route('10.1.20.0/24'), route('0.0.0.0/0'), route('52.96.0.0/14')], []);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0']);
    expect(routing.prefixCounts(ZONE1)).toEqual({ received: 3, accepted: 1 });
    const refused = routing.received(ZONE1)?.filter(({ rejected }) => rejected !== undefined);
    expect(refused?.map((row) => formatPrefix(row.prefix))).toEqual(['0.0.0.0/0', '10.1.20.0/24']);
  });

  it('takes a prefix back that is announced again with attributes that policy refuses', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    routing.update(ZONE1, [route('52.96.0.0/14', ZONE1, [65010, 65476])], []);
    await settle();
    expect(last().routes).toEqual([]);
    expect(routing.prefixCounts(ZONE1)).toEqual({ received: 1, accepted: 0 });
  });

  it('judges what it holds by a new policy, and keeps the time it came', async () => {
    const { routing, clock, last } = await bothUp();
    routing.update(ZONE1, [route('10.8.0.0/16'), route('0.0.0.0/0')], []);
    const receivedAt = clock.now();
    await clock.advance(5_000);
    const lan = { prefix: prefix('10.8.0.0/16'), what: 'the LAN network new' };
    routing.setPolicy({ ...POLICY, protected: [lan], allowDefaultRoute: true });
    await settle();
    expect(last().routes).toEqual(['0.0.0.0/0 via tw0']);
    expect(routing.received(ZONE1)?.map((row) => [row.rejected === undefined, row.receivedAt])).toEqual([
      [true, receivedAt],
      [false, receivedAt],
    ]);
  });

  it('forgets all of a peer whose session ended, and a peer that is removed altogether', async () => {
    const { routing, kernel, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    routing.update(ZONE2, [route('52.96.0.0/14', ZONE2)], []);
    routing.peerDown(ZONE1);
    expect(kernel.left).toEqual(['tw0']); // before any walk
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw1']);
    expect(routing.received(ZONE1)).toEqual([]);
    routing.removePeer(ZONE2);
    routing.update(ZONE2, [route('20.20.32.0/19', ZONE2)], []);
    await settle();
    expect([last().routes, routing.received(ZONE2)]).toEqual([[], undefined]);
  });

  it('keeps the routes of a peer that restarts, and drops what it does not repeat', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14'), route('20.20.32.0/19')], []);
    routing.peerDown(ZONE1, 120);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0', '20.20.32.0/19 via tw0']);
    expect(last().learning).toContain('tw0');
    routing.peerUp(ZONE1, ip(ZONE1), true);
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    await settle();
    expect(last().routes).toHaveLength(2);
    routing.endOfRib(ZONE1);
    await settle();
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0']);
  });

  it('keeps them no longer than the peer asked for, nor when it comes back without its forwarding state', async () => {
    const { routing, clock, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    routing.peerDown(ZONE1, 120);
    await clock.advance(119_999);
    expect(last().routes).toEqual(['52.96.0.0/14 via tw0']);
    await clock.advance(1);
    expect([last().routes, last().learning]).toEqual([[], ['tw1']]);

    routing.peerUp(ZONE1, ip(ZONE1));
    routing.update(ZONE1, [route('52.96.0.0/14')], []);
    routing.peerDown(ZONE1, 120);
    routing.peerUp(ZONE1, ip(ZONE1), false);
    await settle();
    expect([last().routes, last().learning]).toEqual([[], ['tw0', 'tw1']]);
    await clock.advance(120_000);
    expect(last().learning).toEqual(['tw0', 'tw1']);
  });

  it('judges stale routes by a new policy, too', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('10.8.0.0/16'), route('52.96.0.0/14')], []);
    routing.peerDown(ZONE1, 120);
    routing.setPolicy({ ...POLICY, protected: [{ prefix: prefix('10.8.0.0/16'), what: 'the LAN network new' }] });
    await settle();
    expect([last().routes, last().announced]).toEqual([['52.96.0.0/14 via tw0'], ['52.96.0.0/14']]);
  });

  it('takes back what a peer leaves out when it tells its table once more', async () => {
    const { routing, last } = await bothUp();
    routing.update(ZONE1, [route('52.96.0.0/14'), route('20.20.32.0/19')], []);
    routing.beginOfRib(ZONE1);
    routing.update(ZONE1, [route('20.20.32.0/19')], []);
    await settle();
    expect(last().routes).toHaveLength(2);
    routing.endOfRib(ZONE1);
    await settle();
    expect(last().routes).toEqual(['20.20.32.0/19 via tw0']);
  });

  it('reaches probe targets through every tunnel whatever BGP says, and not before there is one', async () => {
    const { routing, last } = setUp();
    routing.setPolicy({ ...POLICY, statics: [prefix('198.18.1.101/32')] });
    await settle();
    expect(last().routes).toEqual([]);
    for (const spec of branchSpecs()) routing.addTunnel(spec);
    await routing.setUp('tw0', true);
    expect(last().routes).toEqual(['198.18.1.101/32 via tw0 tw1']);
  });

  it('keeps the place of a tunnel whose device is gone: kernel ids follow from it', async () => {
    const { routing, last } = await bothUp();
    routing.deviceClosed('tw0');
    await settle();
    expect(last().tunnels).toEqual(['tw0 if0 down', 'tw1 if11 up']);
    expect(last().addresses).toEqual(['169.254.21.1 tw1']);
    routing.deviceOpened('tw0', 12);
    await settle();
    expect(last().tunnels).toEqual(['tw0 if12 down', 'tw1 if11 up']);
    routing.removeTunnel('tw0');
    await settle();
    expect(last().tunnels).toEqual(['tw1 if11 up']);
  });

  it('lets a burst of changes share one pass', async () => {
    const { routing, inputs } = await bothUp();
    const before = inputs.length;
    for (let i = 0; i < 100; i++) routing.update(ZONE1, [route(`20.${i}.0.0/16`)], []);
    await settle();
    expect(inputs.length).toBe(before + 1);
    expect(inputs.at(-1)?.routes).toHaveLength(100);
  });

  it('gathers a big table until it is told, or for 100 ms, but not what else happens', async () => {
    const { routing, clock, inputs, last } = await bothUp();
    const many = (zone: string) => Array.from({ length: 1_000 }, (_, i) => route(`20.${i >> 8}.${i & 255}.0/24`, zone));
    routing.update(ZONE1, many(ZONE1), []);
    await settle();
    const before = inputs.length;
    routing.update(ZONE2, many(ZONE2), []);
    routing.endOfRib(ZONE1);
    await settle();
    expect(inputs.length).toBe(before);
    routing.endOfRib(ZONE2);
    await settle();
    expect(inputs.length).toBe(before + 1);
    expect(new Set(last().routes.map((line) => line.replace(/^\S+/, '')))).toEqual(new Set([' via tw0 tw1']));

    routing.peerDown(ZONE2);
    await settle();
    const passes = inputs.length;
    routing.peerUp(ZONE2, ip(ZONE2));
    await settle();
    expect(inputs.length).toBe(passes + 1); // the session
    routing.update(ZONE2, many(ZONE2), []);
    await settle();
    expect(inputs.length).toBe(passes + 1);
    await clock.advance(100);
    expect(inputs.length).toBe(passes + 2);

    routing.update(
      ZONE2,
      [],
      many(ZONE2).flatMap(({ prefixes }) => prefixes),
    );
    await routing.setUp('tw0', false);
    expect(last().tunnels).toContain('tw0 if10 down');
  });

  it('says when the kernel holds the result', async () => {
    const { routing, kernel } = await bothUp();
    let done = false;
    kernel.hold();
    const applied = routing.setUp('tw0', false).then(() => {
      done = true;
    });
    await settle();
    expect(done).toBe(false);
    kernel.release();
    await applied;
    expect(done).toBe(true);
  });

  it('shows what the kernel refuses until it no longer does, and logs it once', async () => {
    const { routing, kernel, log } = await bothUp();
    kernel.result = { changed: 0, problems: [{ code: 'FIB_CHANGE_REFUSED', message: 'refused: EPERM.' }] };
    await routing.setUp('tw0', false);
    await routing.setUp('tw0', true);
    expect(routing.problem('tw0')).toBe('refused: EPERM.');
    expect(log.after(0).map(({ kind, message }) => [kind, message])).toEqual([
      ['FIB_CHANGE_REFUSED', 'refused: EPERM.'],
    ]);
    kernel.result = { changed: 3, problems: [] };
    await routing.setUp('tw0', false);
    expect(routing.problem('tw0')).toBeUndefined();
  });

  it('blames the one tunnel whose object was refused', async () => {
    const { routing, kernel } = await bothUp();
    const refused = { code: 'FIB_CHANGE_REFUSED', message: 'nexthop refused.', interface: 'tw1' } as const;
    kernel.result = { changed: 1, problems: [refused] };
    await routing.setUp('tw0', true);
    expect(routing.problem('tw1')).toBe('nexthop refused.');
    expect(routing.problem('tw0')).toBeUndefined();
  });

  it('is behind until the kernel has answered', async () => {
    const { routing } = await bothUp();
    const applied = routing.setUp('tw0', true);
    expect(routing.problem('tw0')).toMatch(/on their way/);
    await applied;
    expect(routing.problem('tw0')).toBeUndefined();
  });

  it('blames a foreign hand for a repair, but not for the retry of what was refused before', async () => {
    const { routing, log } = await bothUp();
    const kinds = () => log.after(0).map(({ kind }) => kind);
    routing.noteBackground({ changed: 1, problems: [{ code: 'FIB_INTERFACE_DOWN', message: 'no carrier yet.' }] });
    routing.noteBackground({ changed: 2, problems: [] });
    expect(kinds()).toEqual(['fib-repaired', 'FIB_INTERFACE_DOWN']);
    routing.noteBackground({ changed: 1, problems: [] });
    expect(kinds()).toEqual(['fib-repaired', 'FIB_INTERFACE_DOWN', 'fib-repaired']);
  });

  it('applies nothing any more once it was cleared', async () => {
    const { routing, inputs, kernel } = await bothUp();
    const pending = routing.setUp('tw0', false);
    await routing.clear();
    await pending;
    const before = inputs.length;
    routing.peerDown(ZONE1);
    await routing.setUp('tw1', false);
    expect([inputs.length, kernel.cleared]).toEqual([before, 1]);
  });
});
