import { describe, expect, it } from 'vitest';
import { CeaseSubcode, exportRoutes } from '../../src/bgp/index.ts';
import type { BgpOutput } from '../../src/bgp/types.ts';
import { fromHex } from '../../src/lib/bytes.ts';
import { formatKey, formatPrefix, prefix } from '../../src/lib/ip.ts';
import { type BgpNode, BgpPair, CPE, ZONE } from './bgp-pair.ts';

const ROUTES = Array.from({ length: 25 }, (_, i) => prefix(`52.${i}.0.0/16`));

describe('two sessions', () => {
  it('reach Established and tell each other their networks, then End-of-RIB', () => {
    const pair = started(CPE, { ...ZONE, passive: true });
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
    pair.feed(pair.a, { kind: 'advertise', routes: exportRoutes([prefix('10.1.20.0/24')]) });
    pair.run(1000);
    expect(pair.states()).toBe('established/established');
    expect(learned(pair.a)).toEqual(ROUTES.map(formatPrefix));
    expect(learned(pair.b)).toEqual(['10.1.20.0/24']);
    expect(pair.a.events.findLast((event) => event.kind === 'end-of-rib')).toBeDefined();
    const routes = pair.a.events.find((event) => event.kind === 'routes');
    expect(routes?.announced[0]?.attributes).toMatchObject({
      origin: 'igp',
      asPath: [{ type: 'sequence', asns: [65476] }],
      nextHop: ZONE.localAddress,
    });
    expect(pair.view(pair.a)).toMatchObject({ holdTimeSec: 180, keepaliveSec: 60, lastError: undefined });
  });

  it('keep one of two simultaneous connections, the same one at both ends', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const pair = new BgpPair(CPE, ZONE, 10, seed);
      pair.feed(pair.a, { kind: 'start' });
      pair.feed(pair.b, { kind: 'start' });
      pair.run(5000);
      expect(pair.states(), `seed ${seed}`).toBe('established/established');
      expect(pair.openConnections(), `seed ${seed}`).toBe(2);
      expect([pair.a.count('up'), pair.b.count('up'), pair.a.count('down')], `seed ${seed}`).toEqual([1, 1, 0]);
    }
  });

  it('stay Established for a day with nothing but KEEPALIVEs', () => {
    const pair = started(CPE, ZONE);
    pair.run(86_400_000);
    expect(pair.states()).toBe('established/established');
    expect(pair.a.count('down')).toBe(0);
    const { messagesOut } = pair.view(pair.a).counters;
    expect(messagesOut).toBeGreaterThan(86_400 / 60);
    expect(messagesOut).toBeLessThan(86_400 / 45 + 10);
  });

  it('use the lower hold time, and none at all when one side says 0', () => {
    const low = started(CPE, { ...ZONE, holdTimeSec: 9 });
    low.run(60_000);
    expect(low.view(low.a)).toMatchObject({ state: 'established', holdTimeSec: 9, keepaliveSec: 3 });
    const none = started(CPE, { ...ZONE, holdTimeSec: 0 });
    none.run(1000);
    none.partitioned = true;
    none.run(86_400_000);
    expect(none.states()).toBe('established/established');
  });

  it('speak to a peer with a 4-octet AS number', () => {
    const big = 4_200_000_001;
    const pair = started({ ...CPE, localAs: big }, { ...ZONE, remoteAs: big });
    pair.feed(pair.a, { kind: 'advertise', routes: exportRoutes([prefix('10.1.0.0/16')]) });
    pair.run(1000);
    const routes = pair.b.events.find((event) => event.kind === 'routes');
    expect(routes?.announced[0]?.attributes.asPath).toEqual([{ type: 'sequence', asns: [big] }]);
  });

  it('send only the difference when the networks change', () => {
    const pair = established();
    pair.feed(pair.a, { kind: 'advertise', routes: exportRoutes([prefix('10.1.0.0/16'), prefix('10.2.0.0/16')]) });
    pair.run(100);
    const before = pair.view(pair.a).counters.updatesOut;
    pair.feed(pair.a, { kind: 'advertise', routes: exportRoutes([prefix('10.2.0.0/16'), prefix('10.3.0.0/16')]) });
    pair.feed(pair.a, { kind: 'advertise', routes: exportRoutes([prefix('10.2.0.0/16'), prefix('10.3.0.0/16')]) });
    pair.run(100);
    expect(pair.view(pair.a).counters.updatesOut - before).toBe(2);
    expect(learned(pair.b)).toEqual(['10.2.0.0/16', '10.3.0.0/16']);
  });

  it('pack ten thousand networks into few messages of at most 4096 octets', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => prefix(`16.${i >> 8}.${i & 255}.0/24`));
    const pair = started({ ...CPE, prefixLimit: { ...CPE.prefixLimit, prefixes: 20_000 } }, ZONE);
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(many) });
    pair.run(1000);
    expect(learned(pair.a)).toHaveLength(10_000);
    const sizes = pair.b.events.flatMap((event) => (event.kind === 'send' ? [event.bytes.length] : []));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4096);
    expect(pair.view(pair.b).counters.updatesOut).toBeLessThanOrEqual(12);
  });
});

describe('a session that ends', () => {
  it('by stop tells the peer why, and both withdraw everything', () => {
    const pair = established();
    pair.feed(pair.a, { kind: 'stop', subcode: CeaseSubcode.AdministrativeShutdown, text: 'maintenance until 22:00' });
    pair.run(100);
    expect(pair.view(pair.a).state).toBe('idle');
    expect(pair.view(pair.b).lastError).toContain('Cease/Administrative Shutdown "maintenance until 22:00"');
    expect([pair.a.count('down'), pair.b.count('down')]).toEqual([1, 1]);
    expect(pair.a.session.nextTimeout()).toBeUndefined();
  });

  it('by silence is noticed when the hold time is over, and comes back when the path does', () => {
    const pair = established();
    pair.partitioned = true;
    pair.run(179_000 - 61_000);
    expect(pair.view(pair.a).state).toBe('established');
    pair.run(62_000);
    expect(pair.a.count('down')).toBe(1);
    expect(pair.view(pair.a).lastError).toContain('hold timer expired');
    pair.partitioned = false;
    pair.run(70_000);
    expect(pair.states()).toBe('established/established');
  });

  it('by a restart of the peer is up again within six seconds', () => {
    const pair = established(CPE, { ...ZONE, passive: true });
    pair.feed(pair.b, { kind: 'stop', subcode: CeaseSubcode.AdministrativeReset, text: '' });
    pair.feed(pair.b, { kind: 'start' });
    pair.run(6000);
    expect(pair.states()).toBe('established/established');
    expect(pair.view(pair.a).counters.sessionsEstablished).toBe(2);
    expect(learned(pair.a)).toEqual(ROUTES.map(formatPrefix));
  });

  it('by too many prefixes says Cease/1 with the limit and stays down for long', () => {
    const pair = started({ ...CPE, prefixLimit: { ...CPE.prefixLimit, prefixes: 24 } }, { ...ZONE, passive: true });
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
    pair.run(1000);
    expect(pair.view(pair.a).lastError).toMatch(/more than 24 prefixes.*max_prefixes.*Maximum Number of Prefixes/);
    expect(learned(pair.a)).toEqual([]);
    pair.run(600_000);
    expect(pair.states()).toBe('idle/active');
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES.slice(1)) });
    pair.feed(pair.a, { kind: 'start' });
    pair.run(1000);
    expect(pair.states()).toBe('established/established');
  });

  it('by too many prefixes comes back by itself after the configured pause', () => {
    const limit = { prefixes: 24, beyond: 'restart', restartAfterMs: 120_000 } as const;
    const pair = started({ ...CPE, prefixLimit: limit }, { ...ZONE, passive: true });
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
    pair.run(1_000);
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES.slice(1)) });
    pair.run(80_000); // of 90 to 120 s
    expect(pair.states()).toBe('idle/active');
    pair.run(60_000);
    expect(pair.states()).toBe('established/established');
  });

  it('by too many prefixes stays down when that is what is asked for', () => {
    const limit = { prefixes: 24, beyond: 'down', restartAfterMs: 120_000 } as const;
    const pair = started({ ...CPE, prefixLimit: limit }, { ...ZONE, passive: true });
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
    pair.run(86_400_000);
    expect(pair.states()).toBe('idle/active');
    expect(pair.view(pair.a).lastError).toContain('the session stays down');
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES.slice(1)) });
    pair.feed(pair.a, { kind: 'start' });
    pair.run(1_000);
    expect(pair.states()).toBe('established/established');
  });

  it('is not ended by too many prefixes that only warn', () => {
    const limit = { prefixes: 24, beyond: 'warn', restartAfterMs: 0 } as const;
    const pair = started({ ...CPE, prefixLimit: limit }, ZONE);
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
    pair.run(1_000);
    expect(pair.states()).toBe('established/established');
    expect(learned(pair.a)).toHaveLength(25);
    expect(pair.a.logged('prefix-limit')).toEqual([
      expect.stringMatching(/announces 25 prefixes, the limit is 24: raise links\[\]\.bgp\.import\.max_prefixes/),
    ]);
  });

  it('by a peer that reads nothing: after 8 minutes, without a NOTIFICATION that could not leave (RFC 9687)', () => {
    const pair = established();
    pair.stuck = true;
    pair.feed(pair.a, { kind: 'advertise', routes: exportRoutes([prefix('10.1.20.0/24')]) });
    pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
    pair.run(479_000);
    expect(pair.states()).toBe('established/established');
    const before = pair.a.count('send');
    pair.run(2_000);
    expect(pair.a.count('abort')).toBe(1);
    expect(pair.a.count('send') - before).toBeLessThanOrEqual(1); // a KEEPALIVE at most
    expect(pair.view(pair.a).lastError).toMatch(/send hold timer expired: 169\.254\.21\.2 has read nothing/);
  });

  it('is not ended by a send hold timer while TCP takes what is sent', () => {
    const pair = established();
    pair.run(86_400_000);
    expect(pair.view(pair.a).counters.sessionsEstablished).toBe(1);
  });

  it('begins with the OPEN of the peer where ours is delayed, and after the delay where both are', () => {
    const one = started({ ...CPE, delayOpenMs: 5_000 }, { ...ZONE, passive: true });
    one.run(100);
    expect(one.states()).toBe('established/established');
    const both = started({ ...CPE, delayOpenMs: 5_000 }, { ...ZONE, delayOpenMs: 60_000, passive: true });
    both.run(4_900);
    expect(both.states()).toBe('connect/active');
    expect(both.a.count('send') + both.b.count('send')).toBe(0);
    both.run(200);
    expect(both.states()).toBe('established/established');
  });

  it('survives collisions of connections whose OPENs are delayed: one stays', () => {
    const pair = started({ ...CPE, delayOpenMs: 500 }, { ...ZONE, delayOpenMs: 700 });
    pair.run(10_000);
    expect(pair.states()).toBe('established/established');
    expect(pair.openConnections()).toBe(2); // an end each
  });

  it('that waits with its OPEN ends when anything else comes first', () => {
    const pair = started({ ...CPE, delayOpenMs: 60_000 }, { ...ZONE, delayOpenMs: 60_000, passive: true });
    pair.run(100);
    const connection = pair.a.events.find((event) => event.kind === 'connect')?.connection ?? 0;
    pair.feed(pair.a, { kind: 'data', connection, bytes: fromHex(`${'ff'.repeat(16)}001304`) });
    expect(pair.view(pair.a).lastError).toMatch(/message type 4 is not expected in state open-delayed/);
  });

  it('by a hold time below what is asked for says Unacceptable Hold Time at both ends', () => {
    const pair = started({ ...CPE, minHoldTimeSec: 60 }, { ...ZONE, holdTimeSec: 30, passive: true });
    pair.run(1_000);
    expect(pair.view(pair.a).lastError).toMatch(/proposes a hold time of 30 s, at least 60 s are asked for/);
    expect(pair.view(pair.b).lastError).toMatch(/Unacceptable Hold Time/);
  });

  it('by a wrong AS number explains itself at both ends and slows down', () => {
    const pair = started({ ...CPE, remoteAs: 65001 }, { ...ZONE, passive: true });
    pair.run(1000);
    expect(pair.view(pair.a).lastError).toContain('announced AS 65476 in its OPEN, AS 65001 was configured');
    expect(pair.view(pair.b).lastError).toMatch(/Bad Peer AS.*links\[\]\.bgp\.asn/);
    pair.run(3_600_000);
    const dials = pair.a.count('connect');
    expect(dials).toBeGreaterThan(10); // 5 10 20 40 80 160 300 300 …
    expect(dials).toBeLessThan(40); // and some that the peer, holding down too, rejects
  });
});

describe('connecting', () => {
  it('retries at 5 s, doubling to 60 s, for ever', () => {
    const pair = new BgpPair(CPE, ZONE);
    pair.refusing = true;
    pair.feed(pair.a, { kind: 'start' });
    pair.run(3_600_000);
    expect(pair.view(pair.a).lastError).toContain('cannot connect to 169.254.21.2 port 179: connection refused');
    expect(pair.a.count('connect')).toBeGreaterThan(60);
    expect(pair.a.count('connect')).toBeLessThan(85);
  });

  it('gives up an attempt that nobody answers', () => {
    const pair = new BgpPair(CPE, ZONE);
    pair.partitioned = true;
    pair.feed(pair.a, { kind: 'start' });
    pair.run(9_000);
    expect(pair.view(pair.a).state).toBe('connect');
    pair.run(2_000);
    expect(pair.view(pair.a).state).toBe('active');
    expect(pair.a.events.at(-2)).toEqual({ kind: 'close', connection: 1 });
  });

  it('never dials when passive, and refuses while stopped', () => {
    const pair = new BgpPair(CPE, { ...ZONE, passive: true });
    pair.feed(pair.a, { kind: 'start' });
    pair.run(1000);
    expect(pair.view(pair.a).lastError).toContain('Cease/Connection Rejected');
    pair.feed(pair.b, { kind: 'start' });
    pair.run(20_000);
    expect(pair.states()).toBe('established/established');
    expect(pair.b.count('connect')).toBe(0);
  });

  it('learns from a new connection that the peer has forgotten the old one', () => {
    const pair = established(CPE, { ...ZONE, passive: true });
    // A new incarnation of the peer dials us while the old connection still looks fine from here.
    pair.feed(pair.a, { kind: 'connected', connection: -77, incoming: true });
    const open = pair.b.events.find((event): event is Extract<BgpOutput, { kind: 'send' }> => event.kind === 'send');
    const sentBefore = pair.a.events.length;
    pair.feed(pair.a, { kind: 'data', connection: -77, bytes: open?.bytes ?? new Uint8Array() });
    const after = pair.a.events.slice(sentBefore);
    expect(after.map((event) => ('connection' in event ? `${event.kind} ${event.connection}` : event.kind))).toEqual([
      'send 1', // a KEEPALIVE that draws a reset if nobody is there
      'log',
      'send -77', // Cease/7
      'close -77',
    ]);
    expect(pair.view(pair.a).state).toBe('established');
  });
});

// helpers

function started(a: typeof CPE, b: typeof CPE): BgpPair {
  const pair = new BgpPair(a, b);
  pair.feed(pair.b, { kind: 'start' });
  pair.feed(pair.a, { kind: 'start' });
  return pair;
}

function established(a = CPE, b = ZONE): BgpPair {
  const pair = started(a, b);
  pair.feed(pair.b, { kind: 'advertise', routes: exportRoutes(ROUTES) });
  pair.run(2000);
  expect(pair.states()).toBe('established/established');
  return pair;
}

/** What the peer has announced and not taken back, since the session came up last. */
function learned(node: BgpNode): string[] {
  const held = new Set<string>();
  for (const event of node.events) {
    if (event.kind === 'up') held.clear();
    if (event.kind !== 'routes') continue;
    for (const key of event.withdrawn) held.delete(formatKey(key));
    for (const key of event.announced.flatMap(({ prefixes }) => prefixes)) held.add(formatKey(key));
  }
  return [...held];
}
