import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bird } from './bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from './branch-config.ts';
import { Capture } from './capture.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { snapshot } from './snapshot.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

/** On the client's wire beside `staff`; its policy fails open. */
const GUEST = { client: '10.1.30.10', branch: '10.1.30.1', network: '10.1.30.0/24' };
const ANNOUNCED = '52.96.0.1';
/** Nobody announces these; a policy names the first. */
const NAMED = '203.0.113.77';
const ELSEWHERE = '198.51.100.77';
const POLICIES = [
  { id: 10, from: ['staff'], to: { prefixes: [`${NAMED}/32`] }, failure: 'closed' },
  { id: 20, from: ['staff'], to: 'learned', failure: 'closed' },
  { id: 30, from: ['guests'], to: 'learned', failure: 'open' },
];

/** What leaves by the WAN whatever the tunnels do, and what only fails open. */
const ALWAYS = [line(ADDRESS.client, ELSEWHERE), line(GUEST.client, ELSEWHERE), line(GUEST.client, NAMED)];
const FAILED_OPEN = [...ALWAYS, line(GUEST.client, ANNOUNCED)].sort();

/** One life of a branch, each test where the last one left it. */
describe('a network that fails closed, beside one that fails open', () => {
  let topology: Topology;
  let daemon: Tunwrightd;
  let before: string;
  const responders: StrongSwan[] = [];
  const speakers: Bird[] = [];

  beforeAll(async () => {
    topology = await Topology.create();
    await topology.ip('client', `addr add ${GUEST.client}/24 dev eth0`);
    await topology.ip('branch', `addr add ${GUEST.branch}/24 dev lan0`);
    for (const zone of topology.zones) {
      responders.push(
        await StrongSwan.start(topology, `zone${zone.number}`, {
          namespace: zone.namespace,
          local: zone.endpoint,
          remoteId: ADDRESS.branchPublic,
          psk: PSK,
          routes: [ADDRESS.branchBgp],
        }),
      );
      speakers.push(await Bird.start(topology, zone, { branchAsn: BRANCH_ASN, keepaliveSec: 5 }));
    }
    before = await snapshot(topology.namespace('branch'));
    const networks = [
      { name: 'staff', interface: 'lan0', prefixes: [ADDRESS.clientNetwork], advertise: true },
      { name: 'guests', interface: 'lan0', prefixes: [GUEST.network], advertise: false },
    ];
    const top = { networks, policies: POLICIES };
    daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, topology.zones, { top }) });
    await daemon.healthy();
    for (const speaker of speakers) await speaker.returnRoute(ADDRESS.clientNetwork);
  });
  afterAll(() => topology.remove());

  it('both tunnels up: announced addresses answer, and nothing of them is on the WAN', async () => {
    expect(await ping(topology.namespace('client'), ANNOUNCED, { count: 3 })).toMatchObject({ received: 3 });
    expect(await onWan()).toEqual(ALWAYS);
  });

  it('no session, but tunnels: closed holds back what the peers announced before', async () => {
    for (const speaker of speakers) await speaker.birdc('disable', 'branch');
    await eventually('no route is learned', 5_000, async () => !(await learned()).includes('52.96.0.0/14'));
    expect(await onWan()).toEqual(FAILED_OPEN);
    for (const speaker of speakers) await speaker.birdc('enable', 'branch');
    await daemon.healthy(60_000);
    expect(await ping(topology.namespace('client'), ANNOUNCED, { count: 3 })).toMatchObject({ received: 3 });
  });

  it('kill -9 of the daemon: the same, with nobody there', async () => {
    await daemon.kill();
    expect(await onWan()).toEqual(FAILED_OPEN);
  });

  it('restart while nobody answers: the kernel is the memory', async () => {
    for (const speaker of speakers) await speaker.stop();
    for (const responder of responders) await responder.kill();
    daemon.restart();
    await daemon.waitUntil('the daemon runs without tunnels', 20_000, ({ health }) => health === 'down');
    expect(await onWan()).toEqual(FAILED_OPEN);
  });

  it('the peers are back: traffic flows; what they withdraw is free to leave by the WAN', async () => {
    for (const responder of responders) await responder.start();
    for (const speaker of speakers) await speaker.start();
    await daemon.healthy(90_000);
    for (const speaker of speakers) await speaker.returnRoute(ADDRESS.clientNetwork);
    expect(await ping(topology.namespace('client'), ANNOUNCED, { count: 3 })).toMatchObject({ received: 3 });
    for (const speaker of speakers) await speaker.birdc('disable', 'microsoft');
    await eventually('nothing is held back', 5_000, async () => (await table(7701)) === '');
    expect(await onWan()).toEqual([...FAILED_OPEN, line(ADDRESS.client, ANNOUNCED)].sort());
  });

  it('SIGTERM leaves nothing', async () => {
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    expect(await snapshot(topology.namespace('branch'))).toBe(before);
  });

  const table = (number: number): Promise<string> =>
    run('ip', ['-n', topology.namespace('branch'), 'route', 'show', 'table', `${number}`]);
  const learned = (): Promise<string> => table(7700);

  /** Which packets of the client leave by the WAN, as `source > destination`: both networks ping the three addresses. */
  async function onWan(): Promise<string[]> {
    const capture = await Capture.start(topology, topology.namespace('branch'), 'wan0');
    const pings = [ADDRESS.client, GUEST.client].flatMap((source) =>
      [ANNOUNCED, NAMED, ELSEWHERE].map((destination) =>
        ping(topology.namespace('client'), destination, { count: 2, source }),
      ),
    );
    await Promise.all(pings);
    await capture.stop();
    const seen = await capture.fields('icmp.type == 8 && ip.src == 10.1.0.0/16', ['ip.src', 'ip.dst']);
    return [...new Set(seen.map(([source = '', destination = '']) => line(source, destination)))].sort();
  }
});

function line(source: string, destination: string): string {
  return `${source} > ${destination}`;
}
