import { join } from 'node:path';
import { BadPath, type Impairment } from './bad-path.ts';
import { eventually } from './eventually.ts';
import { newPrefix, removeNamespaces } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';
import { ROOT } from './repository.ts';
import { type StaticSa, TunnelEnd, type TunnelEndOptions } from './tunnel-end.ts';

const PROGRAMS = join(ROOT, '.setup', 'bench-programs');
const LOAD = join(PROGRAMS, 'udp-load');
const RANDOM_DATA = join(PROGRAMS, 'random-data');
const LOAD_PORT = '5201';
const DATA_PORT = '5202';
/** IPv4 and UDP headers. */
const OVERHEAD = 28;
/** Where data goes that is sent there or back. */
const INNER = { there: '10.0.0.2', back: '10.0.0.1' } as const;

const sa = (spi: number): StaticSa => ({ spi, key: spi.toString(16).padStart(64, 'ab'), salt: '0a0b0c0d' });

export type Way = 'there' | 'back';

export interface LoadResult {
  readonly sent: number;
  /** Datagrams that came twice count here, and as reordered. */
  readonly received: number;
  readonly reordered: number;
}

export interface DataResult {
  readonly sent: number;
  /** Once or more often. */
  readonly received: number;
  readonly twice: number;
  readonly damaged: number;
}

/**
 * Two hosts, and one tunnel of the addon with static keys. There is a veth pair between them:
 *
 *   near  192.0.2.1 ───────── 192.0.2.2  far
 *         10.0.0.1 ═══ tw0, 1400 octets ═══ 10.0.0.2
 *
 * or, with an impairment, a third host whose addresses each of the two takes for the other:
 *
 *   near  192.0.2.1 ── 192.0.2.2  path  198.51.100.1 ── 198.51.100.2  far
 */
export class StaticTunnel {
  static readonly mtu = 1400;
  readonly near: TunnelEnd;
  readonly far: TunnelEnd;
  readonly path: BadPath | undefined;
  readonly #namespaces: readonly string[];
  #spi = 0x2000;

  private constructor(namespaces: readonly string[], near: TunnelEnd, far: TunnelEnd, path: BadPath | undefined) {
    this.near = near;
    this.far = far;
    this.path = path;
    this.#namespaces = namespaces;
  }

  static async create(options: Partial<TunnelEndOptions> = {}, impairment?: Impairment): Promise<StaticTunnel> {
    await run('make', ['-s', '-C', join(ROOT, 'bench', 'programs'), 'loads']);
    const prefix = newPrefix();
    const [near, far, middle] = [`${prefix}-near`, `${prefix}-far`, `${prefix}-path`] as const;
    const namespaces = impairment === undefined ? [near, far] : [near, far, middle];
    try {
      for (const namespace of namespaces) {
        await run('ip', ['netns', 'add', namespace]);
        // Nothing is to pass but what a test sends.
        await run('sysctl', ['-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1'], {
          namespace,
        });
      }
      if (impairment === undefined) {
        await connect({ namespace: near, address: '192.0.2.1' }, { namespace: far, address: '192.0.2.2' });
        return await StaticTunnel.#start(namespaces, options, ['192.0.2.1', '192.0.2.2'], ['192.0.2.2', '192.0.2.1']);
      }
      await connect({ namespace: near, address: '192.0.2.1' }, { namespace: middle, address: '192.0.2.2' });
      await connect({ namespace: middle, address: '198.51.100.1' }, { namespace: far, address: '198.51.100.2' });
      const ends = { nearPeer: '192.0.2.1', nearLocal: '192.0.2.2', farLocal: '198.51.100.1', farPeer: '198.51.100.2' };
      const path = await BadPath.start(middle, ends, impairment);
      const [nearEnds, farEnds] = [[ends.nearPeer, ends.nearLocal] as const, [ends.farPeer, ends.farLocal] as const];
      return await StaticTunnel.#start(namespaces, options, nearEnds, farEnds, path);
    } catch (error) {
      await removeNamespaces(namespaces);
      throw error;
    }
  }

  static async #start(
    namespaces: readonly string[],
    options: Partial<TunnelEndOptions>,
    nearEnds: readonly [local: string, remote: string],
    farEnds: readonly [local: string, remote: string],
    path?: BadPath,
  ): Promise<StaticTunnel> {
    const [near = '', far = ''] = namespaces;
    const common = { interface: 'tw0', mtu: StaticTunnel.mtu, ...options };
    const [there, back] = [sa(0x1001), sa(0x1002)];
    const start = (namespace: string, [local, remote]: readonly [string, string], mine: StaticSa, theirs: StaticSa) =>
      TunnelEnd.start(namespace, {
        ...{ ...common, local, remote, responder: namespace === far, inbound: mine, outbound: theirs },
      });
    const [nearEnd, farEnd] = await Promise.all([start(near, nearEnds, back, there), start(far, farEnds, there, back)]);
    for (const [namespace, address] of [
      [near, INNER.back],
      [far, INNER.there],
    ] as const) {
      await run('ip', ['-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'tw0']);
      await serve(namespace, RANDOM_DATA, ['serve', address, DATA_PORT]);
    }
    await serve(far, LOAD, ['sink', INNER.there, LOAD_PORT]);
    return new StaticTunnel(namespaces, nearEnd, farEnd, path);
  }

  /** Both directions move to new SAs; the ones before the last are forgotten, so that nothing on its way is. */
  async rekey(): Promise<void> {
    const [there, back] = [this.#spi, this.#spi + 1];
    this.#spi += 2;
    await Promise.all([this.far.receive(there), this.near.receive(back)]);
    await Promise.all([this.near.send(there), this.far.send(back)]);
    this.far.command(`forget ${there - 2}`);
    this.near.command(`forget ${back - 2}`);
  }

  /** Numbered datagrams from the near end to the far one; `octets`: of the IPv4 packet. */
  async load(packetsPerSecond: number, octets: number, seconds: number): Promise<LoadResult> {
    const words = ['send', INNER.there, LOAD_PORT, octets - OVERHEAD, packetsPerSecond, seconds].map(String);
    return JSON.parse(await run(LOAD, words, { namespace: this.near.namespace }));
  }

  /** Random octets by TCP: how many of them the other end has found right, up to the first that was not. */
  randomTcp(way: Way, octets: number, seed: number): Promise<{ octets: number; right: boolean; seconds: number }> {
    return this.#randomData(way, 'tcp', octets, seed);
  }

  /** Random datagrams of 40 to 1,316 octets by UDP: what the other end has got of them. */
  randomUdp(way: Way, octets: number, seed: number, packetsPerSecond: number): Promise<DataResult> {
    return this.#randomData(way, 'udp', octets, seed, packetsPerSecond);
  }

  async #randomData<T>(way: Way, ...words: (string | number)[]): Promise<T> {
    const [protocol, ...rest] = words.map(String);
    const { namespace } = way === 'there' ? this.near : this.far;
    return JSON.parse(await run(RANDOM_DATA, [protocol ?? '', INNER[way], DATA_PORT, ...rest], { namespace }));
  }

  /** Packets that the kernel threw away because a program did not read in time: the tunnel never had them. */
  async kernelDrops(): Promise<number> {
    const drops = await Promise.all(
      this.#namespaces.map(async (namespace) => {
        const counters = await run('nstat', ['-asz', 'UdpRcvbufErrors'], { namespace });
        const links = JSON.parse(await run('ip', ['-n', namespace, '-s', '-j', 'link', 'show']));
        const tun = links.find(({ ifname }: { ifname: string }) => ifname === 'tw0')?.stats64.tx.dropped ?? 0;
        return tun + Number(/UdpRcvbufErrors +(\d+)/.exec(counters)?.[1]);
      }),
    );
    return drops.reduce((sum, count) => sum + count, 0);
  }

  /** Bytes per second of TCP payload that arrived with iperf3's `flags`. */
  async tcp(flags: readonly string[]): Promise<number> {
    const server = new RunningProcess('iperf3', ['-s', '-1', '--forceflush'], { namespace: this.far.namespace });
    await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
    const args = ['-J', '-c', INNER.there, '-t', '1', ...flags];
    const { end } = JSON.parse(await run('iperf3', args, { namespace: this.near.namespace }));
    await server.exit;
    return end.sum_received.bits_per_second / 8;
  }

  async remove(): Promise<void> {
    await Promise.all([this.near.stop(), this.far.stop()]);
    await removeNamespaces(this.#namespaces);
  }
}

interface Outer {
  readonly namespace: string;
  readonly address: string;
}

/** A veth pair; the namespaces have no other device of that kind towards each other. */
async function connect(a: Outer, b: Outer): Promise<void> {
  const device = ({ namespace, address }: Outer) => ({ namespace, address, name: `eth-${address.split('.')[0]}` });
  const [near, far] = [device(a), device(b)];
  const words = ({ namespace, name }: typeof near) => [name, 'netns', namespace];
  await run('ip', ['link', 'add', ...words(near), 'type', 'veth', 'peer', 'name', ...words(far)]);
  for (const { namespace, address, name } of [near, far]) {
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    await run('ip', ['-n', namespace, 'addr', 'add', `${address}/24`, 'dev', name]);
    await run('ip', ['-n', namespace, 'link', 'set', name, 'up']);
  }
}

/** It ends with its namespace. */
async function serve(namespace: string, program: string, words: readonly string[]): Promise<void> {
  const server = new RunningProcess(program, words, { namespace });
  await eventually(`${words.join(' ')} listens`, 5_000, () => server.lines.includes('listening'));
}
