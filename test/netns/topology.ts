import { mkdir, rm } from 'node:fs/promises';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { eventually } from './eventually.ts';
import { directoryOf, newPrefix, removeLeftovers, removeNamespaces } from './namespaces.ts';
import { type ProgramOptions, RunningProcess, run } from './process.ts';

/*
 *   client            branch                         router                          zone1
 *   10.1.20.10 ─ lan0 10.1.20.1                      198.51.100.1 ── wan0 198.51.100.20   (endpoint)
 *                     wan0 192.0.2.10 ── 192.0.2.1                        lo 169.254.21.2 (BGP)
 *                                                    203.0.113.1 ──┐ zone2
 *              with NAT: 192.168.88.10 ── 192.168.88.1             └ wan0 203.0.113.30    (endpoint)
 *                        the router owns 192.0.2.10  20.190.129.1 ─┐      lo 169.254.22.2 (BGP)
 *                                                                  │ entra
 *                                                                  └ wan0 20.190.129.10   (login and Graph)
 *
 * The branch is seen as 192.0.2.10 in both variants. Each zone answers for every address of the 25 prefixes that it announces.
 * Login and Graph lie inside an announced prefix, as Microsoft's do: a control connection that follows the learned routes gets no answer.
 */
export const ADDRESS = {
  client: '10.1.20.10',
  clientNetwork: '10.1.20.0/24',
  branchLan: '10.1.20.1',
  branchPublic: '192.0.2.10',
  branchBehindNat: '192.168.88.10',
  branchBgp: '169.254.21.1',
  entra: '20.190.129.10',
} as const;

export interface Zone {
  readonly number: 1 | 2;
  readonly namespace: string;
  /** IKE endpoint, also the responder's identity. */
  readonly endpoint: string;
  readonly bgp: string;
}

export const ZONES = [
  { number: 1, endpoint: '198.51.100.20', gateway: '198.51.100.1', bgp: '169.254.21.2' },
  { number: 2, endpoint: '203.0.113.30', gateway: '203.0.113.1', bgp: '169.254.22.2' },
] as const;

const NODES = ['client', 'branch', 'router', 'zone1', 'zone2', 'entra'] as const;
type Node = (typeof NODES)[number];

/** One branch and its world in network namespaces of their own. `remove()` leaves nothing behind. */
export class Topology {
  readonly prefix = newPrefix();
  readonly nat: boolean;
  /** For configuration files, sockets and logs of what runs in the topology. */
  readonly directory = directoryOf(this.prefix);
  readonly #processes: RunningProcess[] = [];

  private constructor(nat: boolean) {
    this.nat = nat;
  }

  static async create({ nat = false }: { nat?: boolean } = {}): Promise<Topology> {
    await removeLeftovers();
    const topology = new Topology(nat);
    await mkdir(topology.directory, { mode: 0o700 });
    try {
      await topology.#build();
    } catch (error) {
      await topology.remove();
      throw error;
    }
    return topology;
  }

  namespace(node: Node): string {
    return `${this.prefix}-${node}`;
  }

  get zones(): readonly [Zone, Zone] {
    const [first, second] = ZONES;
    return [
      { ...first, namespace: this.namespace('zone1') },
      { ...second, namespace: this.namespace('zone2') },
    ];
  }

  /** The address of the branch's own WAN interface. */
  get branchAddress(): string {
    return this.nat ? ADDRESS.branchBehindNat : ADDRESS.branchPublic;
  }

  /** Starts a program that ends, at the latest, with the topology. */
  start(command: string, args: readonly string[], options: ProgramOptions = {}): RunningProcess {
    const started = new RunningProcess(command, args, options);
    this.#processes.push(started);
    return started;
  }

  /** May be called again. */
  async remove(): Promise<void> {
    await Promise.all(this.#processes.splice(0).map((started) => started.stop('SIGTERM', 2_000)));
    await removeNamespaces(NODES.map((node) => this.namespace(node)));
    await rm(this.directory, { recursive: true, force: true });
  }

  async #build(): Promise<void> {
    for (const node of NODES) {
      await run('ip', ['netns', 'add', this.namespace(node)]);
      // Duplicate address detection would let link-local addresses appear a second late, in the middle of a comparison.
      await this.#sysctl(node, 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
      await this.ip(node, 'link set lo up');
    }
    for (const node of ['branch', 'router'] as const) await this.#sysctl(node, 'net.ipv4.ip_forward=1');
    // Debian's systemd sets 2 (loose) on every interface, so a real branch has it.
    await this.#sysctl('branch', 'net.ipv4.conf.all.rp_filter=2', 'net.ipv4.conf.default.rp_filter=2');
    await this.#link('client', 'eth0', `${ADDRESS.client}/24`, 'branch', 'lan0', `${ADDRESS.branchLan}/24`);
    const gateway = this.nat ? '192.168.88.1' : '192.0.2.1';
    await this.#link('branch', 'wan0', `${this.branchAddress}/24`, 'router', 'branch', `${gateway}/24`);
    await this.#link('entra', 'wan0', `${ADDRESS.entra}/24`, 'router', 'entra', '20.190.129.1/24');
    for (const zone of ZONES) await this.#buildZone(zone);
    if (this.nat) await this.#translate();
    // A device gets its link-local address when the kernel has seen its carrier.
    await eventually('the links are up', 5_000, async () => {
      for (const node of NODES) {
        if (/ state (DOWN|LOWERLAYERDOWN) /.test(await this.ip(node, '-o link show'))) return false;
      }
      return [...(await this.ip('branch', '-o -6 address show scope link')).matchAll(/fe80::/g)].length === 2;
    });
  }

  async #buildZone(zone: (typeof ZONES)[number]): Promise<void> {
    const node = `zone${zone.number}` as const;
    // Packets of the tunnel arrive on a device whose reverse path BGP has yet to announce.
    await this.#sysctl(node, 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0');
    await this.#link(node, 'wan0', `${zone.endpoint}/24`, 'router', node, `${zone.gateway}/24`);
    await this.ip(node, `addr add ${zone.bgp}/32 dev lo`);
    for (const prefix of MICROSOFT_PREFIXES) await this.ip(node, `route add local ${prefix} dev lo`);
  }

  /** A branch router's usual NAT: one public address, ports chosen at random. */
  async #translate(): Promise<void> {
    await this.ip('router', `addr add ${ADDRESS.branchPublic}/32 dev lo`);
    const rule = `ip saddr 192.168.88.0/24 snat to ${ADDRESS.branchPublic} fully-random`;
    await run('nft', ['add table ip nat; add chain ip nat out { type nat hook postrouting priority srcnat; }'], {
      namespace: this.namespace('router'),
    });
    await run('nft', [`add rule ip nat out ${rule}`], { namespace: this.namespace('router') });
  }

  /** Runs `ip` with `words` on a node. */
  async ip(node: Node, words: string): Promise<string> {
    return run('ip', ['-n', this.namespace(node), ...words.split(' ')]);
  }

  /** A veth pair; the first end's default route leads to the second end, unless the first is the branch's LAN side. */
  async #link(
    node: Node,
    device: string,
    cidr: string,
    peer: Node,
    peerDevice: string,
    peerCidr: string,
  ): Promise<void> {
    await run('ip', [
      ...['link', 'add', device, 'netns', this.namespace(node), 'type', 'veth'],
      ...['peer', 'name', peerDevice, 'netns', this.namespace(peer)],
    ]);
    for (const [end, name, address] of [
      [node, device, cidr],
      [peer, peerDevice, peerCidr],
    ] as const) {
      await this.ip(end, `addr add ${address} dev ${name}`);
      await this.ip(end, `link set ${name} up`);
    }
    await this.ip(node, `route add default via ${peerCidr.split('/')[0]}`);
  }

  async #sysctl(node: Node, ...settings: string[]): Promise<void> {
    await run('sysctl', ['-qw', ...settings], { namespace: this.namespace(node) });
  }
}
