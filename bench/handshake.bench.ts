/**
 * IKE_SA_INIT request to IKE_AUTH response, as seen on the initiator's WAN: the same clock for tunwright and for strongSwan, each
 * calling a strongSwan responder of its own (mix8, mix6), in turns. tunwright twice: a running daemon whose WAN loses its address and
 * gets it back again and again, whose event loop is watched, and the first handshake of a process.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manualBranch, PSK } from '../test/netns/branch-config.ts';
import { Capture } from '../test/netns/capture.ts';
import { eventually } from '../test/netns/eventually.ts';
import { ROOT } from '../test/netns/repository.ts';
import { StrongSwan } from '../test/netns/strongswan.ts';
import { ADDRESS, Topology } from '../test/netns/topology.ts';
import { Tunwrightd } from '../test/netns/tunwrightd.ts';
import { report } from './report.ts';

const ROUNDS = 100;
const FIRST_ROUNDS = 10;
/** The strongSwan that calls zone 2. */
const OTHER_INITIATOR = { address: '203.0.113.1', device: 'zone2' };
/** A process with an event loop and nothing in it, until SIGTERM. */
const IDLE = "setInterval(() => undefined, 1000); process.on('SIGTERM', () => process.exit())";
const WAN_GATEWAY = '192.0.2.1';
const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };

const topology = await Topology.create();
try {
  const [zone, otherZone] = topology.zones;
  const [branch, router] = [topology.namespace('branch'), topology.namespace('router')];
  const common = { ...SUITE, psk: PSK };
  const responder = await StrongSwan.start(topology, 'zone1', {
    ...common,
    namespace: zone.namespace,
    local: zone.endpoint,
    remoteId: ADDRESS.branchPublic,
  });
  // In the router, which no zone takes for one of its own announced addresses.
  const otherResponder = await StrongSwan.start(topology, 'zone2', {
    ...common,
    namespace: otherZone.namespace,
    local: otherZone.endpoint,
    remoteId: OTHER_INITIATOR.address,
  });
  const initiator = await StrongSwan.start(topology, 'router', {
    ...common,
    namespace: router,
    local: OTHER_INITIATOR.address,
    remote: otherZone.endpoint,
    remoteId: otherZone.endpoint,
  });

  const probed = (file: string) => ({
    NODE_OPTIONS: `--import=${join(ROOT, 'bench/event-loop-probe.mjs')}`,
    EVENT_LOOP_PROBE: file,
  });
  const [probe, idleProbe] = [join(topology.directory, 'event-loop-delay'), join(topology.directory, 'idle-delay')];
  // What the machine itself withholds from a process shows in one that does nothing.
  const idle = topology.start(process.execPath, ['-e', IDLE], { env: probed(idleProbe) });
  const daemon = await Tunwrightd.start(topology, {
    config: await manualBranch(topology, [zone]),
    env: probed(probe),
  });
  // From the log: whoever asks the daemon keeps it from its handshake.
  const times = (event: string) => daemon.log.filter(({ evt }) => evt === event).length;
  const once = (event: string, count: number) =>
    eventually(`${event}, ${count} times`, 15_000, () => times(event) >= count);
  await once('tunnel-up', 1);
  /** The daemon closes its tunnel and begins anew, as after a change of the provider's address. */
  const loseAddress = async (): Promise<void> => {
    const address = `${ADDRESS.branchPublic}/24 dev wan0`;
    const losses = times('tunnel-down');
    await topology.ip('branch', `addr del ${address}`);
    await once('tunnel-down', losses + 1);
    // Nobody could tell it; what it holds would cost the next handshake the time to take it down.
    await responder.swanctl('--terminate', '--ike', 'gsa', '--force', '--timeout', '-1');
    await eventually('the responder has no SA', 5_000, async () => (await responder.sas()).length === 0);
    await topology.ip('branch', `addr add ${address}`);
    await topology.ip('branch', `route add default via ${WAN_GATEWAY}`);
  };
  for (const { pid } of [daemon, idle]) process.kill(pid, 'SIGUSR2');

  const captures = [
    await Capture.start(topology, branch, 'wan0'),
    await Capture.start(topology, router, OTHER_INITIATOR.device),
  ] as const;
  for (let round = 1; round <= ROUNDS; round += 1) {
    await initiator.initiate();
    await initiator.terminate();
    await eventually('the responder has no SA', 5_000, async () => (await otherResponder.sas()).length === 0);
    await loseAddress();
    await once('tunnel-up', round + 1);
  }
  const [running, strongSwan] = [await durations(captures[0]), await durations(captures[1])];
  await daemon.stop();
  await idle.stop();
  const [longest, idled] = await Promise.all([probe, idleProbe].map(probedIn));

  const capture = await Capture.start(topology, branch, 'wan0');
  for (let round = 0; round < FIRST_ROUNDS; round += 1) {
    daemon.restart();
    await once('tunnel-up', 1);
    await daemon.stop();
    await eventually('the responder has no SA', 5_000, async () => (await responder.sas()).length === 0);
  }
  const first = await durations(capture);

  await report('handshake', [
    { name: 'strongSwan', unit: 'ms', values: strongSwan },
    { name: 'tunwright, running', unit: 'ms', values: running, against: 'strongSwan' },
    { name: 'tunwright, first of a process', unit: 'ms', values: first, against: 'strongSwan' },
    {
      name: `longest delay of the event loop in ${ROUNDS} handshakes`,
      unit: 'ms',
      values: [longest?.delayMs ?? Number.NaN],
    },
    { name: 'the same of a process that does nothing', unit: 'ms', values: [idled?.delayMs ?? Number.NaN] },
    { name: 'longest garbage collection meanwhile', unit: 'ms', values: [longest?.collectionMs ?? Number.NaN] },
  ]);
} finally {
  await topology.remove();
}

/** What the probe has left in a file. */
async function probedIn(file: string): Promise<{ readonly delayMs: number; readonly collectionMs: number }> {
  return JSON.parse(await readFile(file, 'utf8'));
}

/** Milliseconds of each handshake in a capture, which ends. */
async function durations(capture: Capture): Promise<number[]> {
  await capture.stop();
  const fields = ['isakmp.ispi', 'frame.time_epoch'];
  const requests = await capture.fields('isakmp.exchangetype == 34 && isakmp.flag_r == 0', fields);
  const responses = await capture.fields('isakmp.exchangetype == 35 && isakmp.flag_r == 1', fields);
  return responses.map(([spi, end]) => {
    const start = requests.find(([candidate]) => candidate === spi)?.[1];
    return (Number(end) - Number(start)) * 1000;
  });
}
