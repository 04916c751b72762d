import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FibCounters } from '../../src/agent/fib-applier.ts';
import { SeededRandom } from '../sim/clock.ts';
import { eventually } from './eventually.ts';
import { LineDriver } from './line-driver.ts';
import { newPrefix, removeLeftovers, removeNamespaces } from './namespaces.ts';
import { run } from './process.ts';
import { figure, SOAK } from './soak.ts';

const NAMESPACE = `${newPrefix()}-chaos`;
const DRIVER = new URL('./drivers/fib-chaos.mjs', import.meta.url).pathname;
const TUNNELS = [0, 1, 2] as const;
/** Simulated hours, and how many minutes lie between two events on average. */
const HOURS = SOAK ? 24 : 3;
const MEAN_MINUTES = 2;
const SEEDS = SOAK ? [1, 2, 3, 4, 5] : [1];
const POOL = Array.from({ length: 40 }, (_, i) => `52.${i}.0.0/16`);
/** Longer than every wait of the applier: retries, damping, the regular check. */
const CALM_MS = 120_000;

/** What the kernel should hold, from what was done to it and said to us. */
interface World {
  readonly tunnels: { up: boolean; carrier: boolean; silent: boolean; established: boolean }[];
  /** Prefixes of the running session, and such as an earlier one left that no table has contradicted. */
  readonly tables: Set<string>[];
  readonly remembered: Set<string>[];
}

let driver: LineDriver;

beforeEach(async () => {
  await removeLeftovers();
  await run('ip', ['netns', 'add', NAMESPACE]);
  await run('ip', ['netns', 'exec', NAMESPACE, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
  await ip('link set lo up');
  for (const i of TUNNELS) {
    await ip(`link add tw${i} type veth peer name p${i}`);
    await ip(`link set tw${i} up`);
    await ip(`link set p${i} up`);
  }
  await ip('link add wan0 type veth peer name wan0p');
  await ip('link set wan0 up');
  await ip('link set wan0p up');
  await eventually('the links have carrier', 5_000, async () => !/NO-CARRIER/.test(await ip('link show')));
  driver = new LineDriver(NAMESPACE, DRIVER);
});

afterEach(async () => {
  await driver.stop();
  await removeNamespaces([NAMESPACE]);
});

describe('the FIB through random days', () => {
  it.each(SEEDS)(
    'ends with what is wanted in the kernel, whatever flapped, was edited or refused (seed %i)',
    { timeout: 1_800_000 },
    async (seed) => {
      const dice = new Dice(seed);
      const world: World = {
        tunnels: TUNNELS.map(() => ({ up: false, carrier: true, silent: false, established: false })),
        tables: TUNNELS.map(() => new Set()),
        remembered: TUNNELS.map(() => new Set()),
      };
      const history: string[] = [];
      for (let minutes = 0; minutes < 60 * HOURS; ) {
        for (let burst = 1 + dice.below(4); burst > 0; burst--) history.push(await event(dice, world));
        await driver.ask({ do: 'faults', faults: [] });
        await driver.ask({ do: 'advance', ms: CALM_MS });
        const wanted = expected(world);
        // links and what the kernel tells of them have their own time
        await eventually(`seed ${seed}, after ${history.slice(-8).join('; ')}`, 3_000, async () => {
          await driver.ask({ do: 'advance', ms: 1_000 });
          const [found, counters] = [await kernel(), (await driver.ask({ do: 'counters' })) as FibCounters];
          const counted = counters.failed === 0 && counters.desired === counters.installed;
          const isEqual = counted && JSON.stringify(found) === JSON.stringify(wanted);
          if (!isEqual) lastSeen = { found, wanted, counters };
          return isEqual;
        }).catch((error) => {
          throw new Error(`${error.message}\n${difference()}`, { cause: error });
        });
        minutes += CALM_MS / 60_000 + dice.below(2 * MEAN_MINUTES);
        await driver.ask({ do: 'advance', ms: dice.below(2 * MEAN_MINUTES) * 60_000 });
      }
      expect(await driver.ask({ do: 'counters' })).toMatchObject({ failed: 0 });
      figure(`seed ${seed}`, { hours: HOURS, events: history.length });
    },
  );
});

let lastSeen: { found: Kernel; wanted: Kernel; counters: unknown } | undefined;

function difference(): string {
  if (lastSeen === undefined) return '';
  const { found, wanted, counters } = lastSeen;
  const lines = (Object.keys(wanted) as (keyof Kernel)[]).flatMap((part) => [
    ...wanted[part].filter((line) => !found[part].includes(line)).map((line) => `${part}: missing ${line}`),
    ...found[part].filter((line) => !wanted[part].includes(line)).map((line) => `${part}: surplus ${line}`),
  ]);
  return `${lines.slice(0, 20).join('\n')}\n${JSON.stringify(counters)}`;
}

/** Does one thing to the kernel or to the daemon's side, and gives it in words. */
async function event(dice: Dice, world: World): Promise<string> {
  const i = dice.below(TUNNELS.length);
  const tunnel = world.tunnels[i];
  const [table, remembered] = [world.tables[i], world.remembered[i]];
  if (tunnel === undefined || table === undefined || remembered === undefined) throw new RangeError('no such tunnel');
  const say = (command: object) => driver.ask({ tunnel: i, ...command });
  switch (dice.below(12)) {
    case 0:
    case 1:
      tunnel.up = !tunnel.up;
      await say({ do: 'tunnel', up: tunnel.up });
      return `tw${i} ${tunnel.up ? 'up' : 'down'}`;
    case 2:
    case 3: {
      if (tunnel.established) {
        tunnel.established = false;
        for (const prefix of table) remembered.add(prefix);
        table.clear();
        await say({ do: 'peerDown' });
        return `peer ${i} down`;
      }
      tunnel.established = true;
      for (const prefix of POOL) if (!dice.oneIn(4)) table.add(prefix);
      remembered.clear();
      await say({ do: 'peerUp' });
      await say({ do: 'update', announced: [...table], withdrawn: [] });
      await say({ do: 'endOfRib' });
      return `peer ${i} up`;
    }
    case 4: {
      if (!tunnel.established) return 'nothing';
      const announced = POOL.filter(() => dice.oneIn(8));
      const withdrawn = POOL.filter((prefix) => !announced.includes(prefix) && dice.oneIn(8));
      for (const prefix of announced) table.add(prefix);
      for (const prefix of withdrawn) table.delete(prefix);
      await say({ do: 'update', announced, withdrawn });
      return `peer ${i} update`;
    }
    case 5:
      tunnel.carrier = !tunnel.carrier;
      await ip(`link set p${i} ${tunnel.carrier ? 'up' : 'down'}`);
      return `p${i} ${tunnel.carrier ? 'up' : 'down'}`;
    case 6:
      tunnel.silent = !tunnel.silent;
      await say({ do: 'silent', silent: tunnel.silent });
      return `tw${i} ${tunnel.silent ? 'silent' : 'answers'}`;
    case 7:
    case 8:
      return foreignEdit(dice, i);
    case 9:
      await driver.ask({ do: 'faults', faults: Array.from({ length: 1 + dice.below(6) }, () => dice.pick(FAULTS)) });
      return 'netlink faults';
    case 10:
      await driver.ask({ do: 'advance', ms: dice.below(40) });
      return 'milliseconds pass';
    default:
      await driver.ask({ do: 'advance', ms: dice.below(60_000) });
      return 'seconds pass';
  }
}

const FAULTS = ['throw', 'ENOBUFS', 'EBUSY', 'EINVAL', 'ENOMEM'] as const;

/** Something that another program does to what is ours; it may not be there. */
async function foreignEdit(dice: Dice, i: number): Promise<string> {
  const prefix = dice.pick(POOL);
  const words = dice.pick([
    `route del ${prefix} table 7700`,
    `route replace ${prefix} dev wan0 table 7700`,
    `route replace blackhole ${prefix} table 7700`,
    `route del blackhole ${prefix} table 7701`,
    `route add ${prefix} dev wan0 table 7701`,
    `route flush table 7700`,
    `nexthop del id ${76_900 + i}`,
    `nexthop del id ${77_000 + i}`,
    `nexthop del id ${77_100 + 1 + dice.below(7)}`,
    'nexthop flush proto 77',
    'rule del priority 7720',
    'rule del priority 7702',
    `address del 169.254.21.1/32 dev tw${i}`,
    `link set tw${i} down`,
  ]);
  await ip(words).catch(() => undefined);
  return `ip ${words}`;
}

interface Kernel {
  readonly routes: readonly string[];
  readonly closed: readonly string[];
  readonly rules: readonly string[];
}

function expected({ tunnels, tables, remembered }: World): Kernel {
  const usable = tunnels.map(({ up, carrier }) => up && carrier);
  const learning = tunnels.map(({ up, established }, i) => usable[i] === true && up && established);
  // a silent tunnel is worse than one that answers, and better than none; that a carrier is gone is the kernel's to say
  const answering = tunnels.some(({ up, established, silent }) => up && established && !silent);
  const carries = tunnels.map(({ silent }, i) => learning[i] === true && !(answering && silent));
  const devices = (prefix: string): string[] =>
    TUNNELS.filter((i) => carries[i] === true && tables[i]?.has(prefix)).map((i) => `tw${i}`);
  const peers = TUNNELS.filter((i) => usable[i] === true).map((i) => `169.254.${21 + i}.2 tw${i}`);
  const announced = POOL.filter((prefix) => TUNNELS.some((i) => tables[i]?.has(prefix) || remembered[i]?.has(prefix)));
  const learned = POOL.flatMap((prefix) =>
    devices(prefix).length === 0 ? [] : `${prefix} ${devices(prefix).join(' ')}`,
  );
  return {
    routes: [...peers, ...learned].sort(),
    closed: announced.map((prefix) => `blackhole ${prefix}`).sort(),
    rules: [
      '7700: fwmark 0x7700/0xff00 lookup main',
      '7701: from 169.254.21.1 lookup 7700',
      ...TUNNELS.map((i) => `7702: to 169.254.${21 + i}.2 lookup 7700`),
      '7720: from 10.1.0.0/16 lookup 7700',
      '7721: from 10.1.0.0/16 lookup 7701',
    ].sort(),
  };
}

interface ShownRoute {
  readonly type?: string;
  readonly dst: string;
  readonly dev?: string;
  readonly nexthops?: readonly { readonly dev: string }[];
}

/** What `ip` shows of ours; what others put where nothing of ours belongs stays theirs. */
async function kernel(): Promise<Kernel> {
  const shown = async (table: number): Promise<ShownRoute[]> =>
    JSON.parse((await ip(`-j route show table ${table} proto 77`).catch(() => '')) || '[]');
  const routes = (await shown(7700)).map(({ type, dst, dev, nexthops = [] }) => {
    const devices = new Set([dev ?? '', ...nexthops.map((nexthop) => nexthop.dev)].filter((name) => name !== ''));
    return `${type === undefined ? '' : `${type} `}${dst} ${[...devices].sort().join(' ')}`;
  });
  const rules = (await ip('rule show')).split('\n').filter((line) => line.includes('proto 77'));
  return {
    routes: routes.sort(),
    closed: (await shown(7701)).map(({ type, dst }) => `${type ?? 'unicast'} ${dst}`).sort(),
    rules: rules
      .map((line) =>
        line
          .replace(/\s+/g, ' ')
          .replace(/from all | proto 77/g, '')
          .trim(),
      )
      .sort(),
  };
}

class Dice {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }
  below(limit: number): number {
    const [high = 0, low = 0] = this.#random.bytes(2);
    return (high * 256 + low) % limit;
  }
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }
  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}

const ip = (words: string): Promise<string> => run('ip', ['-n', NAMESPACE, ...words.split(' ')]);
