import { describe, expect, it } from 'vitest';
import { exportRoutes } from '../../../src/bgp/index.ts';
import { BgpSession } from '../../../src/bgp/session.ts';
import type { BgpState, ExportRoute } from '../../../src/bgp/types.ts';
import { type BgpMessage, encodeMessage } from '../../../src/bgp/wire/message.ts';
import type { OpenMessage } from '../../../src/bgp/wire/open.ts';
import { concat, fromHex } from '../../../src/lib/bytes.ts';
import { ip, prefix, prefixKey } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';
import { CPE, seededRandom } from '../../sim/bgp-pair.ts';
import { CONTEXT, Driver, KEEPALIVE, OPEN } from './session-driver.ts';

const EMPTY_UPDATE: BgpMessage = {
  kind: 'update',
  update: { withdrawn: [], attributes: {}, unknown: [], nlri: [], faults: [] },
};
const REFRESH: BgpMessage = { kind: 'route-refresh', afi: 1, safi: 1, subtype: 0 };

describe('a message the state does not expect (RFC 6608)', () => {
  const open: BgpMessage = { kind: 'open', open: OPEN };
  it.each<{ state: BgpState; message: BgpMessage; notification: string }>([
    { state: 'opensent', message: KEEPALIVE, notification: 'in OpenSent (data 04)' },
    { state: 'opensent', message: EMPTY_UPDATE, notification: 'in OpenSent (data 02)' },
    { state: 'opensent', message: REFRESH, notification: 'in OpenSent (data 05)' },
    { state: 'openconfirm', message: open, notification: 'in OpenConfirm (data 01)' },
    { state: 'openconfirm', message: EMPTY_UPDATE, notification: 'in OpenConfirm (data 02)' },
    { state: 'established', message: open, notification: 'in Established (data 01)' },
  ])('$message.kind in $state', ({ state, message, notification }) => {
    const driver = new Driver().reach(state);
    driver.receive(message);
    expect(driver.sentNotification()).toBe(`Finite State Machine Error/Unexpected Message ${notification}`);
    expect(driver.state()).toBe('idle');
  });
});

describe('an OPEN that is refused', () => {
  it.each<{ name: string; open: Partial<OpenMessage>; notification: string; words: RegExp }>([
    {
      name: 'for its AS',
      open: { asn: 65001, capabilities: [] },
      notification: 'OPEN Message Error/Bad Peer AS',
      words: /announced AS 65001 in its OPEN, AS 65476 was configured: correct/,
    },
    {
      name: 'for its identifier',
      open: { routerId: ip('0.0.0.0') },
      notification: 'OPEN Message Error/Bad BGP Identifier',
      words: /router id/,
    },
    {
      name: 'for its role',
      open: { capabilities: [...OPEN.capabilities, { kind: 'role', role: 3 }] },
      notification: 'OPEN Message Error/Role Mismatch',
      words: /takes role customer in its OPEN, we are its customer: correct the role/,
    },
    {
      name: 'for its families',
      open: { capabilities: [{ kind: 'multiprotocol', afi: 2, safi: 1 }] },
      notification: 'OPEN Message Error/Unsupported Capability (data 010400010001)',
      words: /does not offer IPv4 unicast: activate/,
    },
  ])('$name', ({ open, notification, words }) => {
    const driver = new Driver().reach('opensent');
    driver.receive({ kind: 'open', open: { ...OPEN, ...open } });
    expect(driver.sentNotification()).toBe(notification);
    expect(driver.session.view(driver.now).lastError).toMatch(words);
    expect(driver.outputs.at(-1)).toMatchObject({ kind: 'log', event: 'session-ended' });
    expect(driver.kinds()).not.toContain('down');
  });
});

describe('timers', () => {
  it('OpenSent waits four minutes for an OPEN', () => {
    const driver = new Driver().reach('opensent');
    driver.feed({ kind: 'timeout' }, 239_999);
    expect(driver.state()).toBe('opensent');
    driver.feed({ kind: 'timeout' }, 240_000);
    expect(driver.sentNotification()).toBe('Hold Timer Expired');
    expect(driver.state()).toBe('active');
  });

  it('an early timeout changes nothing', () => {
    const driver = new Driver().reach('established');
    const before = driver.session.nextTimeout();
    driver.outputs.length = 0;
    driver.feed({ kind: 'timeout' }, 1);
    expect([driver.outputs, driver.session.nextTimeout()]).toEqual([[], before]);
  });

  it('each message starts the hold time again', () => {
    const driver = new Driver().reach('established');
    for (let at = 170_000; at <= 1_700_000; at += 170_000) {
      driver.now = instant(at);
      driver.receive(KEEPALIVE);
      driver.feed({ kind: 'timeout' }, at);
    }
    expect(driver.state()).toBe('established');
    driver.feed({ kind: 'timeout' }, 1_880_000);
    expect(driver.sentNotification()).toBe('Hold Timer Expired');
  });

  it('protocol errors hold the session down for longer each time, and ten stable minutes forget them', () => {
    const driver = new Driver().reach('established');
    for (const idleHoldMs of [5_000, 10_000, 20_000]) {
      const waitedMs = driver.breakAndWait();
      expect(waitedMs).toBeGreaterThanOrEqual(0.75 * idleHoldMs);
      expect(waitedMs).toBeLessThanOrEqual(idleHoldMs);
    }
    for (let minute = 0; minute <= 10; minute++) {
      driver.feed({ kind: 'timeout' }, driver.now + 60_000);
      driver.receive(KEEPALIVE);
    }
    expect(driver.breakAndWait()).toBeLessThanOrEqual(5_000);
  });
});

describe('an established session', () => {
  it('emits routes that are announced, and treats a bad one as withdrawn', () => {
    const driver = new Driver().reach('established');
    driver.outputs.length = 0;
    const attributes = {
      origin: 'igp',
      asPath: [{ type: 'sequence', asns: [65476] }],
      nextHop: ip('169.254.21.2'),
    } as const;
    const nlri = [prefixKey(prefix('40.96.0.0/13'))];
    driver.receive({ kind: 'update', update: { withdrawn: [], attributes, unknown: [], nlri, faults: [] } });
    const { origin: _, ...noOrigin } = attributes;
    driver.receive({ kind: 'update', update: { withdrawn: [], attributes: noOrigin, unknown: [], nlri, faults: [] } });
    expect(driver.outputs).toMatchObject([
      { kind: 'routes', announced: [{ prefixes: nlri }], withdrawn: [] },
      { kind: 'log', event: 'treat-as-withdraw', detail: 'ORIGIN is missing' },
      { kind: 'routes', announced: [], withdrawn: nlri },
    ]);
    expect(driver.state()).toBe('established');
  });

  it('counts a prefix that is withdrawn and announced in one UPDATE as announced', () => {
    const driver = new Driver().reach('established');
    driver.outputs.length = 0;
    const attributes = {
      origin: 'igp',
      asPath: [{ type: 'sequence', asns: [65476] }],
      nextHop: ip('169.254.21.2'),
    } as const;
    const both = [prefixKey(prefix('40.96.0.0/13'))];
    driver.receive({ kind: 'update', update: { withdrawn: both, attributes, unknown: [], nlri: both, faults: [] } });
    expect(driver.outputs).toMatchObject([{ kind: 'routes', announced: [{ prefixes: both }], withdrawn: [] }]);
  });

  it('answers ROUTE-REFRESH for IPv4 unicast with all it advertises, and no other', () => {
    const driver = new Driver().reach('established');
    driver.feed({ kind: 'advertise', routes: exportRoutes([prefix('10.1.20.0/24')]) });
    driver.outputs.length = 0;
    driver.receive({ ...REFRESH, afi: 2 });
    driver.receive({ ...REFRESH, subtype: 1 });
    expect(driver.sent()).toEqual([]);
    driver.receive(REFRESH);
    expect(driver.sent()).toMatchObject([{ kind: 'update', update: { nlri: [prefixKey(prefix('10.1.20.0/24'))] } }]);
  });

  it('tells what policy adds to own networks, and only those anew for which it changes', () => {
    const driver = new Driver().reach('established');
    driver.outputs.length = 0;
    const [plain, marked] = [prefix('10.1.20.0/24'), prefix('10.1.21.0/24')];
    const set = { prepend: 2, med: 10, communities: [0xffff_ff01], largeCommunities: [[65010, 1, 2] as const] };
    const tell = (routes: ExportRoute[]) => driver.feed({ kind: 'advertise', routes });
    tell([
      { prefix: plain, set: {} },
      { prefix: marked, set },
    ]);
    const asns = (count: number) => [{ type: 'sequence', asns: new Array(count).fill(65010) }];
    expect(driver.sent()).toMatchObject([
      { update: { nlri: [prefixKey(plain)], attributes: { asPath: asns(1) } } },
      {
        update: {
          nlri: [prefixKey(marked)],
          attributes: { asPath: asns(3), med: 10, communities: [0xffff_ff01], largeCommunities: [[65010, 1, 2]] },
        },
      },
    ]);
    driver.outputs.length = 0;
    tell([
      { prefix: plain, set: { prepend: 0 } },
      { prefix: marked, set: { ...set, med: 20 } },
    ]);
    expect(driver.sent()).toMatchObject([{ update: { nlri: [prefixKey(marked)], attributes: { med: 20 } } }]);
  });

  it('handles what arrives with the octets that end the session, then nothing more', () => {
    const driver = new Driver().reach('established');
    driver.outputs.length = 0;
    const notification = encodeMessage(
      { kind: 'notification', notification: { code: 6, subcode: 4, data: new Uint8Array() } },
      CONTEXT,
    );
    const endOfRib = encodeMessage(EMPTY_UPDATE, CONTEXT);
    driver.feed({ kind: 'data', connection: 1, bytes: concat(endOfRib, notification, endOfRib) });
    expect(driver.kinds()).toEqual(['end-of-rib', 'close', 'log', 'down']);
    driver.feed({ kind: 'data', connection: 1, bytes: endOfRib });
    driver.feed({ kind: 'closed', connection: 1, reason: 'end of stream' });
    expect(driver.kinds()).toHaveLength(4);
  });

  it('tells of the first malformed UPDATEs only, and counts all', () => {
    const driver = new Driver().reach('established');
    driver.outputs.length = 0;
    // ATOMIC_AGGREGATE with a value; ORIGIN, AS_PATH, NEXT_HOP; 52.96.0.0/14
    const body = fromHex('0000001840060100' + '40010100' + '40020602010000ffc4' + '400304a9fe1502' + '0e3460');
    const bytes = concat(fromHex(`${'ff'.repeat(16)}00${(19 + body.length).toString(16)}02`), body);
    for (let i = 0; i < 1_000; i++) driver.feed({ kind: 'data', connection: 1, bytes });
    const told = driver.outputs.filter(({ kind }) => kind === 'log');
    expect(told).toHaveLength(21);
    expect(told.at(-1)).toMatchObject({
      detail: '20 malformed UPDATEs so far; further ones of this session are only counted',
    });
    expect(driver.session.view(driver.now).counters.malformedUpdates).toBe(1_000);
    expect(driver.state()).toBe('established');
  });

  it('tells a 2-octet peer its 4-octet AS in AS4_PATH', () => {
    const driver = new Driver({ ...CPE, localAs: 4_200_000_001 }).reach('established', { ...OPEN, capabilities: [] });
    driver.outputs.length = 0;
    driver.feed({ kind: 'advertise', routes: exportRoutes([prefix('10.1.20.0/24')]) });
    expect(driver.sent(2)).toMatchObject([
      {
        update: {
          attributes: {
            asPath: [{ type: 'sequence', asns: [23456] }],
            as4Path: [{ type: 'sequence', asns: [4_200_000_001] }],
          },
        },
      },
    ]);
  });
});

it('refuses to be an internal peer', () => {
  expect(() => new BgpSession({ ...CPE, remoteAs: CPE.localAs }, { random: seededRandom(1) })).toThrow(
    /external peers only/,
  );
});
