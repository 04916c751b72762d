import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MICROSOFT_ASN } from '../../test/netns/bird.ts';
import { BRANCH_ASN, manualBranch } from '../../test/netns/branch-config.ts';
import { eventually } from '../../test/netns/eventually.ts';
import { run } from '../../test/netns/process.ts';
import { ADDRESS, type Topology, type Zone } from '../../test/netns/topology.ts';
import { Tunwrightd } from '../../test/netns/tunwrightd.ts';
import { ZoneGateway } from '../../test/netns/zone-gateway.ts';

/** A router under test, with a session to each of the two zones. */
export interface Router {
  /** Processes that hold the table. */
  readonly pids: readonly number[];
  /** The way to zone 1 ends, and its device tells. */
  loseCarrier(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  start(topology: Topology): Promise<Router>;
}

/** BIRD 2: one message for each route, with the next hops in it. */
const bird: Contender = {
  name: 'BIRD',
  async start(topology) {
    await directLinks(topology);
    const config = join(topology.directory, 'bird-branch.conf');
    const session = ({ number, bgp }: Zone) =>
      `protocol bgp zone${number} from zone { neighbor ${bgp} as ${MICROSOFT_ASN}; }`;
    const route = ({ number, bgp }: Zone) => `route ${bgp}/32 via "t${number}";`;
    await writeFile(
      config,
      `router id ${ADDRESS.branchBgp};
protocol device { scan time 10; }
protocol static { ipv4; ${topology.zones.map(route).join(' ')} }
protocol kernel { merge paths on limit 16; scan time 600; ipv4 { export where source = RTS_BGP; import none; }; }
template bgp zone {
  local ${ADDRESS.branchBgp} as ${BRANCH_ASN};
  multihop 2; hold time 180; keepalive time 60;
  connect retry time 5; connect delay time 1; error wait time 1, 5;
  ipv4 { import all; export none; };
}
${topology.zones.map(session).join('\n')}
`,
    );
    const file = (name: string) => join(topology.directory, name);
    const args = ['-f', '-c', config, '-s', file('bird-branch.ctl'), '-P', file('bird-branch.pid')];
    const daemon = topology.start('bird', args, { namespace: topology.namespace('branch') });
    return { pids: [daemon.pid], loseCarrier: () => cut(topology) };
  },
};

/** FRR: zebra with nexthop groups, staticd, bgpd. */
const frr: Contender = {
  name: 'FRR',
  async start(topology) {
    await directLinks(topology);
    await chmod(topology.directory, 0o711); // FRR's own user must get through
    const directory = join(topology.directory, 'frr');
    await mkdir(directory);
    const config = join(directory, 'frr.conf');
    await writeFile(config, frrConfig(topology.zones));
    await run('chown', ['-R', 'frr:frr', directory]);
    const common = ['-f', config, '--vty_socket', directory, '-u', 'frr', '-g', 'frr'];
    const start = (name: string, ...args: string[]) =>
      topology.start(`/usr/lib/frr/${name}`, [...common, '-i', join(directory, `${name}.pid`), ...args], {
        namespace: topology.namespace('branch'),
      });
    const api = ['-z', join(directory, 'zserv.api')];
    const zebra = start('zebra', ...api, '-s', '90000000');
    await eventually('zebra answers', 10_000, async () => {
      await run('vtysh', ['--vty_socket', directory, '-d', 'zebra', '-c', 'show version']);
      return true;
    });
    start('staticd', ...api);
    const bgpd = start('bgpd', ...api);
    return { pids: [zebra.pid, bgpd.pid], loseCarrier: () => cut(topology) };
  },
};

function frrConfig(zones: readonly Zone[]): string {
  const each = (line: (zone: Zone) => string) => zones.map(line).join('\n');
  return `frr defaults traditional
hostname branch
${each(({ number, bgp }) => `ip route ${bgp}/32 t${number}`)}
ip prefix-list NONE seq 5 deny any
router bgp ${BRANCH_ASN}
 bgp router-id ${ADDRESS.branchBgp}
 no bgp ebgp-requires-policy
 bgp bestpath as-path multipath-relax
 no bgp default ipv4-unicast
 timers bgp 60 180
${each(
  ({ bgp }) => ` neighbor ${bgp} remote-as ${MICROSOFT_ASN}
 neighbor ${bgp} ebgp-multihop 2
 neighbor ${bgp} update-source ${ADDRESS.branchBgp}
 neighbor ${bgp} timers connect 5`,
)}
 address-family ipv4 unicast
  maximum-paths 16
${each(
  ({ bgp }) => `  neighbor ${bgp} activate
  neighbor ${bgp} prefix-list NONE out`,
)}
 exit-address-family
`;
}

/** The whole daemon: the sessions run through ESP, and every packet to a zone is encrypted. */
const tunwright: Contender = {
  name: 'tunwright',
  async start(topology) {
    const gateways: ZoneGateway[] = [];
    for (const zone of topology.zones) {
      gateways.push(await ZoneGateway.start(zone, { localBgp: `169.254.9.${zone.number}` }));
    }
    const policies = [{ id: 20, from: ['staff'], to: 'learned', failure: 'open' }];
    const bgp = { import: { max_prefixes: 1_000_000 } };
    const config = await manualBranch(topology, topology.zones, { bgp, top: { policies } });
    const daemon = await Tunwrightd.start(topology, { config });
    return { pids: [daemon.pid], loseCarrier: async () => void (await gateways[0]?.stop()) };
  },
};

export const CONTENDERS: readonly Contender[] = [bird, frr, tunwright];

/** The far end of the link to zone 1 goes down. */
async function cut(topology: Topology): Promise<void> {
  await topology.ip('zone1', 'link set p1 down');
}

/**
 * What the others get in place of tunnels: a veth pair to each zone that needs no ARP and no addresses, like a TUN device.
 *
 *   branch  t1 ── p1  zone1
 *           t2 ── p2  zone2
 */
async function directLinks(topology: Topology): Promise<void> {
  const branch = topology.namespace('branch');
  await topology.ip('branch', `addr add ${ADDRESS.branchBgp}/32 dev lo`);
  for (const { number, namespace, bgp } of topology.zones) {
    const [near, far, mac] = [`t${number}`, `p${number}`, `02:00:00:00:0${number}:01`];
    await run('ip', [
      ...['link', 'add', near, 'netns', branch, 'type', 'veth'],
      ...['peer', 'name', far, 'netns', namespace],
    ]);
    for (const [where, device] of [
      [branch, near],
      [namespace, far],
    ] as const) {
      await run('ip', ['-n', where, 'link', 'set', device, 'address', mac, 'arp', 'off', 'mtu', '1400', 'up']);
    }
    await run('ip', ['-n', namespace, 'route', 'add', `${ADDRESS.branchBgp}/32`, 'dev', far, 'src', bgp]);
    await run('ip', ['-n', namespace, 'route', 'add', ADDRESS.clientNetwork, 'dev', far]);
    await run('ip', ['-n', branch, 'route', 'add', `${bgp}/32`, 'dev', near, 'src', ADDRESS.branchBgp]);
  }
  const settings = ['net.ipv4.fib_multipath_hash_policy=1', 'net.ipv4.conf.all.rp_filter=0'];
  await run('sysctl', ['-qw', ...settings], { namespace: branch });
}
