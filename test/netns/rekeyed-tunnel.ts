import type { TunnelView } from '../../src/admin/wire.ts';
import { type BranchOptions, manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { type ChildSaRecord, type IkeSaRecord, StrongSwan, type StrongSwanOptions } from './strongswan.ts';
import { ADDRESS, Topology, type Zone } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';
import { UdpStreams } from './udp-stream.ts';

/** Which IKE SA and which CHILD_SA carry traffic; SPIs as numbers, since the two ends write them differently. */
export interface SasInUse {
  readonly ike: string;
  readonly spiIn: number;
  readonly spiOut: number;
}

/** The daemon's default suites; strongSwan would guess another group first. */
export const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' } as const;
/** No rekey of ours during a test, but for the early one that proves PFS. */
export const LONG = { ike: { lifetime: '12h' }, ipsec: { lifetime: '12h' } } as const;

interface KernelDrops {
  readonly udp: number;
  readonly tun: number;
}

/** Longer than either end keeps an SA that was replaced. */
const GRACE_MS = 15_000;
/** strongSwan's words for an SA that it has replaced, and answers on for a few seconds more. */
const REPLACED = ['REKEYED', 'DELETED', 'DELETING'];

/** One tunnel from the daemon to a strongSwan, without BGP: what rekeys need to be watched from both ends. */
export class RekeyedTunnel {
  readonly topology: Topology;
  readonly responder: StrongSwan;
  readonly #zone: Zone;
  #daemon: Tunwrightd | undefined;

  private constructor(topology: Topology, zone: Zone, responder: StrongSwan) {
    this.topology = topology;
    this.#zone = zone;
    this.responder = responder;
  }

  static async create(responderOptions: Partial<StrongSwanOptions> = {}): Promise<RekeyedTunnel> {
    const topology = await Topology.create();
    const [zone] = topology.zones;
    const responder = await StrongSwan.start(topology, 'zone1', {
      namespace: zone.namespace,
      local: zone.endpoint,
      remoteId: ADDRESS.branchPublic,
      psk: PSK,
      routes: [ADDRESS.branchBgp],
      ...responderOptions,
    });
    return new RekeyedTunnel(topology, zone, responder);
  }

  get daemon(): Tunwrightd {
    if (this.#daemon === undefined) throw new Error('the tunnel has not been brought up');
    return this.#daemon;
  }

  /** Starts the daemon and waits for the tunnel. */
  async up(options: BranchOptions): Promise<void> {
    this.#daemon = await Tunwrightd.start(this.topology, {
      config: await manualBranch(this.topology, [this.#zone], options),
    });
    await this.established(15_000);
  }

  /** Ends the daemon and waits until strongSwan has forgotten it. */
  async down(): Promise<void> {
    await this.daemon.stop();
    await eventually('strongSwan has heard of the end', 5_000, async () => (await this.responder.sas()).length === 0);
  }

  async established(deadlineMs: number): Promise<void> {
    await this.daemon.waitUntil(
      'the tunnel is up',
      deadlineMs,
      ({ links }) => links[0]?.tunnels[0]?.state === 'established',
    );
  }

  /** Waits until both ends use the same new SA: another CHILD_SA than `before`, and another IKE SA when that is `what` was rekeyed. */
  async rekeyed(what: 'child' | 'ike', before: SasInUse, deadlineMs = 5_000): Promise<SasInUse> {
    return eventually(`both ends use the rekeyed ${what} SA`, deadlineMs, async () => {
      const now = await this.inUse();
      const fresh = what === 'ike' ? now?.ike !== before.ike : now?.spiIn !== before.spiIn;
      return fresh && now;
    });
  }

  /** What both ends send on, once they agree. */
  async inUse(): Promise<SasInUse | undefined> {
    const [theirs, tunnels, ours] = await Promise.all([this.responder.sas(), this.daemon.tunnels(), this.daemon.sas()]);
    const ike = theirs.filter(({ state }) => !REPLACED.includes(state));
    const child = ike.flatMap(({ children }) => children).filter(({ state }) => !REPLACED.includes(state));
    const [tunnel] = tunnels;
    const sa = ours.find(({ spi_in }) => spi_in === tunnel?.child.spi_in);
    if (ike.length !== 1 || child.length !== 1 || sa === undefined) return undefined;
    const [seen] = child;
    const found = { ike: spis(ike[0]), spiIn: spi(sa.spi_in), spiOut: spi(sa.spi_out) };
    const agreed =
      tunnel !== undefined &&
      looksAlike(tunnel, ike[0], seen) &&
      found.ike === `${tunnel.ike.spi_i} ${tunnel.ike.spi_r}` &&
      found.spiIn === spi(seen?.spiOut) &&
      found.spiOut === spi(seen?.spiIn);
    return agreed ? found : undefined;
  }

  /** Waits until nothing that was replaced is left: one IKE SA and one CHILD_SA, the same at both ends. */
  async settled(deadlineMs = GRACE_MS): Promise<SasInUse> {
    let last: unknown;
    try {
      return await eventually('one IKE SA and one CHILD_SA at each end', deadlineMs, async () => {
        const [theirs, ours] = [await this.responder.sas(), await this.daemon.sas()];
        last = { theirs, ours };
        const single = theirs.length === 1 && theirs[0]?.children.length === 1 && ours.length === 1;
        return single && (await this.inUse());
      });
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${JSON.stringify(last, undefined, 1)}`, {
        cause: error,
      });
    }
  }

  /** Every CREATE_CHILD_SA that succeeded and is still in the history, one key each. */
  async rekeys(): Promise<
    { readonly key: string; readonly direction: 'in' | 'out'; readonly what: 'child' | 'ike' }[]
  > {
    const exchanges = await this.daemon.ikeHistory();
    return exchanges
      .filter(({ exchange, result }) => exchange === 'CREATE_CHILD_SA' && result === 'ok')
      .map(({ spi_i, message_id, direction, proposal }) => ({
        key: `${spi_i} ${direction} ${message_id}`,
        direction,
        what: proposal.includes('PRF') ? 'ike' : 'child',
      }));
  }

  async carriesPings(): Promise<{ sent: number; received: number }> {
    const { sent, received } = await ping(this.topology.namespace('branch'), this.#zone.bgp, {
      count: 3,
      source: ADDRESS.branchBgp,
    });
    return { sent, received };
  }

  /** Packets that no rekey lost: the branch's end, then the zone's. */
  kernelDrops(): Promise<[KernelDrops, KernelDrops]> {
    const branch = this.topology.namespace('branch');
    return Promise.all([kernelDrops(branch, 'tw0'), kernelDrops(this.#zone.namespace, 'ipsec0')]);
  }

  /** Constant traffic both ways through the tunnel. */
  streams(packetsPerSecond: number): Promise<UdpStreams> {
    const branch = { namespace: this.topology.namespace('branch'), address: ADDRESS.branchBgp };
    return UdpStreams.start(
      this.topology,
      branch,
      { namespace: this.#zone.namespace, address: this.#zone.bgp },
      packetsPerSecond,
    );
  }
}

/** What the kernel of one end threw away because a program did not read in time: no SA is to blame for that. */
async function kernelDrops(namespace: string, device: string): Promise<KernelDrops> {
  const counters = await run('nstat', ['-asz', 'UdpRcvbufErrors'], { namespace });
  const [link] = JSON.parse(await run('ip', ['-n', namespace, '-s', '-j', 'link', 'show', 'dev', device]));
  return { udp: Number(/UdpRcvbufErrors +(\d+)/.exec(counters)?.[1]), tun: link.stats64.tx.dropped };
}

/** A tunnel of its own for one test, with a responder that takes the daemon's default suites. */
export async function withTunnel(
  options: BranchOptions,
  body: (tunnel: RekeyedTunnel) => Promise<void>,
  responderOptions: Partial<StrongSwanOptions> = {},
): Promise<void> {
  const tunnel = await RekeyedTunnel.create({ ...SUITE, ...responderOptions });
  try {
    await tunnel.up(options);
    await body(tunnel);
    await tunnel.down();
  } finally {
    await tunnel.topology.remove();
  }
}

/** Both ends tell the same states and suites, each in its own words. */
function looksAlike(ours: TunnelView, ike: IkeSaRecord | undefined, child: ChildSaRecord | undefined): boolean {
  const theirs = { ike: ike?.suite.replaceAll('-', '_'), child: child?.suite.replaceAll('-', '_').split('/')[0] };
  return (
    [ours.ike.state, ours.child.state].every((state) => state === 'established') &&
    [ike?.state, child?.state].join() === 'ESTABLISHED,INSTALLED' &&
    [ours.ike.suite, ours.child.suite].join() === [theirs.ike, theirs.child].join()
  );
}

const spi = (text: string | undefined): number => Number.parseInt((text ?? '').replace(/^0x/, ''), 16);
const spis = (sa: IkeSaRecord | undefined): string => `${sa?.spiInitiator} ${sa?.spiResponder}`;
