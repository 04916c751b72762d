import { describe, expect, it } from 'vitest';
import { formatPrefix, ip, prefix } from '../../../src/lib/ip.ts';
import { RibDriver } from './rib-driver.ts';
import { ribPath } from './rib-path.ts';

const ZONE1 = ribPath('zone1');
const ZONE2 = ribPath('zone2', {
  nextHop: ip('169.254.22.2'),
  peerRouterId: ip('169.254.22.2'),
  peerAddress: ip('169.254.22.2'),
});
const OUTLOOK = prefix('40.96.0.0/13');
const TEAMS = prefix('52.112.0.0/14');

describe('the choice', () => {
  it('is both zones, and one when the session of the other ends', () => {
    const driver = loaded();
    expect(driver.chosen(OUTLOOK)).toEqual(['zone1', 'zone2']);
    driver.rib.sessionLost('zone1');
    expect(driver.rib.entries().map((entry) => formatPrefix(entry.prefix))).toEqual(['40.96.0.0/13']);
    expect(driver.chosen(OUTLOOK)).toEqual(['zone2']);
    driver.rib.sessionLost('zone2');
    expect([driver.rib.entries(), driver.rib.entry(OUTLOOK)]).toEqual([[], undefined]);
  });

  it('tells what changed since the last look', () => {
    const driver = loaded();
    expect(driver.drain()).toEqual(['40.96.0.0/13', '52.112.0.0/14']);
    expect(driver.drain()).toEqual([]);
    driver.withdraw('zone1', [OUTLOOK, TEAMS]);
    expect(driver.drain()).toEqual(['40.96.0.0/13', '52.112.0.0/14']);
    expect([...driver.paths]).toEqual([['40.96.0.0/13', [ZONE2]]]);
  });

  it('does not change when a peer repeats itself or withdraws what it never announced', () => {
    const driver = loaded();
    driver.drain();
    driver.announce('zone1', [OUTLOOK], { ...ZONE1 });
    driver.withdraw('zone1', [prefix('198.51.100.0/24')]);
    expect(driver.drain()).toEqual([]);
  });

  it('follows a path that is replaced, and says why the loser lost', () => {
    const driver = loaded();
    driver.announce('zone1', [OUTLOOK], { ...ZONE1, med: 50 });
    expect(driver.rib.entry(OUTLOOK)).toMatchObject({
      multipath: [{ peer: 'zone2' }],
      losers: [{ path: { peer: 'zone1', med: 50 }, reason: 'MED 50 is above 0 from the same AS 65476' }],
    });
  });

  it('is the present one for a prefix that left and came back between two looks', () => {
    const driver = loaded();
    driver.drain();
    driver.withdraw('zone1', [TEAMS]);
    driver.announce('zone2', [TEAMS], ZONE2);
    expect(driver.drain()).toEqual(['52.112.0.0/14']);
    expect(driver.paths.get('52.112.0.0/14')).toEqual([ZONE2]);
  });

  it('forgets a removed peer, and gives its place to another', () => {
    const driver = loaded();
    driver.rib.removePeer('zone1');
    driver.rib.addPeer('zone3', 10);
    driver.announce('zone3', [TEAMS]);
    expect([driver.chosen(OUTLOOK), driver.chosen(TEAMS)]).toEqual([['zone2'], ['zone3']]);
    expect(driver.rib.received('zone1')).toBeUndefined();
  });
});

describe('what a peer has told', () => {
  it('is counted through replacement, rejection and withdrawal', () => {
    const driver = new RibDriver('zone1');
    driver.announce('zone1', [OUTLOOK]);
    driver.announce('zone1', [TEAMS], 'rejected', 2);
    expect(driver.rib.counts('zone1')).toEqual({ received: 2, accepted: 1 });
    expect(driver.chosen(TEAMS)).toBeUndefined();
    driver.announce('zone1', [TEAMS], ZONE1, 3);
    expect(driver.rib.counts('zone1')).toEqual({ received: 2, accepted: 2 });
    driver.withdraw('zone1', [OUTLOOK]);
    driver.withdraw('zone1', [OUTLOOK]);
    expect(driver.rib.counts('zone1')).toEqual({ received: 1, accepted: 1 });
    expect(driver.rib.received('zone1')?.map((route) => [formatPrefix(route.prefix), route.receivedAt])).toEqual([
      ['52.112.0.0/14', 3],
    ]);
    driver.rib.sessionLost('zone1');
    expect([driver.rib.counts('zone1'), driver.rib.received('zone1')]).toEqual([{ received: 0, accepted: 0 }, []]);
  });

  it('is listed by prefix, and tells apart prefixes that differ in length only', () => {
    const driver = new RibDriver('zone1');
    const texts = ['20.0.0.0/8', '10.0.0.0/9', '10.0.0.0/8', '2001:db8::/48', '2001:db8::/32'];
    driver.announce(
      'zone1',
      texts.map((text) => prefix(text)),
    );
    expect(driver.rib.received('zone1')?.map((route) => formatPrefix(route.prefix))).toEqual([
      '10.0.0.0/8',
      '10.0.0.0/9',
      '20.0.0.0/8',
      '2001:db8::/32',
      '2001:db8::/48',
    ]);
  });

  it('can be judged again, and keeps what came', () => {
    const driver = new RibDriver('zone1');
    driver.announce('zone1', [OUTLOOK, TEAMS], ZONE1, 7);
    driver.drain();
    driver.rib.judge('zone1', (_, before) => ({ ...before, path: undefined, rejected: 'no more' }));
    expect(driver.drain()).toEqual(['40.96.0.0/13', '52.112.0.0/14']);
    expect(driver.rib.received('zone1')?.map(({ rejected, receivedAt }) => [rejected, receivedAt])).toEqual([
      ['no more', 7],
      ['no more', 7],
    ]);
    driver.rib.judge('zone1', (_, before) => before);
    expect(driver.drain()).toEqual([]);
  });
});

// helpers

/** Both zones offer OUTLOOK, zone 1 alone TEAMS. */
function loaded(): RibDriver {
  const driver = new RibDriver('zone1', 'zone2');
  driver.announce('zone1', [OUTLOOK, TEAMS], ZONE1);
  driver.announce('zone2', [OUTLOOK], ZONE2);
  return driver;
}
