/**
 * IKE_SA_INIT request to IKE_AUTH response, as seen on the branch's WAN: the same clock for tunwright and for strongSwan, each calling
 * the same strongSwan responder (mix8, mix6). tunwright twice: the first handshake of a process, whose code is not compiled yet, and
 * those of a running daemon that the responder hangs up on.
 */
import { manualBranch, PSK } from '../test/netns/branch-config.ts';
import { Capture } from '../test/netns/capture.ts';
import { eventually } from '../test/netns/eventually.ts';
import { StrongSwan } from '../test/netns/strongswan.ts';
import { ADDRESS, Topology } from '../test/netns/topology.ts';
import { Tunwrightd } from '../test/netns/tunwrightd.ts';
import { report } from './report.ts';

const ROUNDS = 10;
/** Each loss within a minute doubles the daemon's wait: 1, 2, 4, 8 and 16 s. */
const HANG_UPS = 6;
const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };

const topology = await Topology.create();
try {
  const [zone] = topology.zones;
  const branch = topology.namespace('branch');
  const common = { ...SUITE, psk: PSK };
  const responder = await StrongSwan.start(topology, 'zone1', {
    ...common,
    namespace: zone.namespace,
    local: zone.endpoint,
    remoteId: ADDRESS.branchPublic,
  });
  const gone = () => eventually('the responder has no SA', 5_000, async () => (await responder.sas()).length === 0);

  const initiator = await StrongSwan.start(topology, 'branch', {
    ...common,
    namespace: branch,
    local: topology.branchAddress,
    remote: zone.endpoint,
    remoteId: zone.endpoint,
  });
  const strongSwan = await durations(branch, ROUNDS, async () => {
    await initiator.initiate();
    await initiator.terminate();
    await gone();
  });
  await initiator.stop();

  const daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, [zone]) });
  const spi = async () => {
    const [tunnel] = await daemon.tunnels();
    return tunnel?.state === 'established' ? tunnel.ike.spi_i : undefined;
  };
  const running = await durations(branch, HANG_UPS, async () => {
    const before = await eventually('the tunnel is up', 10_000, spi);
    await responder.terminate();
    await eventually(
      'the tunnel is up again',
      40_000,
      async () => ![undefined, before].includes((await spi()) ?? undefined),
    );
  });
  await daemon.stop();
  const first = await durations(branch, ROUNDS, async () => {
    daemon.restart();
    await eventually('the tunnel is up', 10_000, spi);
    await daemon.stop();
    await gone();
  });

  await report('handshake', [
    { name: 'strongSwan', unit: 'ms', values: strongSwan },
    { name: 'tunwright, running', unit: 'ms', values: running, against: 'strongSwan' },
    { name: 'tunwright, first of a process', unit: 'ms', values: first, against: 'strongSwan' },
  ]);
} finally {
  await topology.remove();
}

/** Runs `handshake` several times; milliseconds of each. */
async function durations(branch: string, rounds: number, handshake: () => Promise<void>): Promise<number[]> {
  const capture = await Capture.start(topology, branch, 'wan0');
  for (let round = 0; round < rounds; round += 1) await handshake();
  await capture.stop();
  const requests = await capture.fields('isakmp.exchangetype == 34 && isakmp.flag_r == 0', [
    'isakmp.ispi',
    'frame.time_epoch',
  ]);
  const responses = await capture.fields('isakmp.exchangetype == 35 && isakmp.flag_r == 1', [
    'isakmp.ispi',
    'frame.time_epoch',
  ]);
  return responses.map(([spi, end]) => {
    const start = requests.find(([candidate]) => candidate === spi)?.[1];
    return (Number(end) - Number(start)) * 1000;
  });
}
