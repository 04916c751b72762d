import { describe, expect, it } from 'vitest';
import { formatObjects } from '../../../src/fib/format.ts';
import { ip, prefix } from '../../../src/lib/ip.ts';
import { names, permit, route, tunnel, twoZones } from './fib-input.ts';
import { desired, type FibInput } from './fib-plan.ts';

/** The rules that are there whatever the tunnels do. */
const RULES = [
  'rule 7700: fwmark 0x7700/0xff00 lookup main',
  'rule 7701: from 169.254.21.1/32 lookup 7700',
  'rule 7702: to 169.254.21.2/32 lookup 7700',
  'rule 7702: to 169.254.22.2/32 lookup 7700',
];
const ADDRESSES = ['address 169.254.21.1 dev tw0', 'address 169.254.21.1 dev tw1'];

const CASES: readonly { name: string; input: FibInput; kernel: readonly string[] }[] = [
  {
    name: 'both zones up, nothing learned: addresses, nexthops and each peer on its own tunnel',
    input: twoZones(),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76900 dev tw0',
      'nexthop id 76901 dev tw1',
      'nexthop id 77000 dev tw0',
      'nexthop id 77001 dev tw1',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'equal paths share one group per path set; a single path uses its nexthop',
    input: twoZones({
      routes: [
        route('52.96.0.0/14', 'tw1', 'tw0'),
        route('40.96.0.0/13', 'tw0', 'tw1'),
        route('20.20.32.0/19', 'tw1'),
        route('13.107.6.152/31', 'tw0', 'tw0'),
      ],
    }),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76900 dev tw0',
      'nexthop id 76901 dev tw1',
      'nexthop id 77000 dev tw0',
      'nexthop id 77001 dev tw1',
      'nexthop id 77103 group 77000/77001',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      'route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
      'route 40.96.0.0/13 table 7700 nhid 77103 src 169.254.21.1',
      'route 20.20.32.0/19 table 7700 nhid 77001 src 169.254.21.1',
      'route 13.107.6.152/31 table 7700 nhid 77000 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'a tunnel that is down leaves its groups, and takes the routes only it had; the rest keeps its ids',
    input: twoZones({
      tunnels: [tunnel(0), tunnel(1, { up: false })],
      routes: [route('52.96.0.0/14', 'tw0', 'tw1'), route('20.20.32.0/19', 'tw1')],
    }),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76900 dev tw0',
      'nexthop id 77000 dev tw0',
      'nexthop id 77103 group 77000',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'a tunnel that is alone in a resilient group stands beside itself: only then does the kernel note which buckets are in use',
    input: twoZones({
      tunnels: [tunnel(0, { up: false }), tunnel(1)],
      routes: [route('52.96.0.0/14', 'tw0', 'tw1')],
      resilience: { buckets: 64, idleMs: 60_000, rebalanceMs: 300_000 },
    }),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76901 dev tw1',
      'nexthop id 77001 dev tw1',
      'nexthop id 76801 dev tw1',
      'nexthop id 77103 group 76801/77001,65535 type resilient buckets 64 idle_timer 60 unbalanced_timer 300',
      'route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      'route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'tunnels carry their parts of what they share',
    input: twoZones({
      tunnels: [tunnel(0, { weight: 3 }), tunnel(1)],
      routes: [route('52.96.0.0/14', 'tw0', 'tw1')],
      statics: [prefix('198.18.1.101/32')],
    }),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76900 dev tw0',
      'nexthop id 76901 dev tw1',
      'nexthop id 77000 dev tw0',
      'nexthop id 77001 dev tw1',
      'nexthop id 76999 group 76900,3/76901',
      'nexthop id 77103 group 77000,3/77001',
      'route 198.18.1.101/32 table 7700 nhid 76999 src 169.254.21.1',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      'route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'a tunnel that is only returning carries what no other one does',
    input: twoZones({
      tunnels: [tunnel(0, { returning: true }), tunnel(1)],
      routes: [route('52.96.0.0/14', 'tw0', 'tw1'), route('20.20.32.0/19', 'tw0')],
    }),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76900 dev tw0',
      'nexthop id 76901 dev tw1',
      'nexthop id 77000 dev tw0',
      'nexthop id 77001 dev tw1',
      'nexthop id 77103 group 77001',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      'route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
      'route 20.20.32.0/19 table 7700 nhid 77000 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'a tunnel whose sessions are gone leaves its groups, but not its BGP speaker nor what leads everywhere',
    input: twoZones({
      tunnels: [tunnel(0), tunnel(1, { learns: false })],
      statics: [prefix('198.18.1.101/32')],
      routes: [route('52.96.0.0/14', 'tw0', 'tw1'), route('20.20.32.0/19', 'tw1')],
    }),
    kernel: [
      ...ADDRESSES,
      'nexthop id 76900 dev tw0',
      'nexthop id 76901 dev tw1',
      'nexthop id 77000 dev tw0',
      'nexthop id 76999 group 76900/76901',
      'nexthop id 77103 group 77000',
      'route 198.18.1.101/32 table 7700 nhid 76999 src 169.254.21.1',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      'route 52.96.0.0/14 table 7700 nhid 77103 src 169.254.21.1',
      ...RULES,
    ],
  },
  {
    name: 'no tunnel up: no nexthop and no route, only addresses and rules',
    input: twoZones({
      tunnels: [tunnel(0, { up: false }), tunnel(1, { up: false })],
      routes: [route('52.96.0.0/14', 'tw0', 'tw1')],
    }),
    kernel: [...ADDRESSES, ...RULES],
  },
  {
    name: 'policy rows keep their order; neighbours of one kind share their priorities',
    input: twoZones({
      permits: [
        permit('10.1.20.0/24', 'wan', { destination: prefix('198.51.100.128/25') }),
        permit('10.1.20.0/24', 'tunnels-only', { interface: 'lan0' }),
        permit('10.1.30.0/24', 'tunnels-only', { interface: 'lan1' }),
        permit('10.1.0.0/16', 'wan'),
      ],
      tunnels: [tunnel(0, { up: false })],
    }),
    kernel: [
      'address 169.254.21.1 dev tw0',
      ...RULES.slice(0, 3),
      'rule 7720: from 10.1.20.0/24 to 198.51.100.128/25 lookup main',
      'rule 7722: from 10.1.20.0/24 iif lan0 lookup 7700',
      'rule 7723: from 10.1.20.0/24 iif lan0 lookup 7701',
      'rule 7722: from 10.1.30.0/24 iif lan1 lookup 7700',
      'rule 7723: from 10.1.30.0/24 iif lan1 lookup 7701',
      'rule 7724: from 10.1.0.0/16 lookup main',
    ],
  },
  {
    name: 'failing closed: what was announced is a blackhole behind the tunnels, and stays when they are down',
    input: twoZones({
      tunnels: [tunnel(0, { up: false })],
      routes: [route('52.96.0.0/14', 'tw0')],
      announced: [prefix('52.96.0.0/14'), prefix('20.20.32.0/19'), prefix('2001:db8::/32')],
      permits: [permit('10.1.20.0/24', 'tunnels-only')],
    }),
    kernel: [
      'address 169.254.21.1 dev tw0',
      'route 52.96.0.0/14 table 7701 blackhole',
      'route 20.20.32.0/19 table 7701 blackhole',
      ...RULES.slice(0, 3),
      'rule 7720: from 10.1.20.0/24 lookup 7700',
      'rule 7721: from 10.1.20.0/24 lookup 7701',
    ],
  },
  {
    name: 'failing closed for named prefixes: the row itself drops, announced or not, and for its own network only',
    input: twoZones({
      tunnels: [],
      bgpLocalAddresses: [],
      announced: [prefix('52.96.0.0/14')],
      permits: [permit('10.1.20.0/24', 'tunnels-only', { destination: prefix('203.0.113.0/24') })],
    }),
    kernel: [
      ...RULES.slice(0, 1),
      'rule 7720: from 10.1.20.0/24 to 203.0.113.0/24 lookup 7700',
      'rule 7721: from 10.1.20.0/24 to 203.0.113.0/24 blackhole',
    ],
  },
  {
    name: 'failing open: named prefixes go out by the WAN before a closed row behind can drop them',
    input: twoZones({
      tunnels: [],
      bgpLocalAddresses: [],
      permits: [
        permit('10.1.20.0/24', 'tunnels-first', { destination: prefix('52.112.0.0/14') }),
        permit('10.1.20.0/24', 'tunnels-only'),
        permit('10.1.30.0/24', 'tunnels-first'),
      ],
    }),
    kernel: [
      ...RULES.slice(0, 1),
      'rule 7720: from 10.1.20.0/24 to 52.112.0.0/14 lookup 7700',
      'rule 7721: from 10.1.20.0/24 to 52.112.0.0/14 lookup main',
      'rule 7722: from 10.1.20.0/24 lookup 7700',
      'rule 7723: from 10.1.20.0/24 lookup 7701',
      'rule 7724: from 10.1.30.0/24 lookup 7700',
    ],
  },
  {
    name: 'one address on lo is the source of every tunnel',
    input: twoZones({
      bgpLocalAddresses: [{ address: ip('169.254.21.1'), interface: 'lo' }],
      tunnels: [tunnel(1)],
    }),
    kernel: [
      'address 169.254.21.1 dev lo',
      'nexthop id 76900 dev tw1',
      'nexthop id 77000 dev tw1',
      'route 169.254.22.2/32 table 7700 nhid 76900 src 169.254.21.1',
      'rule 7700: fwmark 0x7700/0xff00 lookup main',
      'rule 7701: from 169.254.21.1/32 lookup 7700',
      'rule 7702: to 169.254.22.2/32 lookup 7700',
    ],
  },
  {
    name: 'a learned route to a BGP speaker does not displace the way to it; unknown tunnels and IPv6 are left out',
    input: twoZones({
      tunnels: [tunnel(0)],
      routes: [
        route('169.254.21.2/32', 'tw1'),
        route('8.8.8.0/24', 'tw9'),
        route('2001:db8::/32', 'tw0'),
        route('169.254.21.2/32', 'tw0'),
      ],
      permits: [permit('2001:db8:1::/48', 'tunnels-only')],
    }),
    kernel: [
      'address 169.254.21.1 dev tw0',
      'nexthop id 76900 dev tw0',
      'nexthop id 77000 dev tw0',
      'route 169.254.21.2/32 table 7700 nhid 76900 src 169.254.21.1',
      ...RULES.slice(0, 3),
    ],
  },
];

describe('FibPlan', () => {
  it.each(CASES)('$name', ({ input, kernel }) => {
    expect(formatObjects(desired(input), names)).toEqual(kernel);
  });

  it('numbers tunnels by name, tw2 before tw10, whatever their order', () => {
    const tunnels = [tunnel(10), tunnel(2), tunnel(0)];
    const ids = formatObjects(desired(twoZones({ tunnels, bgpLocalAddresses: [] })), names).slice(0, 6);
    expect(ids).toEqual([
      ...['nexthop id 76900 dev tw0', 'nexthop id 76901 dev tw2', 'nexthop id 76902 dev tw10'],
      ...['nexthop id 77000 dev tw0', 'nexthop id 77001 dev tw2', 'nexthop id 77002 dev tw10'],
    ]);
  });

  it('gives different path sets different groups even where their masks meet', () => {
    const tunnels = Array.from({ length: 12 }, (_, i) => tunnel(i));
    const low = route('10.0.0.0/8', 'tw0', 'tw1', 'tw2'); // mask 7
    const high = route('11.0.0.0/8', 'tw0', 'tw1', 'tw3', 'tw7', 'tw8', 'tw9', 'tw11'); // 2955 = 3 * 900 + 255
    const meeting = route('12.0.0.0/8', ...[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `tw${i}`)); // 255
    const text = formatObjects(desired(twoZones({ tunnels, routes: [low, high, meeting] })), names);
    expect(text.filter((line) => line.includes('group'))).toEqual([
      'nexthop id 77107 group 77000/77001/77002',
      'nexthop id 77356 group 77000/77001/77003/77007/77008/77009/77011',
      'nexthop id 77355 group 77000/77001/77002/77003/77004/77005/77006/77007',
    ]);
  });

  it('gives rows with other selectors other priorities, and takes a destination of length 0 for any', () => {
    const permits = [
      permit('10.1.20.0/24', 'tunnels-only', { destination: prefix('203.0.113.0/24') }),
      permit('10.1.20.0/24', 'tunnels-only'),
      permit('10.1.30.0/24', 'tunnels-only', { destination: prefix('0.0.0.0/0') }),
    ];
    expect(formatObjects(desired(twoZones({ permits }))).slice(-6)).toEqual([
      'rule 7720: from 10.1.20.0/24 to 203.0.113.0/24 lookup 7700',
      'rule 7721: from 10.1.20.0/24 to 203.0.113.0/24 blackhole',
      'rule 7722: from 10.1.20.0/24 lookup 7700',
      'rule 7723: from 10.1.20.0/24 lookup 7701',
      'rule 7722: from 10.1.30.0/24 lookup 7700',
      'rule 7723: from 10.1.30.0/24 blackhole',
    ]);
  });

  it('says what does not fit into the rule priorities', () => {
    const rows = (count: number) =>
      Array.from({ length: count }, (_, i) => permit(`10.${i}.0.0/16`, i % 2 === 0 ? 'wan' : 'tunnels-only'));
    const last = formatObjects(desired(twoZones({ permits: rows(40) }))).at(-1);
    expect(last).toBe('rule 7799: from 10.39.0.0/16 lookup 7701');
    expect(() => desired(twoZones({ permits: rows(41) }))).toThrow('more than 39 times; put rows of one kind together');
  });
});
