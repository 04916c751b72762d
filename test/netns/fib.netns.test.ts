import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { LineDriver } from './line-driver.ts';
import { newPrefix, removeLeftovers, removeNamespaces } from './namespaces.ts';
import { run } from './process.ts';
import { snapshot } from './snapshot.ts';

/*
 *   namespace fib                  wan0 192.0.2.10/24 ── wan0p      default via 192.0.2.1
 *                                  tw0 ── p0   tw1 ── p1            veth pairs stand in for the TUN devices:
 *                                                                   setting p0 down takes the carrier of tw0
 */
const NAMESPACE = `${newPrefix()}-fib`;
const DRIVER = new URL('./drivers/fib-apply.mjs', import.meta.url).pathname;

const ROUTES = { '52.96.0.0/14': ['tw0', 'tw1'], '40.96.0.0/13': ['tw0', 'tw1'], '20.20.32.0/19': ['tw1'] };
const BOTH = {
  do: 'apply',
  up: ['tw0', 'tw1'],
  routes: ROUTES,
  announced: Object.keys(ROUTES),
  permits: [
    ['10.1.20.0/24', 'wan'],
    ['10.1.0.0/16', 'tunnels-only'],
  ],
};
const PERMIT_RULES = [
  '7700: from all fwmark 0x7700/0xff00 lookup main proto 77',
  '7701: from 169.254.21.1 lookup 7700 proto 77',
  '7702: from all to 169.254.21.2 lookup 7700 proto 77',
  '7702: from all to 169.254.22.2 lookup 7700 proto 77',
  '7720: from 10.1.20.0/24 lookup main proto 77',
  '7722: from 10.1.0.0/16 lookup 7700 proto 77',
  '7723: from 10.1.0.0/16 lookup 7701 proto 77',
];
/** What `ip` shows for BOTH. */
const HEALTHY = {
  addresses: ['169.254.21.1 tw0', '169.254.21.1 tw1'],
  nexthops: [
    'id 76900 dev tw0',
    'id 76901 dev tw1',
    'id 77000 dev tw0',
    'id 77001 dev tw1',
    'id 77103 group 77000/77001 resilient 1024',
  ],
  routes: [
    '169.254.21.2 nhid 76900 src 169.254.21.1',
    '169.254.22.2 nhid 76901 src 169.254.21.1',
    '20.20.32.0/19 nhid 77001 src 169.254.21.1',
    '40.96.0.0/13 nhid 77103 src 169.254.21.1',
    '52.96.0.0/14 nhid 77103 src 169.254.21.1',
  ],
  closed: ['blackhole 20.20.32.0/19', 'blackhole 40.96.0.0/13', 'blackhole 52.96.0.0/14'],
  rules: PERMIT_RULES,
};

/** The group while only tw0 is up. */
const ALONE = 'id 77103 group 76800/77000 resilient 1024';

const startDriver = () => new LineDriver(NAMESPACE, DRIVER);
let driver: LineDriver;
let before: string;

beforeEach(async () => {
  await removeLeftovers();
  await run('ip', ['netns', 'add', NAMESPACE]);
  await sysctl('net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
  await ip('link set lo up');
  for (const [name, peer] of [
    ['wan0', 'wan0p'],
    ['tw0', 'p0'],
    ['tw1', 'p1'],
  ]) {
    await ip(`link add ${name} type veth peer name ${peer}`);
    await ip(`link set ${name} up`);
    await ip(`link set ${peer} up`);
  }
  await ip('address add 192.0.2.10/24 dev wan0');
  await ip('route add default via 192.0.2.1 dev wan0');
  // Foreign state that looks like ours but is not: it must survive everything below.
  await ip('route add 198.51.100.0/24 dev wan0 table 7700');
  await ip('rule add priority 7750 from 198.51.100.0/24 lookup main');
  await ip('nexthop add id 9 dev wan0');
  await eventually('the links have carrier', 5_000, async () => !/NO-CARRIER/.test(await ip('link show')));
  before = await snapshot(NAMESPACE);
  driver = startDriver();
});

afterEach(async () => {
  await driver.stop();
  await removeNamespaces([NAMESPACE]);
});

describe('the FIB in a real kernel', () => {
  it('holds what was asked for, asks for nothing twice, and is exactly as before after clear', async () => {
    expect(await driver.ask(BOTH)).toEqual({ changed: 22, problems: [] });
    expect(await kernel()).toEqual(HEALTHY);
    expect(await driver.ask(BOTH)).toEqual({ changed: 0, problems: [] });
    const toMicrosoft = 'route get 52.96.1.1 from 169.254.21.1';
    expect(await ip(toMicrosoft)).toMatch(/^52\.96\.1\.1 from 169\.254\.21\.1 dev tw[01] table 7700 /);
    expect(await ip(`${toMicrosoft} mark 0x7700`)).toMatch(
      /^52\.96\.1\.1 from 169\.254\.21\.1 via 192\.0\.2\.1 dev wan0 /,
    );
    expect(await driver.ask({ do: 'clear' })).toMatchObject({ problems: [] });
    expect(await snapshot(NAMESPACE)).toBe(before);
  });

  it('moves everything off a dead tunnel in one go and back in three kinds of change', async () => {
    await driver.ask(BOTH);
    // both nexthops of tw1, and the stand-in of tw0 in the group
    expect(await driver.ask({ ...BOTH, up: ['tw0'], down: ['tw1'] })).toEqual({ changed: 4, problems: [] });
    expect(await kernel()).toEqual({
      ...HEALTHY,
      nexthops: ['id 76800 dev tw0', 'id 76900 dev tw0', 'id 77000 dev tw0', ALONE],
      routes: HEALTHY.routes.filter((line) => !/76901|77001/.test(line)),
    });
    // the stand-in, two nexthops, the group, and the two routes of tw1 alone
    expect(await driver.ask(BOTH)).toEqual({ changed: 6, problems: [] });
    expect(await kernel()).toEqual(HEALTHY);
  });

  it('installs the rest while a device has no carrier, and catches up by itself when it has', async () => {
    await ip('link set p1 down');
    const result = await driver.ask(BOTH);
    expect(result).toMatchObject({ problems: [{ code: 'FIB_INTERFACE_DOWN' }] });
    expect(JSON.stringify(result)).toContain('Carrier for nexthop device is down (ENETDOWN)');
    expect((await kernel()).routes).toContain('52.96.0.0/14 nhid 77103 src 169.254.21.1');
    await ip('link set p1 up');
    await eventually('both tunnels carry routes', 5_000, async () => isEqual(await kernel(), HEALTHY));
  });

  it('notices carrier loss, which takes nexthops along without a word', async () => {
    await driver.ask(BOTH);
    await ip('link set p1 down');
    await eventually('tw1 is out of the group', 5_000, async () => (await kernel()).nexthops.includes(ALONE));
    await ip('link set p1 up');
    await eventually('tw1 is back', 5_000, async () => isEqual(await kernel(), HEALTHY));
  });

  it.each([
    'nexthop del id 77001',
    'nexthop del id 77103',
    'route del 52.96.0.0/14 table 7700',
    'rule del priority 7722',
    'rule del priority 7723',
    'route del blackhole 52.96.0.0/14 table 7701',
    'route replace 52.96.0.0/14 dev wan0 table 7701',
    'address del 169.254.21.1/32 dev tw0',
    'nexthop flush proto 77',
    'route replace 52.96.0.0/14 dev wan0 table 7700',
  ])('repairs after: ip %s', async (command) => {
    await driver.ask(BOTH);
    await ip(command);
    await eventually('the kernel is as wanted again', 5_000, async () => isEqual(await kernel(), HEALTHY));
    expect(await driver.ask(BOTH)).toEqual({ changed: 0, problems: [] });
  });

  it('replaces a policy row by a wider or narrower one, which the kernel takes for the same', async () => {
    const narrow = [['10.1.0.0/16', 'tunnels-only', '52.96.0.0/14']];
    const wide = [['10.1.0.0/16', 'tunnels-only']];
    for (const [permits, rows] of [
      [narrow, ['10.1.0.0/16 to 52.96.0.0/14 lookup 7700', '10.1.0.0/16 to 52.96.0.0/14 blackhole']],
      [wide, ['10.1.0.0/16 lookup 7700', '10.1.0.0/16 lookup 7701']],
      [narrow, ['10.1.0.0/16 to 52.96.0.0/14 lookup 7700', '10.1.0.0/16 to 52.96.0.0/14 blackhole']],
    ]) {
      await driver.ask({ ...BOTH, permits });
      const wanted = rows?.map((row, i) => `${7720 + i}: from ${row} proto 77`);
      expect((await rules()).slice(4)).toEqual(wanted);
    }
  });

  it('adopts what a killed run left, and clears it without ever having made it', async () => {
    await driver.ask(BOTH);
    await driver.kill();
    driver = startDriver();
    expect(await driver.ask({ ...BOTH, routes: { '52.96.0.0/14': ['tw0', 'tw1'] } })).toEqual({
      changed: 2, // the routes no longer wanted
      problems: [],
    });
    await driver.kill();
    driver = startDriver();
    await driver.ask({ do: 'clear' });
    expect(await snapshot(NAMESPACE)).toBe(before);
  });

  it('cleans up after a run killed in the middle of a large change', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => [`11.${i >> 8}.${i & 255}.0/24`, ['tw0', 'tw1']]);
    void driver.ask({ ...BOTH, routes: Object.fromEntries(many) }).catch(() => undefined);
    await eventually('the first routes are there', 5_000, async () => (await kernel()).routes.length > 0);
    await driver.kill();
    driver = startDriver();
    expect(await driver.ask(BOTH)).toMatchObject({ problems: [] });
    expect(await kernel()).toEqual(HEALTHY);
    await driver.ask({ do: 'clear' });
    expect(await snapshot(NAMESPACE)).toBe(before);
  });

  it('holds 100,000 routes, fails over without touching one, and repairs what a foreign hand took from them', async () => {
    const all = { ...BOTH, many: [100_000, ['tw0', 'tw1']] };
    expect(await driver.ask({ ...all, do: 'apply' })).toMatchObject({ problems: [] });
    const total = 100_000 + 3 + 2;
    expect(await driver.ask({ do: 'counters' })).toEqual({ desired: total, installed: total, failed: 0 });
    expect(await routeCount()).toBe(total + 1); // and the foreign one

    const failover = (await driver.ask({ ...all, up: ['tw0'], down: ['tw1'] })) as { changed: number };
    expect(failover.changed).toBe(4); // two nexthops; a stand-in, and the group that gets it
    expect(await routeCount()).toBe(total + 1 - 2); // tw1's speaker, and the prefix it had alone

    await driver.ask(all);
    await ip('nexthop del id 77103'); // takes the routes of its group along
    await eventually('all routes are back', 20_000, async () => (await routeCount()) === total + 1);
  });

  it('writes the routes that changed, and no more', async () => {
    await driver.ask({ ...BOTH, many: [1_000, ['tw0', 'tw1']] });
    const moved = { '20.0.0.0/24': ['tw0'], '20.0.1.0/24': ['tw1'] };
    const changed = { ...BOTH, do: 'routes', many: [1_000, ['tw0', 'tw1']], routes: { ...ROUTES, ...moved } };
    expect(await driver.ask(changed)).toEqual({ changed: 2, problems: [] });
    expect(await driver.ask({ ...changed, many: [0, []], routes: ROUTES })).toEqual({ changed: 1_000, problems: [] });
    expect(await kernel()).toEqual(HEALTHY);
  });

  it('names the object and the reason when another program holds our nexthop id', async () => {
    await ip('nexthop add id 76901 dev wan0');
    const { problems } = (await driver.ask(BOTH)) as { problems: { message: string }[] };
    expect(problems.map(({ message }) => message)).toEqual([
      'The kernel refused to add "nexthop id 76901 dev tw1": EEXIST. ' +
        'Another program holds this id; look at "ip nexthop show id 76901" and remove it there.',
    ]);
    expect((await kernel()).routes).toContain('52.96.0.0/14 nhid 77103 src 169.254.21.1');
    await driver.ask({ do: 'clear' });
    await ip('nexthop del id 76901');
    expect(await snapshot(NAMESPACE)).toBe(before);
  });

  it('sees the interfaces as ip does', async () => {
    await ip('link set p1 down');
    const links = (await driver.ask({ do: 'links' })) as { name: string; index: number }[];
    const wan = { mtu: 1500, up: true, carrier: true, addresses: ['192.0.2.10'], defaultRoute: true };
    expect(links.find(({ name }) => name === 'wan0')).toMatchObject({ ...wan, gateway: '192.0.2.1' });
    expect(links.find(({ name }) => name === 'tw1')).toMatchObject({ up: true, carrier: false, defaultRoute: false });
    const shown = JSON.parse(await ip('-j link show')) as { ifname: string; ifindex: number }[];
    expect(links.map(({ name, index }) => [name, index]).sort()).toEqual(
      shown.map(({ ifname, ifindex }) => [ifname, ifindex]).sort(),
    );
  });
});

const routeCount = async (): Promise<number> => (await ip('-j route show table 7700')).split('"dst"').length - 1;

const ip = (command: string): Promise<string> => run('ip', ['-netns', NAMESPACE, ...command.split(' ')]);
const sysctl = (...settings: string[]): Promise<string> =>
  run('sysctl', ['-qw', ...settings], { namespace: NAMESPACE });
const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

interface ShownRoute {
  readonly type?: string;
  readonly dst: string;
  readonly nhid?: number;
  readonly prefsrc?: string;
}
interface ShownNexthop {
  readonly id: number;
  readonly dev?: string;
  readonly group?: readonly { readonly id: number }[];
  readonly type?: string;
  readonly resilient_args?: { readonly buckets: number };
}

/** What `ip` shows of protocol 77, as lines. */
async function kernel(): Promise<typeof HEALTHY> {
  const routes: ShownRoute[] = JSON.parse((await ip('-j route show table 7700 proto 77')) || '[]');
  const shown = await ip('-o -4 address show to 169.254.21.1');
  const closed: ShownRoute[] = JSON.parse((await ip('-j route show table 7701 proto 77')) || '[]');
  const nexthops: ShownNexthop[] = JSON.parse((await ip('-j nexthop show proto 77')) || '[]');
  return {
    addresses: [...shown.matchAll(/^\d+: (\S+)/gm)].map(([, device]) => `169.254.21.1 ${device}`),
    nexthops: nexthops.map(({ id, dev, group, type, resilient_args }) =>
      group === undefined
        ? `id ${id} dev ${dev}`
        : `id ${id} group ${group.map((member) => member.id).join('/')} ${type} ${resilient_args?.buckets}`,
    ),
    routes: routes.map(({ dst, nhid, prefsrc }) => `${dst} nhid ${nhid} src ${prefsrc}`).sort(),
    closed: closed.map(({ type, dst }) => `${type} ${dst}`).sort(),
    rules: await rules(),
  };
}

async function rules(): Promise<string[]> {
  const lines = (await ip('rule show')).split('\n').filter((line) => line.includes('proto 77'));
  return lines.map((line) => line.replace(/\s+/g, ' ').trim());
}
