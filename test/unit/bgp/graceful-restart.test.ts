import { describe, expect, it } from 'vitest';
import { exportRoutes } from '../../../src/bgp/index.ts';
import type { BgpOutput } from '../../../src/bgp/types.ts';
import type { GracefulRestartCapability } from '../../../src/bgp/wire/capabilities.ts';
import type { OpenMessage } from '../../../src/bgp/wire/open.ts';
import { prefix } from '../../../src/lib/ip.ts';
import { Driver, OPEN } from './session-driver.ts';

describe('our OPEN', () => {
  it('says what we can do: refreshes, four-octet AS numbers, being a customer, helping restarts', () => {
    const [open] = new Driver().reach('opensent').sent();
    expect(open).toMatchObject({
      open: {
        capabilities: [
          { kind: 'multiprotocol', afi: 1, safi: 1 },
          { kind: 'route-refresh' },
          { kind: 'enhanced-route-refresh' },
          { kind: 'four-octet-as', asn: 65010 },
          { kind: 'role', role: 3 },
          { kind: 'graceful-restart', restarting: false, notification: true, restartTimeSec: 0, families: [] },
        ],
      },
    });
  });
});

describe('a session that ends (RFC 4724 §4.2, RFC 8538 §4)', () => {
  const closed = (driver: Driver) => driver.feed({ kind: 'closed', connection: 1, reason: 'end of stream' });
  const ceased = (subcode: number) => (driver: Driver) =>
    driver.receive({ kind: 'notification', notification: { code: 6, subcode, data: new Uint8Array() } });
  const silent = (driver: Driver) => driver.feed({ kind: 'timeout' }, 180_001);
  const stopped = (driver: Driver) => driver.feed({ kind: 'stop', subcode: 2, text: '' });

  it.each([
    { name: 'closed, by a peer that restarts', open: restarting(), end: closed, staleSec: 120 },
    {
      name: 'closed, by a peer that restarts for an hour',
      open: restarting({ restartTimeSec: 4095 }),
      end: closed,
      staleSec: 360,
    },
    { name: 'closed, by a peer that knows nothing of restarts', open: OPEN, end: closed, staleSec: 0 },
    { name: 'closed, by a peer that helps only', open: restarting({ families: [] }), end: closed, staleSec: 0 },
    {
      name: 'closed, by a peer that keeps IPv6 only',
      open: restarting({ families: [family(2)] }),
      end: closed,
      staleSec: 0,
    },
    {
      name: 'by Cease/Administrative Reset, N bit',
      open: restarting({ notification: true }),
      end: ceased(4),
      staleSec: 120,
    },
    { name: 'by Cease/Administrative Reset, no N bit', open: restarting(), end: ceased(4), staleSec: 0 },
    { name: 'by Cease/Hard Reset, N bit', open: restarting({ notification: true }), end: ceased(9), staleSec: 0 },
    { name: 'by silence, N bit', open: restarting({ notification: true }), end: silent, staleSec: 120 },
    { name: 'by silence, no N bit', open: restarting(), end: silent, staleSec: 0 },
    { name: 'by our own decision', open: restarting({ notification: true }), end: stopped, staleSec: 0 },
  ])('$name: routes stay $staleSec s', ({ open, end, staleSec }) => {
    const driver = new Driver().reach('established', open);
    end(driver);
    expect(down(driver)).toMatchObject({ staleSec });
  });

  it('because a peer that can restart connects anew; the new connection takes over', () => {
    const driver = new Driver().reach('established', restarting());
    driver.feed({ kind: 'connected', connection: 1_000_001, incoming: true });
    driver.receive({ kind: 'open', open: restarting({ restarting: true }) }, 1_000_001);
    expect(down(driver)).toMatchObject({ staleSec: 120, reason: expect.stringContaining('has restarted') });
    driver.receive({ kind: 'keepalive' }, 1_000_001);
    expect(driver.state()).toBe('established');
  });
});

describe('a peer that is back', () => {
  it.each([
    { name: 'and kept forwarding', forwarding: true },
    { name: 'and did not', forwarding: false },
  ])('$name', ({ forwarding }) => {
    const driver = new Driver().reach('established', restarting({ families: [{ ...family(1), forwarding }] }));
    expect(driver.outputs.find(({ kind }) => kind === 'up')).toMatchObject({ keepsForwarding: forwarding });
  });
});

describe('refresh (RFC 2918, RFC 7313)', () => {
  const REQUEST = { kind: 'route-refresh', afi: 1, safi: 1, subtype: 0 } as const;

  it.each([
    {
      name: 'between marks for a peer that knows them',
      enhanced: true,
      kinds: ['route-refresh', 'update', 'route-refresh'],
    },
    { name: 'as it is for one that does not', enhanced: false, kinds: ['update'] },
  ])('tells our networks once more, $name', ({ enhanced, kinds }) => {
    const capabilities = enhanced
      ? [...OPEN.capabilities, { kind: 'enhanced-route-refresh' } as const]
      : OPEN.capabilities;
    const driver = new Driver().reach('established', { ...OPEN, capabilities });
    driver.feed({ kind: 'advertise', routes: exportRoutes([prefix('10.1.20.0/24')]) });
    driver.outputs.length = 0;
    driver.receive(REQUEST);
    expect(driver.sent().map(({ kind }) => kind)).toEqual(kinds);
    if (enhanced) expect(driver.sent()).toMatchObject([{ subtype: 1 }, {}, { subtype: 2 }]);
  });

  it('hands on the marks of the peer, and nothing of other families and subtypes', () => {
    const knowing = { ...OPEN, capabilities: [...OPEN.capabilities, { kind: 'enhanced-route-refresh' } as const] };
    const driver = new Driver().reach('established', knowing);
    driver.outputs.length = 0;
    driver.receive({ ...REQUEST, subtype: 1 });
    driver.receive({ ...REQUEST, afi: 2, subtype: 1 });
    driver.receive({ ...REQUEST, subtype: 7 });
    driver.receive({ ...REQUEST, subtype: 2 });
    expect(driver.kinds()).toEqual(['begin-of-rib', 'end-of-rib']);
  });

  it('takes no marks from a peer that did not announce them', () => {
    const driver = new Driver().reach('established');
    driver.outputs.length = 0;
    for (const subtype of [1, 2]) driver.receive({ ...REQUEST, subtype });
    expect(driver.kinds()).toEqual([]);
  });
});

// helpers

const family = (afi: number) => ({ afi, safi: 1, forwarding: true });

function restarting(change: Partial<GracefulRestartCapability> = {}): OpenMessage {
  const capability: GracefulRestartCapability = {
    kind: 'graceful-restart',
    restarting: false,
    notification: false,
    restartTimeSec: 120,
    families: [family(1)],
    ...change,
  };
  return { ...OPEN, capabilities: [...OPEN.capabilities, capability] };
}

const down = (driver: Driver): BgpOutput | undefined => driver.outputs.findLast(({ kind }) => kind === 'down');
