/**
 * One TCP stream through one tunnel: tunwright and strongSwan's kernel-libipsec as initiators, each towards a strongSwan responder
 * with kernel-libipsec, in turns. Both do ESP in userspace, so the ratio compares the two initiators behind the same peer.
 */
import { Bird } from '../test/netns/bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from '../test/netns/branch-config.ts';
import { eventually } from '../test/netns/eventually.ts';
import { run } from '../test/netns/process.ts';
import { StrongSwan } from '../test/netns/strongswan.ts';
import { ADDRESS, Topology } from '../test/netns/topology.ts';
import { Tunwrightd } from '../test/netns/tunwrightd.ts';
import { report } from './report.ts';

const ROUNDS = 5;
const SECONDS = 4;
/** Inside an announced prefix. */
const SERVER = '52.96.0.1';
const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };

const strongSwan = await Topology.create();
const tunwright = await Topology.create();
try {
  await bringUp(strongSwan, startStrongSwan);
  await bringUp(tunwright, startTunwright);
  const series = [
    { name: 'strongSwan, sending', topology: strongSwan, direction: [], values: [] as number[] },
    { name: 'tunwright, sending', topology: tunwright, direction: [], values: [] as number[] },
    { name: 'strongSwan, receiving', topology: strongSwan, direction: ['--reverse'], values: [] as number[] },
    { name: 'tunwright, receiving', topology: tunwright, direction: ['--reverse'], values: [] as number[] },
  ];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { topology, direction, values } of series) values.push(await megabitsPerSecond(topology, direction));
  }
  await report(
    'netns-throughput',
    series.map(({ name, values }) => ({
      ...{ name, unit: 'Mbit/s', values },
      ...(name.startsWith('tunwright') && { against: name.replace('tunwright', 'strongSwan') }),
    })),
  );
} finally {
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
  const server = topology.start('iperf3', ['-s', '-B', SERVER, '--forceflush'], { namespace: zone.namespace });
  await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
  await megabitsPerSecond(topology, []);
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
