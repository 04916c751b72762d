/**
 * One TCP stream through one tunnel, in turns: strongSwan's kernel-libipsec at both ends, tunwright towards such a strongSwan (whose
 * own rate then is the bound), and tunwright's packet path at both ends. All do ESP in userspace with AES-256-GCM.
 */
import { Bird } from '../test/netns/bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from '../test/netns/branch-config.ts';
import { eventually } from '../test/netns/eventually.ts';
import { run } from '../test/netns/process.ts';
import { StrongSwan } from '../test/netns/strongswan.ts';
import { ADDRESS, Topology } from '../test/netns/topology.ts';
import { type StaticSa, TunnelEnd } from '../test/netns/tunnel-end.ts';
import { Tunwrightd } from '../test/netns/tunwrightd.ts';
import { report } from './report.ts';

const ROUNDS = 5;
const SECONDS = 4;
/** What strongSwan's kernel-libipsec gives its TUN device. */
const LIBIPSEC_MTU = 1400;
/** Inside an announced prefix. */
const SERVER = '52.96.0.1';
const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };

const strongSwan = await Topology.create();
const tunwright = await Topology.create();
const bothEnds = await Topology.create();
const ends: TunnelEnd[] = [];
try {
  await bringUp(strongSwan, startStrongSwan);
  await bringUp(tunwright, startTunwright);
  await bringUpBothEnds(bothEnds);
  const contenders = [
    { name: 'strongSwan', topology: strongSwan },
    { name: 'tunwright to strongSwan', topology: tunwright },
    { name: 'tunwright at both ends', topology: bothEnds },
  ];
  const directions = [
    { direction: 'sending', flags: [] },
    { direction: 'receiving', flags: ['--reverse'] },
  ];
  const series = directions.flatMap(({ direction, flags }) =>
    contenders.map(({ name, topology }) => ({ name, direction, topology, flags, values: [] as number[] })),
  );
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { topology, flags, values } of series) values.push(await megabitsPerSecond(topology, flags));
  }
  await report(
    'netns-throughput',
    series.map(({ name, direction, values }) => ({
      ...{ name: `${name}, ${direction}`, unit: 'Mbit/s', values },
      ...(name !== 'strongSwan' && { against: `strongSwan, ${direction}` }),
    })),
  );
} finally {
  for (const end of ends) await end.stop();
  await bothEnds.remove();
  await strongSwan.remove();
  await tunwright.remove();
}

async function bringUp(topology: Topology, startInitiator: (topology: Topology) => Promise<unknown>): Promise<void> {
  const [zone] = topology.zones;
  await StrongSwan.start(topology, 'zone1', {
    ...SUITE,
    namespace: zone.namespace,
    local: zone.endpoint,
    remoteId: ADDRESS.branchPublic,
    psk: PSK,
    routes: [ADDRESS.branchBgp, ADDRESS.clientNetwork],
  });
  await startInitiator(topology);
  await serve(topology);
}

/** iperf3 behind zone 1, warmed up. */
async function serve(topology: Topology): Promise<void> {
  const namespace = topology.zones[0].namespace;
  const server = topology.start('iperf3', ['-s', '-B', SERVER, '--forceflush'], { namespace });
  await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
  await megabitsPerSecond(topology, []);
}

/** Keys are static: what is measured is the packet path. */
async function bringUpBothEnds(topology: Topology): Promise<void> {
  const [zone] = topology.zones;
  const there: StaticSa = { spi: 0x1001, key: '11'.repeat(32), salt: '01020304' };
  const back: StaticSa = { spi: 0x1002, key: '22'.repeat(32), salt: '05060708' };
  const common = { interface: 'tw0', mtu: LIBIPSEC_MTU };
  const near = { local: topology.branchAddress, remote: zone.endpoint, inbound: back, outbound: there };
  const far = { local: zone.endpoint, remote: topology.branchAddress, inbound: there, outbound: back };
  ends.push(await TunnelEnd.start(zone.namespace, { ...common, ...far, responder: true }));
  ends.push(await TunnelEnd.start(topology.namespace('branch'), { ...common, ...near, responder: false }));
  await topology.ip('branch', 'route add 52.96.0.0/14 dev tw0');
  await topology.ip('zone1', `route add ${ADDRESS.clientNetwork} dev tw0`);
  await serve(topology);
}

async function startStrongSwan(topology: Topology): Promise<void> {
  const [zone] = topology.zones;
  const initiator = await StrongSwan.start(topology, 'branch', {
    ...SUITE,
    namespace: topology.namespace('branch'),
    local: topology.branchAddress,
    remote: zone.endpoint,
    remoteId: zone.endpoint,
    psk: PSK,
    routes: ['52.96.0.0/14'],
  });
  await initiator.initiate();
}

async function startTunwright(topology: Topology): Promise<void> {
  const [zone] = topology.zones;
  await Bird.start(topology, zone, { branchAsn: BRANCH_ASN });
  const daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, [zone]) });
  await daemon.healthy();
}

/** From the LAN client, so that forwarding is part of it. */
async function megabitsPerSecond(topology: Topology, direction: readonly string[]): Promise<number> {
  const json = await run('iperf3', ['-c', SERVER, '-t', `${SECONDS}`, '-O', '1', '-J', ...direction], {
    namespace: topology.namespace('client'),
  });
  return JSON.parse(json).end.sum_received.bits_per_second / 1e6;
}
