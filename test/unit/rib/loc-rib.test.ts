import { describe, expect, it } from 'vitest';
import { formatPrefix, ip, prefix } from '../../../src/lib/ip.ts';
import { LocRib } from '../../../src/rib/loc-rib.ts';
import { ribPath } from './rib-path.ts';

const ZONE1 = ribPath('zone1');
const ZONE2 = ribPath('zone2', {
  nextHop: ip('169.254.22.2'),
  peerRouterId: ip('169.254.22.2'),
  peerAddress: ip('169.254.22.2'),
});
const OUTLOOK = prefix('40.96.0.0/13');
const TEAMS = prefix('52.112.0.0/14');

describe('LocRib', () => {
  it('offers both zones, and one when the other is gone', () => {
    const rib = loaded();
    expect(rib.entry(OUTLOOK)?.multipath.map((path) => path.peer)).toEqual(['zone1', 'zone2']);
    rib.removePeer('zone1');
    expect(
      rib.entries().map((entry) => [formatPrefix(entry.prefix), entry.multipath.map((path) => path.peer)]),
    ).toEqual([['40.96.0.0/13', ['zone2']]]);
    rib.removePeer('zone2');
    expect([rib.size, rib.entry(OUTLOOK)]).toEqual([0, undefined]);
  });

  it('tells what changed since the last look', () => {
    const rib = loaded();
    expect(rib.drainChanges().updated.map((entry) => formatPrefix(entry.prefix))).toEqual([
      '40.96.0.0/13',
      '52.112.0.0/14',
    ]);
    expect(rib.drainChanges()).toEqual({ updated: [], removed: [] });
    rib.update('zone1', [], [OUTLOOK, TEAMS]);
    const changes = rib.drainChanges();
    expect(changes.updated.map((entry) => [formatPrefix(entry.prefix), entry.multipath])).toEqual([
      ['40.96.0.0/13', [ZONE2]],
    ]);
    expect(changes.removed).toEqual([TEAMS]);
  });

  it('does not call it a change when a peer repeats itself or withdraws what it never announced', () => {
    const rib = loaded();
    rib.drainChanges();
    rib.update('zone1', [{ prefix: OUTLOOK, path: { ...ZONE1 } }], [prefix('198.51.100.0/24')]);
    expect(rib.drainChanges()).toEqual({ updated: [], removed: [] });
  });

  it('replaces the path of a peer', () => {
    const rib = loaded();
    rib.update('zone1', [{ prefix: OUTLOOK, path: { ...ZONE1, med: 50 } }], []);
    expect(rib.entry(OUTLOOK)).toMatchObject({
      multipath: [{ peer: 'zone2' }],
      losers: [{ path: { peer: 'zone1', med: 50 }, reason: 'MED 50 is above 0 from the same AS 65476' }],
    });
  });

  it('reports a prefix that left and came back between two looks as it is now', () => {
    const rib = loaded();
    rib.drainChanges();
    rib.update('zone1', [], [TEAMS]);
    rib.update('zone2', [{ prefix: TEAMS, path: ZONE2 }], []);
    const { updated, removed } = rib.drainChanges();
    expect([updated.map((entry) => entry.multipath), removed]).toEqual([[[ZONE2]], []]);
  });
});

// helpers

/** Both zones offer OUTLOOK, zone 1 alone TEAMS. */
function loaded(): LocRib {
  const rib = new LocRib();
  rib.update(
    'zone1',
    [OUTLOOK, TEAMS].map((each) => ({ prefix: each, path: ZONE1 })),
    [],
  );
  rib.update('zone2', [{ prefix: OUTLOOK, path: ZONE2 }], []);
  return rib;
}
