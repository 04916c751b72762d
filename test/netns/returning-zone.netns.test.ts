import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bird } from './bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from './branch-config.ts';
import { Capture } from './capture.ts';
import { eventually } from './eventually.ts';
import { ROOT } from './repository.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

const DRIVER = join(ROOT, 'test/netns/drivers/udp-flows.mjs');
const DESTINATION = '52.96.1.1';
const FLOWS = 200;
const FIRST_PORT = 20_000;
const NEW_FIRST_PORT = 30_000;
const DEVICES = ['tw0', 'tw1'] as const;
/** Octets with every header of a datagram. */
const HEADERS = 96;

interface Sent {
  readonly at: number;
  readonly port: number;
  readonly device: string;
}

/*
 * Each of Microsoft's gateways keeps its own state of a flow, so a flow that changes gateways without need is a broken one.
 */
describe('a zone that returns', () => {
  let topology: Topology;
  let daemon: Tunwrightd;
  const gateways: StrongSwan[] = [];
  const speakers: Bird[] = [];

  beforeAll(async () => {
    topology = await Topology.create();
    for (const zone of topology.zones) {
      gateways.push(
        await StrongSwan.start(topology, `zone${zone.number}`, {
          namespace: zone.namespace,
          local: zone.endpoint,
          remoteId: ADDRESS.branchPublic,
          psk: PSK,
          routes: [ADDRESS.branchBgp],
        }),
      );
      speakers.push(await Bird.start(topology, zone, { branchAsn: BRANCH_ASN }));
    }
    daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, topology.zones) });
    await daemon.healthy();
    await returnRoutes();
  });
  afterAll(() => topology.remove());

  it('takes no live flow from the other zone, and its share of new ones', async () => {
    const captures = await Promise.all(
      DEVICES.map((device) => Capture.start(topology, topology.namespace('branch'), device, HEADERS)),
    );
    startFlows(FIRST_PORT);
    await traffic();
    const died = Date.now();
    await speakers[1]?.stop();
    await gateways[1]?.stop();
    await eventually('the zone has left', 5_000, async () => !(await learnedNexthops()).includes('tw1'));
    const left = Date.now();
    await traffic();
    await gateways[1]?.start();
    await speakers[1]?.start();
    await daemon.healthy();
    await returnRoutes();
    const returned = Date.now();
    startFlows(NEW_FIRST_PORT);
    expect(await traffic()).toEqual([]);
    await Promise.all(captures.map((capture) => capture.stop()));

    const sent = await packets(captures);
    const old = sent.filter(({ port }) => port < NEW_FIRST_PORT);
    const before = devicesByPort(old.filter(({ at }) => at < died));
    expect(before.size).toBe(FLOWS);
    const survivors = portsOn('tw0', before);
    expect(survivors.length).toBeGreaterThan(FLOWS / 4);
    expect(portsOn('tw1', before).length).toBe(FLOWS - survivors.length);
    const always = devicesByPort(old.filter(({ port }) => survivors.includes(port)));
    expect(portsOn('tw0', always)).toEqual(survivors);
    const after = devicesByPort(old.filter(({ at }) => at > left));
    expect(portsOn('tw0', after).length).toBe(FLOWS);
    expect(devicesByPort(old.filter(({ at }) => at > returned)).size).toBe(FLOWS);

    const fresh = devicesByPort(sent.filter(({ port }) => port >= NEW_FIRST_PORT));
    expect(fresh.size).toBe(FLOWS);
    expect(portsOn('tw1', fresh).length).toBeGreaterThan(FLOWS / 4);
    expect(portsOn('tw0', fresh).length).toBe(FLOWS - portsOn('tw1', fresh).length);
  });

  const startFlows = (firstPort: number) =>
    topology.start(process.execPath, [DRIVER, DESTINATION, firstPort, FLOWS, 200].map(String), {
      namespace: topology.namespace('client'),
    });

  /** Four seconds of it; the numbers of pings that were lost. */
  const traffic = async () =>
    (await ping(topology.namespace('client'), DESTINATION, { count: 40, intervalMs: 100 })).lost;

  async function returnRoutes(): Promise<void> {
    for (const speaker of speakers) await speaker.returnRoute(ADDRESS.clientNetwork);
  }

  /** Devices that learned routes lead to. */
  async function learnedNexthops(): Promise<string> {
    const all = await topology.ip('branch', 'nexthop show');
    return all
      .split('\n')
      .filter((line) => /^id 770\d\d /.test(line))
      .join('\n');
  }
});

async function packets(captures: readonly Capture[]): Promise<Sent[]> {
  const fields = ['frame.time_epoch', 'udp.srcport'];
  const all = await Promise.all(
    captures.map(async (capture, i) =>
      (await capture.fields(`udp && ip.src == ${ADDRESS.client}`, fields)).map(([time, port]) => ({
        at: Number(time) * 1000,
        port: Number(port),
        device: DEVICES[i] ?? '',
      })),
    ),
  );
  return all.flat();
}

function devicesByPort(sent: readonly Sent[]): Map<number, Set<string>> {
  const devices = new Map<number, Set<string>>();
  for (const { port, device } of sent) devices.set(port, (devices.get(port) ?? new Set()).add(device));
  return devices;
}

/** Flows that left by this device and by no other. */
function portsOn(device: string, byPort: ReadonlyMap<number, ReadonlySet<string>>): number[] {
  return [...byPort]
    .filter(([, devices]) => devices.size === 1 && devices.has(device))
    .map(([port]) => port)
    .sort((a, b) => a - b);
}
