import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { newPrefix, removeNamespaces } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';
import { ROOT } from './repository.ts';
import { type StaticSa, TunnelEnd, type TunnelEndOptions } from './tunnel-end.ts';

const LOAD = join(ROOT, '.setup', 'bench-programs', 'udp-load');
const LOAD_PORT = '5201';
/** IPv4 and UDP headers. */
const OVERHEAD = 28;

const sa = (spi: number): StaticSa => ({ spi, key: spi.toString(16).padStart(64, 'ab'), salt: '0a0b0c0d' });

export interface LoadResult {
  readonly sent: number;
  /** Datagrams that came twice count here, and as reordered. */
  readonly received: number;
  readonly reordered: number;
}

/**
 * Two hosts with nothing between them but one veth pair, and one tunnel of the addon with static keys:
 *
 *   near  192.0.2.1 ───────── 192.0.2.2  far
 *         10.0.0.1 ═══ tw0, 1400 octets ═══ 10.0.0.2
 */
export class StaticTunnel {
  static readonly mtu = 1400;
  readonly near: TunnelEnd;
  readonly far: TunnelEnd;
  readonly #namespaces: readonly [string, string];
  readonly #sink: RunningProcess;
  #spi = 0x2000;

  private constructor(ends: readonly [TunnelEnd, TunnelEnd], sink: RunningProcess) {
    [this.near, this.far] = ends;
    this.#namespaces = [this.near.namespace, this.far.namespace];
    this.#sink = sink;
  }

  static async create(options: Partial<TunnelEndOptions> = {}): Promise<StaticTunnel> {
    await run('make', ['-s', '-C', join(ROOT, 'bench', 'programs'), 'load']);
    const prefix = newPrefix();
    const namespaces = [`${prefix}-near`, `${prefix}-far`] as const;
    try {
      await connect(...namespaces);
      return await StaticTunnel.#start(namespaces, options);
    } catch (error) {
      await removeNamespaces(namespaces);
      throw error;
    }
  }

  static async #start(
    [near, far]: readonly [string, string],
    options: Partial<TunnelEndOptions>,
  ): Promise<StaticTunnel> {
    const common = { interface: 'tw0', mtu: StaticTunnel.mtu, ...options };
    const [there, back] = [sa(0x1001), sa(0x1002)];
    const ends = await Promise.all([
      TunnelEnd.start(near, {
        ...{ ...common, local: '192.0.2.1', remote: '192.0.2.2', responder: false, inbound: back, outbound: there },
      }),
      TunnelEnd.start(far, {
        ...{ ...common, local: '192.0.2.2', remote: '192.0.2.1', responder: true, inbound: there, outbound: back },
      }),
    ]);
    for (const [i, namespace] of [near, far].entries()) {
      await run('ip', ['-n', namespace, 'addr', 'add', `10.0.0.${i + 1}/24`, 'dev', 'tw0']);
    }
    const sink = new RunningProcess(LOAD, ['sink', '10.0.0.2', LOAD_PORT], { namespace: far });
    await eventually('the sink listens', 5_000, () => sink.lines.includes('listening'));
    return new StaticTunnel(ends, sink);
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
    const words = ['send', '10.0.0.2', LOAD_PORT, octets - OVERHEAD, packetsPerSecond, seconds].map(String);
    return JSON.parse(await run(LOAD, words, { namespace: this.near.namespace }));
  }

  /** Packets that the kernel threw away because a program did not read in time: the tunnel never had them. */
  async kernelDrops(): Promise<number> {
    const drops = await Promise.all(
      this.#namespaces.map(async (namespace) => {
        const [link] = JSON.parse(await run('ip', ['-n', namespace, '-s', '-j', 'link', 'show', 'dev', 'tw0']));
        const counters = await run('nstat', ['-asz', 'UdpRcvbufErrors'], { namespace });
        return link.stats64.tx.dropped + Number(/UdpRcvbufErrors +(\d+)/.exec(counters)?.[1]);
      }),
    );
    return drops.reduce((sum, count) => sum + count, 0);
  }

  /** Bytes per second of TCP payload that arrived with iperf3's `flags`. */
  async tcp(flags: readonly string[]): Promise<number> {
    const server = new RunningProcess('iperf3', ['-s', '-1', '--forceflush'], { namespace: this.far.namespace });
    await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
    const args = ['-J', '-c', '10.0.0.2', '-t', '1', ...flags];
    const { end } = JSON.parse(await run('iperf3', args, { namespace: this.near.namespace }));
    await server.exit;
    return end.sum_received.bits_per_second / 8;
  }

  async remove(): Promise<void> {
    await this.#sink.stop();
    await Promise.all([this.near.stop(), this.far.stop()]);
    await removeNamespaces(this.#namespaces);
  }
}

async function connect(near: string, far: string): Promise<void> {
  for (const namespace of [near, far]) await run('ip', ['netns', 'add', namespace]);
  const device = (namespace: string) => ['eth0', 'netns', namespace];
  await run('ip', ['link', 'add', ...device(near), 'type', 'veth', 'peer', 'name', ...device(far)]);
  for (const [i, namespace] of [near, far].entries()) {
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    await run('ip', ['-n', namespace, 'addr', 'add', `192.0.2.${i + 1}/24`, 'dev', 'eth0']);
    await run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up']);
  }
}
