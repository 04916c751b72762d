import { describe, expect, it } from 'vitest';
import { ip } from '../../../src/lib/ip.ts';
import { selectPaths } from '../../../src/rib/best-path.ts';
import type { RibPath } from '../../../src/rib/types.ts';
import { ribPath } from './rib-path.ts';

describe('selectPaths', () => {
  it.each<{ name: string; better: Partial<RibPath>; worse: Partial<RibPath>; reason: string }>([
    {
      name: 'local preference before AS path length',
      better: { localPref: 200, asPathLength: 9 },
      worse: { localPref: 100, asPathLength: 1 },
      reason: 'local preference 100 is below 200',
    },
    {
      name: 'AS path length before origin',
      better: { asPathLength: 2, origin: 'incomplete' },
      worse: { asPathLength: 3, origin: 'igp' },
      reason: 'AS path of 3 is longer than 2',
    },
    {
      name: 'origin before MED',
      better: { origin: 'igp', med: 500 },
      worse: { origin: 'egp', med: 0 },
      reason: 'origin egp ranks after igp',
    },
    {
      name: 'MED before router id',
      better: { med: 10, peerRouterId: ip('203.0.113.9') },
      worse: { med: 20, peerRouterId: ip('192.0.2.1') },
      reason: 'MED 20 is above 10 from the same AS 65476',
    },
    {
      name: 'router id between neighboring ASes, whatever the MED',
      better: { neighborAs: 1, med: 500, peerRouterId: ip('192.0.2.1') },
      worse: { neighborAs: 2, med: 0, peerRouterId: ip('192.0.2.200') },
      reason: 'router id 192.0.2.200 is above 192.0.2.1',
    },
    {
      name: 'peer address at last',
      better: { neighborAs: 1, peerAddress: ip('169.254.21.2') },
      worse: { neighborAs: 2, peerAddress: ip('169.254.22.2') },
      reason: 'peer address 169.254.22.2 is above 169.254.21.2',
    },
  ])('decides by $name', ({ better, worse, reason }) => {
    const a = ribPath('a', better);
    const b = ribPath('b', worse);
    for (const paths of [
      [a, b],
      [b, a],
    ]) {
      expect(selectPaths(paths)).toEqual({ multipath: [a], losers: [{ path: b, reason }] });
    }
  });

  it('uses both zones when they are equal up to MED, the lower router id first', () => {
    const zone1 = ribPath('zone1');
    const zone2 = ribPath('zone2', { peerRouterId: ip('169.254.22.2'), peerAddress: ip('169.254.22.2') });
    expect(selectPaths([zone2, zone1])).toEqual({ multipath: [zone1, zone2], losers: [] });
  });

  it('compares MED within each neighboring AS before it compares those', () => {
    const cheap = ribPath('cheap', { neighborAs: 1, med: 1, peerRouterId: ip('9.9.9.9') });
    const dear = ribPath('dear', { neighborAs: 1, med: 2, peerRouterId: ip('1.1.1.1') });
    const other = ribPath('other', { neighborAs: 2, med: 3, peerRouterId: ip('5.5.5.5') });
    const { multipath, losers } = selectPaths([dear, other, cheap]);
    expect(multipath).toEqual([other]);
    expect(losers.map(({ path }) => path.peer)).toEqual(['dear', 'cheap']);
  });
});
