import { describe, expect, it } from 'vitest';
import { formatObject } from '../../../src/fib/format.ts';
import type { KernelObject } from '../../../src/fib/types.ts';
import { prefix } from '../../../src/lib/ip.ts';
import { names, permit, route, tunnel, twoZones } from './fib-input.ts';
import { changesBetween, desired } from './fib-plan.ts';

const BOTH = [route('52.96.0.0/14', 'tw0', 'tw1'), route('40.96.0.0/13', 'tw0', 'tw1')];

describe('diff', () => {
  it('builds bottom up', () => {
    const input = twoZones({ tunnels: [tunnel(0)], routes: [route('52.96.0.0/14', 'tw0', 'tw1')] });
    expect(text([], desired(input))).toEqual([
      'add address 169.254.21.1 dev tw0',
      'add nexthop id 76900 dev tw0',
      'add nexthop id 77000 dev tw0',
      'add route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'add route 52.96.0.0/14 table 7700 nhid 77000 src 169.254.21.1',
      'add rule 7700: fwmark 0x7700/0xff00 lookup main',
      'add rule 7701: from 169.254.21.1/32 lookup 7700',
      'add rule 7702: to 169.254.21.2/32 lookup 7700',
    ]);
  });

  it('fails a tunnel over with a delete of its nexthops, however many routes there are', () => {
    const before = desired(twoZones({ routes: BOTH }));
    const after = desired(twoZones({ routes: BOTH, tunnels: [tunnel(0), tunnel(1, { up: false })] }));
    expect(text(before, after)).toEqual(['delete nexthop id 76901 dev tw1', 'delete nexthop id 77001 dev tw1']);
  });

  it('fails a lost session over with one delete, and leaves the way to the speaker', () => {
    const before = desired(twoZones({ routes: BOTH }));
    const after = desired(twoZones({ routes: BOTH, tunnels: [tunnel(0), tunnel(1, { learns: false })] }));
    expect(text(before, after)).toEqual(['delete nexthop id 77001 dev tw1']);
  });

  it('brings a tunnel back without touching a learned route', () => {
    const before = desired(twoZones({ routes: BOTH, tunnels: [tunnel(0), tunnel(1, { up: false })] }));
    const after = desired(twoZones({ routes: BOTH }));
    expect(text(before, after)).toEqual([
      'add nexthop id 76901 dev tw1',
      'add nexthop id 77001 dev tw1',
      'replace nexthop id 77103 group 77000/77001',
      'add route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
    ]);
  });

  it('makes a group anew that changes between plain and resilient, or its buckets: the kernel refuses to replace it', () => {
    const [plain, few, many] = [undefined, 64, 1_024].map((buckets) => {
      const resilience = buckets === undefined ? undefined : { buckets, idleMs: 60_000, rebalanceMs: 0 };
      return desired(twoZones({ routes: [route('52.96.0.0/14', 'tw0', 'tw1')], resilience }));
    });
    const anew = (before: string, after: string): string[] => [
      `delete nexthop id 77103 group 77000/77001${before}`,
      `add nexthop id 77103 group 77000/77001${after}`,
      'add route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
    ];
    const type = (buckets: number) => ` type resilient buckets ${buckets} idle_timer 60 unbalanced_timer 0`;
    expect(text(plain ?? [], few ?? [])).toEqual(anew('', type(64)));
    expect(text(few ?? [], many ?? [])).toEqual(anew(type(64), type(1_024)));
    expect(text(many ?? [], plain ?? [])).toEqual(anew(type(1_024), ''));
  });

  it('changes the timers of a group without a word to its routes', () => {
    const [before = [], after = []] = [60_000, 30_000].map((idleMs) =>
      desired(
        twoZones({
          routes: [route('52.96.0.0/14', 'tw0', 'tw1')],
          resilience: { buckets: 64, idleMs, rebalanceMs: 0 },
        }),
      ),
    );
    expect(text(before, after)).toEqual([
      'replace nexthop id 77103 group 77000/77001 type resilient buckets 64 idle_timer 30 unbalanced_timer 0',
    ]);
  });

  it('deletes nothing that the kernel already dropped with the last member of a group', () => {
    const before = desired(twoZones({ routes: BOTH, tunnels: [tunnel(0), tunnel(1, { up: false })] }));
    const after = desired(twoZones({ tunnels: [tunnel(0, { up: false }), tunnel(1, { up: false })] }));
    expect(text(before, after)).toEqual(['delete nexthop id 76900 dev tw0', 'delete nexthop id 77000 dev tw0']);
  });

  it('moves routes off a group before it deletes the group', () => {
    const before = desired(twoZones({ routes: [route('52.96.0.0/14', 'tw0', 'tw1')] }));
    const after = desired(twoZones({ routes: [route('52.96.0.0/14', 'tw0')] }));
    expect(text(before, after)).toEqual([
      'replace route 52.96.0.0/14 table 7700 nhid 77000 src 169.254.21.1',
      'delete nexthop id 77103 group 77000/77001',
    ]);
  });

  it('adds new policy rows before it deletes old ones', () => {
    const before = desired(twoZones({ permits: [permit('10.1.20.0/24', 'tunnels-only')] }));
    const after = desired(twoZones({ permits: [permit('10.1.30.0/24', 'tunnels-only')] }));
    expect(text(before, after)).toEqual([
      'add rule 7720: from 10.1.30.0/24 lookup 7700',
      'add rule 7721: from 10.1.30.0/24 lookup 7701',
      'delete rule 7721: from 10.1.20.0/24 lookup 7701',
      'delete rule 7720: from 10.1.20.0/24 lookup 7700',
    ]);
  });

  it('leaves the blackholes alone when the last tunnel goes, and puts right what took the place of one', () => {
    const closed = { permits: [permit('10.1.20.0/24', 'tunnels-only')], announced: [prefix('52.96.0.0/14')] };
    const before = desired(twoZones({ ...closed, routes: BOTH, tunnels: [tunnel(0)] }));
    const after = desired(twoZones({ ...closed, routes: BOTH, tunnels: [tunnel(0, { up: false })] }));
    expect(text(before, after)).toEqual(['delete nexthop id 76900 dev tw0', 'delete nexthop id 77000 dev tw0']);
    const changed = after.map((object) => (object.kind === 'route' ? { ...object, nexthop: 0 } : object));
    expect(text(changed, after)).toEqual(['replace route 52.96.0.0/14 table 7701 blackhole']);
  });

  it('clears routes with their nexthops, then rules, then addresses', () => {
    const kinds = changesBetween(desired(twoZones({ routes: BOTH })), []).map(
      ({ op, object }) => `${op} ${object.kind}`,
    );
    expect([...new Set(kinds)]).toEqual(['delete nexthop', 'delete rule', 'delete address']);
  });

  it('puts right what carries our mark in a shape we never make', () => {
    const [address, nexthop] = desired(twoZones({ tunnels: [tunnel(0)] }));
    const foreign: KernelObject = {
      kind: 'nexthop-group',
      id: 76_900,
      members: [{ id: 76_905, weight: 1 }],
      resilience: undefined,
    };
    expect(
      text(
        [foreign],
        [address, nexthop].flatMap((object) => object ?? []),
      ),
    ).toEqual([
      'delete nexthop id 76900 group 76905',
      'add address 169.254.21.1 dev tw0',
      'add nexthop id 76900 dev tw0',
    ]);
  });
});

const text = (before: readonly KernelObject[], after: readonly KernelObject[]): string[] =>
  changesBetween(before, after).map(({ op, object }) => `${op} ${formatObject(object, names)}`);
