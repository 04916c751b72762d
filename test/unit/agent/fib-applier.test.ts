import { describe, expect, it } from 'vitest';
import { FibApplier, type FibResult } from '../../../src/agent/fib-applier.ts';
import { formatObject, formatObjects } from '../../../src/fib/format.ts';
import { FibPlan } from '../../../src/fib/plan.ts';
import type { KernelObject } from '../../../src/fib/types.ts';
import { encodeChange } from '../../../src/fib/wire/kernel-object.ts';
import { prefix } from '../../../src/lib/ip.ts';
import type { NetlinkMessage } from '../../../src/lib/netlink.ts';
import { permit, route, tunnel, twoZones } from '../fib/fib-input.ts';
import { desired, type FibInput, tell } from '../fib/fib-plan.ts';
import { FakeRouteNetlink } from './fake-route-netlink.ts';
import { ManualClock } from './manual-clock.ts';

const ROUTES = [route('52.96.0.0/14', 'tw0', 'tw1'), route('20.20.32.0/19', 'tw1')];
const BOTH = twoZones({ routes: ROUTES });
const ONE_DOWN = twoZones({ routes: ROUTES, tunnels: [tunnel(0), tunnel(1, { up: false })] });
const INPUTS = [BOTH, ONE_DOWN, twoZones({ tunnels: [tunnel(0)] })];

describe('FibApplier', () => {
  it('makes the kernel equal to the input, and asks for nothing the second time', async () => {
    const { apply, netlink } = setUp();
    expect(await apply(BOTH)).toEqual({ changed: desired(BOTH).length, problems: [] });
    expect(netlink.lines()).toEqual(linesOf(BOTH));
    expect(await apply(BOTH)).toEqual({ changed: 0, problems: [] });
  });

  it('adopts what an earlier run left and removes what nobody wants any more', async () => {
    const { apply, netlink } = setUp();
    for (const object of desired(ONE_DOWN)) netlink.kernel.apply({ op: 'add', object });
    await apply(BOTH);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
    expect(netlink.requests).toEqual([
      'set nexthop id 76901 dev if11',
      'set nexthop id 77001 dev if11',
      'set nexthop id 77103 group 77000/77001',
      'set route 169.254.22.2/32 table 7700 nhid 76901 src 169.254.21.1',
      'set route 20.20.32.0/19 table 7700 nhid 77001 src 169.254.21.1',
    ]);
  });

  it('takes a dead tunnel out of every group before it reads or computes anything', async () => {
    const { apply, netlink } = setUp();
    await apply(BOTH);
    netlink.log.length = 0;
    expect(await apply(ONE_DOWN)).toEqual({ changed: 2, problems: [] });
    const deleted = ['delete nexthop id 76901 dev if11', 'delete nexthop id 77001 dev if11'];
    expect(netlink.log).toEqual([...deleted, 'dump', 'dump', 'dump', 'dump']);
    expect(netlink.lines().sort()).toEqual(linesOf(ONE_DOWN).sort());
  });

  it('installs everything else when one tunnel has no carrier yet, says so, and retries with bounded delays', async () => {
    const { apply, netlink, clock, background } = setUp();
    netlink.down.add(11);
    const { problems } = await apply(BOTH);
    expect(netlink.lines().sort()).toEqual(linesOf(ONE_DOWN).sort());
    expect(problems).toEqual([
      {
        interface: 'tw1',
        code: 'FIB_INTERFACE_DOWN',
        message:
          'The kernel refused to add "nexthop id 76901 dev tw1": Carrier for nexthop device is down (ENETDOWN). ' +
          'It is tried again as soon as the interface has carrier.',
      },
    ]);
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      waits.push(clock.nextMs());
      await clock.advance(clock.nextMs() ?? 0);
      await clock.advance(0);
    }
    expect(waits).toEqual([10, 50, 200, 1000, 30_000]);
    expect(background).toHaveLength(5);
  });

  it('tries again at once when the link of a tunnel changes', async () => {
    const { apply, applier, netlink, clock } = setUp();
    netlink.down.add(11);
    await apply(BOTH);
    await clock.advance(5000);
    netlink.down.clear();
    applier.notified(link(11));
    await clock.advance(20);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
  });

  it('sets a tunnel device up again that another hand has set down, once, and its routes return', async () => {
    const { apply, applier, netlink, clock, background } = setUp();
    await apply(BOTH);
    netlink.setDown(11);
    applier.notified(link(11, { up: false }));
    await clock.advance(20);
    await clock.advance(0);
    expect(netlink.requests.filter((line) => line.startsWith('up '))).toEqual(['up if11']);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
    expect(background).toEqual([{ changed: 6, problems: [] }]); // the device, its nexthops, the group, two routes

    applier.notified(link(11, { up: true }));
    await clock.advance(1000);
    expect(netlink.requests.filter((line) => line.startsWith('up '))).toHaveLength(1);
  });

  it('leaves a device alone that was down only while it was made', async () => {
    const { apply, applier, netlink, clock } = setUp();
    await apply(BOTH);
    applier.notified(link(11, { up: false }));
    applier.notified(link(11, { up: true }));
    await clock.advance(20);
    expect(netlink.requests.filter((line) => line.startsWith('up '))).toEqual([]);
  });

  it('repairs what a foreign hand deleted, and does not react to echoes of its own changes', async () => {
    const { apply, applier, netlink, clock, background } = setUp();
    await apply(BOTH);
    for (const object of desired(BOTH)) applier.notified(encodeChange({ op: 'add', object }));
    applier.notified(link(99));
    expect(clock.nextMs()).toBe(30_000);

    const lost = desired(BOTH).find((object) => object.kind === 'nexthop-group');
    if (lost === undefined) throw new Error('the input has no group');
    netlink.kernel.apply({ op: 'delete', object: lost });
    applier.notified(removal(lost));
    await clock.advance(20);
    await clock.advance(0);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
    expect(background).toEqual([{ changed: 2, problems: [] }]); // the group, and the route that went with it
  });

  it('does not spin when another program keeps undoing its work', async () => {
    const { apply, applier, netlink, clock, background } = setUp();
    await apply(BOTH);
    const rule = desired(BOTH).find((object) => object.kind === 'rule');
    if (rule === undefined) throw new Error('the input has no rule');
    for (let ms = 0; ms < 3000; ms += 10) {
      if (netlink.lines().includes(formatObject(rule))) {
        netlink.kernel.apply({ op: 'delete', object: rule });
        applier.notified(removal(rule));
      }
      await clock.advance(10);
    }
    expect(background.length).toBeGreaterThan(1);
    expect(background.length).toBeLessThan(6);
  });

  it('runs one pass at a time and lets only the last waiting input count', async () => {
    const { apply, netlink } = setUp();
    const first = apply(BOTH);
    const overtaken = twoZones({ permits: [permit('10.9.0.0/16', 'tunnels-only')] });
    netlink.teach(desired(overtaken));
    const second = apply(overtaken);
    const third = apply(ONE_DOWN);
    expect(await second).toBe(await third);
    await first;
    expect(netlink.lines().sort()).toEqual(linesOf(ONE_DOWN).sort());
    expect(netlink.log.filter((line) => line === 'dump')).toHaveLength(4);
    expect(netlink.log.filter((line) => line.includes('10.9.0.0/16'))).toEqual([]);
  });

  it('writes only routes that have changed, and reads nothing for that', async () => {
    const { apply, applier, told, netlink } = setUp();
    await apply(BOTH);
    netlink.log.length = 0;
    told.input = { ...BOTH, routes: [route('52.96.0.0/14', 'tw0'), route('20.20.32.0/19', 'tw1')] };
    netlink.teach(desired(told.input));
    expect(await applier.routesChanged()).toEqual({ changed: 2, problems: [] });
    expect(netlink.log).toEqual([
      'set route 52.96.0.0/14 table 7700 nhid 77000 src 169.254.21.1',
      expect.stringMatching(/^delete nexthop id 77103 group/), // no route leads there any more
    ]);
    expect(applier.counters()).toEqual({ desired: 4, installed: 4, failed: 0 });
    told.input = { ...told.input, routes: [] };
    await applier.routesChanged();
    expect(netlink.lines().sort()).toEqual(linesOf(told.input).sort());
    expect(netlink.log).not.toContain('dump');
  });

  it('reads the kernel again after a refusal, and then writes what is missing', async () => {
    const { apply, applier, told, netlink, clock } = setUp();
    await apply(twoZones());
    const line = 'route 20.20.32.0/19 table 7700 nhid 77001 src 169.254.21.1';
    netlink.refuse.set(line, { code: 'ENOBUFS', detail: '' });
    told.input = BOTH;
    expect((await applier.routesChanged()).problems).toHaveLength(1);
    expect(applier.counters()).toEqual({ desired: 4, installed: 3, failed: 1 });
    netlink.refuse.clear();
    netlink.log.length = 0;
    await clock.advance(10);
    await clock.advance(0);
    expect(netlink.log).toEqual(['dump', 'dump', 'dump', 'dump', `set ${line}`]);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
  });

  it('takes a dead tunnel out while a long pass is under way, and does not finish that', async () => {
    const { apply, netlink } = setUp();
    const many = Array.from({ length: 9_000 }, (_, i) => route(`20.${i >> 8}.${i & 255}.0/24`, 'tw0', 'tw1'));
    const all = twoZones({ routes: many });
    const oneDown = { ...all, tunnels: [tunnel(0), tunnel(1, { up: false })] };
    for (const input of [all, oneDown]) netlink.teach(desired(input));
    let second: Promise<FibResult> | undefined;
    netlink.onBatch = () => {
      netlink.onBatch = () => undefined;
      second = apply(oneDown);
    };
    await apply(all);
    expect(netlink.requests.length).toBeLessThan(5_000);
    await second;
    expect(netlink.lines().sort()).toEqual(linesOf(oneDown).sort());
  });

  it('clears all that is ours and stays away afterwards', async () => {
    const { apply, applier, netlink, clock } = setUp();
    await apply(BOTH);
    expect((await applier.clear()).problems).toEqual([]);
    expect(netlink.lines()).toEqual([]);
    applier.notified(link(11));
    applier.resync();
    expect(clock.nextMs()).toBeUndefined();
  });

  it('turns a broken socket and an impossible input into problems', async () => {
    const { apply, netlink } = setUp();
    netlink.broken = new Error('sendmsg: ENOBUFS');
    expect(await apply(BOTH)).toEqual({
      changed: 0,
      problems: [
        {
          code: 'FIB_NETLINK_FAILED',
          message: 'Reading or changing routes through rtnetlink failed: sendmsg: ENOBUFS.',
        },
      ],
    });
    const permits = Array.from({ length: 41 }, (_, i) =>
      permit(`10.${i}.0.0/16`, i % 2 === 0 ? 'wan' : 'tunnels-only'),
    );
    const { problems } = await apply(twoZones({ permits }));
    expect(problems[0]?.code).toBe('FIB_INPUT_REFUSED');
  });

  it('names the object, the words of the kernel and what to do when a change is refused', async () => {
    const { apply, netlink } = setUp();
    const odd: FibInput = { ...BOTH, routes: [{ prefix: prefix('52.96.0.0/14'), via: ['tw0'] }] };
    const objects = desired(odd);
    netlink.teach(objects);
    netlink.refuse.set('route 52.96.0.0/14 table 7700 nhid 77000 src 169.254.21.1', { code: 'EPERM', detail: '' });
    const { problems } = await apply(odd);
    expect(problems).toEqual([
      {
        code: 'FIB_CHANGE_REFUSED',
        message:
          'The kernel refused to add "route 52.96.0.0/14 table 7700 nhid 77000 src 169.254.21.1": EPERM. ' +
          'The daemon needs CAP_NET_ADMIN in this network namespace.',
      },
    ]);
  });
});

describe('on a kernel without resilient groups', () => {
  it('uses plain ones, and asks no second time', async () => {
    const { apply, netlink } = setUp();
    const resilience = { buckets: 64, idleMs: 60_000, rebalanceMs: 0 };
    const [both, one] = [
      { ...BOTH, resilience },
      { ...ONE_DOWN, resilience },
    ];
    netlink.teach([...desired(both), ...desired(one)]);
    for (const object of [...desired(both), ...desired(one)]) {
      if (object.kind === 'nexthop-group')
        netlink.refuse.set(formatObject(object), { code: 'EINVAL', detail: 'Unknown attribute type' });
    }
    expect((await apply(both)).problems).toEqual([]);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
    netlink.log.length = 0;
    expect((await apply(one)).problems).toEqual([]);
    expect((await apply(both)).problems).toEqual([]);
    expect(netlink.lines().sort()).toEqual(linesOf(BOTH).sort());
    expect(netlink.requests.filter((line) => line.includes('resilient'))).toEqual([]);
  });
});

describe('on a kernel whose weights have eight bits', () => {
  it('gives a tunnel that is alone in a group a smaller weight beside its stand-in', async () => {
    const { apply, netlink } = setUp();
    const alone = { ...ONE_DOWN, resilience: { buckets: 64, idleMs: 60_000, rebalanceMs: 0 } };
    const [wide, narrow] = [true, false].map((wideWeights) => desired(alone, { resilientGroups: true, wideWeights }));
    netlink.teach([...(wide ?? []), ...(narrow ?? [])]);
    for (const object of wide ?? []) {
      if (object.kind !== 'nexthop-group') continue;
      netlink.refuse.set(formatObject(object), { code: 'EINVAL', detail: 'Reserved fields in nexthop_grp must be 0' });
    }
    expect((await apply(alone)).problems).toEqual([]);
    expect(netlink.lines().filter((line) => line.includes('group'))).toEqual([
      'nexthop id 77103 group 76800/77000,256 type resilient buckets 64 idle_timer 60 unbalanced_timer 0',
    ]);
    expect(netlink.lines().sort()).toEqual(formatObjects(narrow ?? []).sort());
  });
});

function setUp() {
  const netlink = new FakeRouteNetlink();
  for (const input of INPUTS) netlink.teach(desired(input));
  const clock = new ManualClock();
  const background: FibResult[] = [];
  const plan = new FibPlan();
  const told: { input?: FibInput } = {};
  const applier = new FibApplier({
    netlink,
    clock,
    plan,
    prepare: () => told.input && tell(plan, told.input),
    onBackground: (result) => background.push(result),
  });
  const apply = (input: FibInput) => {
    told.input = input;
    plan.setBase({ statics: [], resilience: undefined, ...input });
    return applier.apply();
  };
  return { apply, applier, told, netlink, clock, background };
}

const linesOf = (input: FibInput): string[] => formatObjects(desired(input));

/** The kernel tells of a deleted object in the same words as of a new one; RTM_DEL… is RTM_NEW… + 1. */
function removal(object: KernelObject): NetlinkMessage {
  const { type, payload } = encodeChange({ op: 'add', object });
  return { type: type + 1, flags: 0, payload };
}

/** RTM_NEWLINK of one interface: `struct ifinfomsg` is enough. */
function link(index: number, { up = true } = {}): NetlinkMessage {
  const payload = new Uint8Array(16);
  const view = new DataView(payload.buffer);
  const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  view.setUint32(4, index, littleEndian);
  view.setUint32(8, up ? IFF_UP : 0, littleEndian);
  return { type: 16, flags: 0, payload };
}

const IFF_UP = 1;
